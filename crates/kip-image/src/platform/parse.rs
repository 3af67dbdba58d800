//! Reading platforms: `OS[(VERSION[+FEATURE…])]/ARCHITECTURE[/VARIANT]`, or one of the two.

use std::fmt;
use std::str::FromStr;

use super::error::{InvalidPlatform, PlatformProblem};
use super::{Platform, normal};

impl Platform {
    /// Reads a platform of which one part may be missing: `linux` and `arm64` stand for that part of `host`, and the
    /// rest is the host's.
    ///
    /// ```
    /// use kip_image::Platform;
    ///
    /// let host = Platform::new("linux", "amd64");
    /// assert_eq!(Platform::parse_on("arm64", &host)?.to_string(), "linux/arm64");
    /// assert_eq!(Platform::parse_on("windows", &host)?.to_string(), "windows/amd64");
    /// # Ok::<(), kip_image::InvalidPlatform>(())
    /// ```
    pub fn parse_on(text: &str, host: &Self) -> Result<Self, InvalidPlatform> {
        let parsed = parse(text).map(|parsed| match parsed {
            Parsed::Whole(platform) => platform,
            Parsed::Os(platform) => {
                let is_arm = host.architecture == "arm" && host.variant != "v7";
                Self {
                    architecture: host.architecture.clone(),
                    variant: if is_arm {
                        host.variant.clone()
                    } else {
                        String::new()
                    },
                    ..platform
                }
            }
            Parsed::Architecture(platform) => Self {
                os: host.os.clone(),
                ..platform
            },
        });
        parsed.map_err(|problem| invalid(text, problem))
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parsed = parse(text).and_then(|parsed| match parsed {
            Parsed::Whole(platform) => Ok(platform),
            Parsed::Os(_) => Err(PlatformProblem::NoArchitecture),
            Parsed::Architecture(_) => Err(PlatformProblem::NoOs),
        });
        parsed.map_err(|problem| invalid(text, problem))
    }
}

fn invalid(text: &str, problem: PlatformProblem) -> InvalidPlatform {
    InvalidPlatform {
        text: text.into(),
        problem,
    }
}

/// What a text tells, by what it leaves out.
enum Parsed {
    Whole(Platform),
    Os(Platform),
    Architecture(Platform),
}

fn parse(text: &str) -> Result<Parsed, PlatformProblem> {
    let mut parts = text.split('/');
    let first = parts.next().unwrap_or_default();
    let (os, os_version, os_features) = parse_os(first)?;
    let (architecture, variant, more) = (parts.next(), parts.next(), parts.next());
    if [architecture, variant]
        .into_iter()
        .flatten()
        .any(|part| !is_word(part, b"_.-"))
    {
        return Err(PlatformProblem::Part);
    }
    if more.is_some() {
        return Err(PlatformProblem::TooMany);
    }
    let of = |architecture, variant: Option<&str>| {
        let (architecture, found) = normal::architecture(architecture, variant.unwrap_or_default());
        let found = match (&*architecture, &*found, variant) {
            ("arm", "v7", None) => "",
            ("arm64", "", Some(_)) => "v8",
            (_, found, _) => found,
        };
        Platform {
            os: os.clone(),
            architecture: architecture.to_string(),
            variant: found.to_owned(),
            os_version,
            os_features,
        }
    };
    if let Some(architecture) = architecture {
        return Ok(Parsed::Whole(of(architecture, variant)));
    }
    let platform = of(first, None);
    if normal::is_known_os(&os) {
        Ok(Parsed::Os(Platform {
            architecture: String::new(),
            variant: String::new(),
            ..platform
        }))
    } else if normal::is_known_architecture(&platform.architecture) {
        Ok(Parsed::Architecture(platform))
    } else {
        Err(PlatformProblem::Unknown)
    }
}

/// Reads `OS[(VERSION[+FEATURE…])]`.
fn parse_os(text: &str) -> Result<(String, String, Vec<String>), PlatformProblem> {
    let (os, options) = match text.split_once('(') {
        Some((os, options)) => {
            let options = options
                .strip_suffix(')')
                .ok_or(PlatformProblem::OsOptions)?;
            (os, Some(options))
        }
        None => (text, None),
    };
    if !is_word(os, b"_-") {
        return Err(PlatformProblem::Os);
    }
    let mut options = options.unwrap_or_default().split('+');
    let version = options.next().unwrap_or_default();
    let version = if version.is_empty() {
        Some(String::new())
    } else {
        unescape(version)
    };
    let features: Option<_> = options.map(unescape).collect();
    let (version, features) = version.zip(features).ok_or(PlatformProblem::OsOptions)?;
    Ok((normal::os(os).into_owned(), version, features))
}

/// Whether a text is made of letters, digits and some signs, and not empty.
fn is_word(text: &str, signs: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
}

/// Reads a version or a feature; `None` if it is empty, has what it may not have, or stands for no UTF-8.
fn unescape(text: &str) -> Option<String> {
    if !is_word(text, b"_.-%") {
        return None;
    }
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? << 4 | digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(plain).ok()
}

/// A version or a feature, with the signs escaped that would end it.
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['%', '+', '(', ')', '/']) {
            match part.as_bytes().last() {
                Some(sign @ (b'%' | b'+' | b'(' | b')' | b'/')) => {
                    write!(f, "{}%{sign:02X}", &part[..part.len() - 1])?;
                }
                _ => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// A text in quotes; a long one is cut.
pub(super) fn quote(text: &str) -> String {
    const MOST: usize = 128;
    let mut start: String = text.chars().take(MOST).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}
