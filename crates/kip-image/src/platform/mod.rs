//! Platforms: what an image is made for, what a node is, and which manifest of an index a node takes. See
//! [multi-architecture images] in the documentation of Kubernetes.
//!
//! [multi-architecture images]: https://kubernetes.io/docs/concepts/containers/images/#multi-architecture-images-with-image-indexes

mod choice;
mod error;
mod normal;
mod parse;
mod windows;

use std::fmt;

pub use choice::PlatformMatcher;
pub use error::{InvalidPlatform, PlatformProblem};

/// An operating system and an architecture, as [an index has them][index] for each of its manifests.
///
/// What is missing is empty. Values stay as they are until they are [normalised](Self::normalized);
/// [matching](PlatformMatcher) does that by itself.
///
/// ```
/// use kip_image::Platform;
///
/// let platform: Platform = "linux/aarch64/v8".parse()?;
/// assert_eq!(platform, Platform::new("linux", "arm64").with_variant("v8"));
/// assert_eq!(platform.normalized().to_string(), "linux/arm64");
/// # Ok::<(), kip_image::InvalidPlatform>(())
/// ```
///
/// [index]: https://github.com/opencontainers/image-spec/blob/main/image-index.md#image-index-property-descriptions
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Platform {
    /// The operating system, by Go's `GOOS`: `linux`.
    pub os: String,
    /// The architecture of the processor, by Go's `GOARCH`: `arm64`.
    pub architecture: String,
    /// The variant of the architecture: `v8`.
    pub variant: String,
    /// The version of the operating system. Only that of Windows is looked at: `10.0.20348.3091`.
    pub os_version: String,
    /// Features of the operating system that an image needs, or a host has: `win32k`.
    pub os_features: Vec<String>,
}

impl Platform {
    /// One without variant, version and features.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            ..Self::default()
        }
    }

    /// The same, of this variant.
    #[must_use]
    pub fn with_variant(self, variant: impl Into<String>) -> Self {
        Self {
            variant: variant.into(),
            ..self
        }
    }

    /// The same, with this version of the operating system.
    #[must_use]
    pub fn with_os_version(self, version: impl Into<String>) -> Self {
        Self {
            os_version: version.into(),
            ..self
        }
    }

    /// The same in canonical form, as containerd's module `platforms` has it.
    ///
    /// | Given | Canonical |
    /// | --- | --- |
    /// | upper case | lower case |
    /// | `macos` | `darwin` |
    /// | `x86_64`, `x86-64`, `amd64/v1` | `amd64` |
    /// | `i386` | `386` |
    /// | `aarch64`, `arm64/v8`, `arm64/v8.0`, `arm64/8` | `arm64` |
    /// | `arm64/9`, `arm64/v9.0` | `arm64/v9` |
    /// | `arm`, `armhf`, `arm/7` | `arm/v7` |
    /// | `armel`, `arm/6` | `arm/v6` |
    ///
    /// Features are sorted, each once. An empty operating system stays empty.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let (architecture, variant) = normal::architecture(&self.architecture, &self.variant);
        let mut os_features = self.os_features.clone();
        os_features.sort_unstable();
        os_features.dedup();
        Self {
            os: normal::os(&self.os).into_owned(),
            architecture: architecture.into_owned(),
            variant: variant.into_owned(),
            os_version: self.os_version.clone(),
            os_features,
        }
    }
}

/// `OS[(VERSION[+FEATURE…])]/ARCHITECTURE[/VARIANT]`, without what is empty; `unknown` without operating system.
/// Signs that would be read as something else are escaped.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return f.write_str("unknown");
        }
        f.write_str(&self.os)?;
        let mut features: Vec<&str> = self.os_features.iter().map(String::as_str).collect();
        features.retain(|feature| !feature.is_empty());
        features.sort_unstable();
        features.dedup();
        if !self.os_version.is_empty() || !features.is_empty() {
            write!(f, "({}", parse::Escaped(&self.os_version))?;
            for feature in features {
                write!(f, "+{}", parse::Escaped(feature))?;
            }
            f.write_str(")")?;
        }
        for part in [&self.architecture, &self.variant] {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
