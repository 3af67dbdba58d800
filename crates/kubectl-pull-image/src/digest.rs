//! Digests of bytes: those of SHA-256, which images have.

use anyhow::{Result, ensure};
use kip_image::{Algorithm, Digest};
use sha2::{Digest as _, Sha256};

/// The digest of these bytes.
pub fn of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

/// Reads `sha256:` and 64 digits.
///
/// # Errors
/// When it is none, or one with another hash.
pub fn parse(text: &str) -> Result<Digest> {
    let digest = Digest::parse(text)?;
    ensure!(
        digest.algorithm() == Algorithm::Sha256,
        "{digest}: only digests with SHA-256 can be checked"
    );
    Ok(digest)
}

/// As JSON has it.
///
/// # Errors
/// The serializer's.
pub fn as_text<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}
