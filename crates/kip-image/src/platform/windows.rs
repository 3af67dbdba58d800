//! Which Windows image runs on which Windows host.

/// Builds of the releases from which on a host runs images of the release before as well, in ascending order: Windows
/// Server 2022 and 2025.
const STABLE: [u16; 2] = [20348, 26100];

/// A version of Windows, `10.0.20348` and perhaps more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Version {
    major: u8,
    minor: u8,
    build: u16,
}

impl Version {
    /// Reads a version; what is none is version 0.0.0.
    pub(super) fn parse(text: &str) -> Self {
        Self::parts(text).unwrap_or_default()
    }

    fn parts(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut next = || parts.next().filter(|part| !part.starts_with('+'));
        Some(Self {
            major: next()?.parse().ok()?,
            minor: next()?.parse().ok()?,
            build: next()?.parse().ok()?,
        })
    }

    /// Whether a host of this version runs an image made for `image`; each does if either is not known.
    ///
    /// A host older than Windows Server 2022 needs the same build; a newer one runs [what is between the release before
    /// its own and itself][compatibility].
    ///
    /// [compatibility]: https://learn.microsoft.com/en-us/virtualization/windowscontainers/deploy-containers/version-compatibility
    pub(super) fn runs(self, image: &str) -> bool {
        if self == Self::default() || image.is_empty() {
            return true;
        }
        let image = Self::parse(image);
        if (self.major, self.minor) != (image.major, image.minor) {
            return false;
        }
        match STABLE.iter().rposition(|release| *release <= self.build) {
            None => self.build == image.build,
            Some(own) => (STABLE[own.saturating_sub(1)]..=self.build).contains(&image.build),
        }
    }
}
