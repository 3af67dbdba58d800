#![doc = include_str!("../README.md")]

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
pub use policy::{InvalidPullPolicy, NodeAction, Presence, PullPolicy, pull_backoff};
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};
