//! Registry credentials: pull secrets, and which of their entries are for an image.

mod auth;
mod config;
mod credential;
mod error;
mod glob;
mod keyring;
mod pattern;
mod secret;
mod url;

pub use credential::Credential;
pub use error::{EntryName, SecretError, SecretProblem};
pub use keyring::{Keyring, Match, Matches};
pub use secret::{PullSecret, SecretType};
