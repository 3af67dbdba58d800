//! Digests of bytes.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The digest of these bytes.
pub fn of(bytes: &[u8]) -> String {
    of_hash(&Sha256::digest(bytes))
}

/// The digest with this hash.
pub fn of_hash(hash: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in hash {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
