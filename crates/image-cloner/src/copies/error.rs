//! Why there is no copy.

use kip_image::{Digest, ParseError, Reference};
use kip_registry::Kind;

use crate::words;

/// Why there is no copy. It is told to all who have asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CopyError {
    /// There is no name for it.
    #[error("there is no name for the copy: {0}")]
    Name(ParseError),
    /// A registry does not do its part.
    #[error("{words}")]
    Registry {
        /// What has happened.
        kind: Kind,
        /// The same in plain words, with its causes.
        words: String,
    },
    /// Another image has its name. Only legacy names collide.
    #[error(
        "{place} is the copy of another image ({found}), and is not overwritten (NAMING=legacy)"
    )]
    Taken {
        /// The name.
        place: Reference,
        /// What is there.
        found: Digest,
    },
    /// It has ended without a result.
    #[error("the copy has broken off")]
    BrokenOff,
    /// It takes too long.
    #[error("the copy takes more than an hour, or hardly moves")]
    TooSlow,
    /// Too many are being made.
    #[error("too many copies are waiting")]
    Busy,
}

pub(super) fn of(error: &kip_registry::Error) -> CopyError {
    CopyError::Registry {
        kind: error.kind().clone(),
        words: words::of(error),
    }
}
