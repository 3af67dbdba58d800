//! Which manifests of an index a node can run, and which of them it takes.

use std::cmp::Reverse;

use super::windows::Version;
use super::{Platform, normal};

/// What matches a node's platform, and how well: as containerd does it with `platforms.Only`, and on Windows with its
/// own default there.
///
/// - `arm` runs its own variant and the lower ones down to v5: on `arm/v7` also v6 and v5.
/// - `arm64` runs its own version and the lower ones, and what `arm/v8` runs. Version 9.x runs 8.x+5.
/// - `amd64` runs its own level and the lower ones, and `386`. Without variant, it is level 1: containerd does not
///   look at the processor.
/// - Any other architecture runs what is of the same variant.
/// - Windows runs images of a build that [its own is compatible with], and of those takes the one whose version is last
///   in the order of text. `win32k` is not counted among the features.
/// - What an image needs of `os.features`, the node must have.
/// - An entry of an index without operating system is for the node's.
///
/// ```
/// use kip_image::{Platform, PlatformMatcher};
///
/// let index = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "unknown/unknown"];
/// let index: Vec<Option<Platform>> = index.iter().map(|text| text.parse().ok()).collect();
/// let node = PlatformMatcher::new(&Platform::new("linux", "arm"));
/// assert_eq!(node.choose(&index), Some(2));
/// assert_eq!(node.candidates(&index), [2, 1]);
/// assert_eq!(PlatformMatcher::new(&Platform::new("linux", "s390x")).choose(&index), None);
/// ```
///
/// [its own is compatible with]: https://learn.microsoft.com/en-us/virtualization/windowscontainers/deploy-containers/version-compatibility
#[derive(Debug, Clone)]
pub struct PlatformMatcher {
    node: Platform,
    /// That of Windows, where the node runs that.
    windows: Option<Version>,
}

/// The order of matching platforms, best first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'p> {
    Linux(u64, Reverse<usize>),
    Windows(Reverse<&'p str>),
    /// Without platform: only its configuration tells.
    Unknown,
}

impl PlatformMatcher {
    /// What matches a node of this platform, which has an operating system and an architecture.
    pub fn new(node: &Platform) -> Self {
        let node = node.normalized();
        let windows = (node.os == "windows").then(|| Version::parse(&node.os_version));
        Self { node, windows }
    }

    /// Whether the node can run what is made for this platform.
    pub fn matches(&self, platform: &Platform) -> bool {
        self.rank(platform).is_some()
    }

    /// The place of the manifest that the node takes, of those of an index; of equal ones the first. If it has no
    /// platform, its image's configuration must still tell one that [matches](Self::matches); the node then takes none
    /// of the others.
    pub fn choose(&self, index: &[Option<Platform>]) -> Option<usize> {
        self.ranked(index).min().map(|(_, at)| at)
    }

    /// The places of all manifests of an index that the node may be able to run, best first, and last those without
    /// platform.
    pub fn candidates(&self, index: &[Option<Platform>]) -> Vec<usize> {
        let mut ranked: Vec<_> = self.ranked(index).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, at)| at).collect()
    }

    fn ranked<'p>(&self, index: &'p [Option<Platform>]) -> impl Iterator<Item = (Rank<'p>, usize)> {
        index.iter().enumerate().filter_map(|(at, platform)| {
            let rank = match platform {
                Some(platform) => self.rank(platform)?,
                None => Rank::Unknown,
            };
            Some((rank, at))
        })
    }

    fn rank<'p>(&self, platform: &'p Platform) -> Option<Rank<'p>> {
        if !platform.os.is_empty() && normal::os(&platform.os) != self.node.os {
            return None;
        }
        let (architecture, variant) =
            normal::architecture(&platform.architecture, &platform.variant);
        if !self.has_features(&platform.os_features) {
            return None;
        }
        let Some(windows) = self.windows else {
            let fallback = self.fallback(&architecture, &variant)?;
            return Some(Rank::Linux(fallback, Reverse(platform.os_features.len())));
        };
        let same = architecture == self.node.architecture && variant == self.node.variant;
        (same && windows.runs(&platform.os_version))
            .then_some(Rank::Windows(Reverse(&platform.os_version)))
    }

    fn has_features(&self, needed: &[String]) -> bool {
        let mut needed: Vec<&str> = needed.iter().map(String::as_str).collect();
        if self.windows.is_some()
            && let Some(at) = needed.iter().position(|feature| *feature == "win32k")
        {
            needed.remove(at);
        }
        needed
            .iter()
            .all(|feature| self.node.os_features.iter().any(|has| has == feature))
    }

    /// How far an architecture is from the node's, if the node runs it: 0 for the node's own.
    fn fallback(&self, architecture: &str, variant: &str) -> Option<u64> {
        let node = &self.node;
        match &*node.architecture {
            "amd64" => fallback_of_amd64(&node.variant, architecture, variant),
            "arm" => fallback_of_arm(&node.variant, architecture, variant),
            "arm64" => fallback_of_arm64(&node.variant, architecture, variant),
            own => (own == architecture && node.variant == variant).then_some(0),
        }
    }
}

/// How far below `node` a level is; `lowest` is the last one.
fn below(node: &str, variant: &str, lowest: u64) -> Option<u64> {
    if node == variant {
        return Some(0);
    }
    let (node, level) = (number(node)?, number(variant)?);
    let is_canonical = variant == format!("v{level}");
    (is_canonical && (lowest..node).contains(&level)).then(|| node - level)
}

/// The number in a variant, as Go's `strconv.Atoi` reads it after a `v`.
fn number(variant: &str) -> Option<u64> {
    let digits = variant.strip_prefix('v').unwrap_or(variant);
    let value: i64 = digits.parse().ok()?;
    u64::try_from(value).ok()
}

fn fallback_of_amd64(node: &str, architecture: &str, variant: &str) -> Option<u64> {
    match (architecture, variant) {
        ("amd64", "") if node.is_empty() => Some(0),
        ("amd64", "") => below(node, "v1", 1),
        ("amd64", _) => below(node, variant, 1),
        ("386", "") => Some(number(node).unwrap_or_default().max(1)),
        _ => None,
    }
}

fn fallback_of_arm(node: &str, architecture: &str, variant: &str) -> Option<u64> {
    (architecture == "arm")
        .then(|| below(node, variant, 5))
        .flatten()
}

/// Each version of arm64 runs the lower ones of its own and, as 9.x is 8.x+5 with more, of the line before.
fn fallback_of_arm64(node: &str, architecture: &str, variant: &str) -> Option<u64> {
    let (major, minor) = version_of_arm64(node)?;
    let in_8 = match major {
        8 => minor,
        _ => minor + 5,
    };
    let in_9 = if major == 9 { minor + 1 } else { 0 };
    match architecture {
        "arm64" => match version_of_arm64(variant)? {
            (9, wanted) if major == 9 => minor.checked_sub(wanted),
            (8, wanted) => in_8.checked_sub(wanted).map(|far| far + in_9),
            _ => None,
        },
        _ => fallback_of_arm("v8", architecture, variant).map(|far| far + in_8 + 1 + in_9),
    }
}

/// Major and minor of the versions that there are; none is 8.0.
fn version_of_arm64(variant: &str) -> Option<(u64, u64)> {
    let (major, minor, most) = match variant {
        "" | "v8" => return Some((8, 0)),
        "v9" => return Some((9, 0)),
        _ => match variant.strip_prefix("v8.") {
            Some(minor) => (8, minor, 9),
            None => (9, variant.strip_prefix("v9.")?, 7),
        },
    };
    let &[digit @ b'0'..=b'9'] = minor.as_bytes() else {
        return None;
    };
    let minor = u64::from(digit - b'0');
    (minor <= most).then_some((major, minor))
}
