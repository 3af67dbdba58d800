//! Image references as Docker and kubelet understand them.
//!
//! Pure: no I/O, no clock, no environment. What is accepted, and what it means, is what the Go module
//! [`github.com/distribution/reference`] does, which kubelet, containerd and Docker use; a differential test
//! compares the two. [`Reference`] tells where they differ on purpose.
//!
//! ```
//! use kip_image::Reference;
//!
//! let image: Reference = "nginx:1.27".parse()?;
//! assert_eq!(image.to_string(), "docker.io/library/nginx:1.27");
//! assert_eq!((image.registry(), image.repository()), ("docker.io", "library/nginx"));
//! assert_eq!((image.tag(), image.digest()), (Some("1.27"), None));
//! # Ok::<(), kip_image::ParseError>(())
//! ```
//!
//! [`github.com/distribution/reference`]: https://github.com/distribution/reference

mod any;
mod credentials;
mod digest;
mod error;
mod platform;
mod policy;
mod reference;

pub use any::AnyReference;
pub use credentials::{
    Credential, EntryName, Keyring, Match, Matches, PullSecret, SecretError, SecretProblem,
    SecretType,
};
pub use digest::{Algorithm, Digest};
pub use error::{ParseError, Problem};
pub use platform::{InvalidPlatform, Platform, PlatformMatcher, PlatformProblem};
pub use policy::{InvalidPullPolicy, NodeAction, Presence, PullPolicy};
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};
