//! The digest of bytes as they pass.

use std::fmt;

use kip_image::{Algorithm, Digest};
use ring::digest;

use crate::error::{Error, Kind};

/// Computes a digest.
#[derive(Clone)]
pub(crate) struct Hasher {
    algorithm: Algorithm,
    context: digest::Context,
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let context = digest::Context::new(match algorithm {
            Algorithm::Sha256 => &digest::SHA256,
            Algorithm::Sha384 => &digest::SHA384,
            Algorithm::Sha512 => &digest::SHA512,
        });
        Self { algorithm, context }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    pub(crate) fn finish(self) -> Result<Digest, Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = format!("{}:", self.algorithm);
        for byte in self.context.finish().as_ref() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        Digest::parse(&text).map_err(|source| Error::malformed("a digest").source(source))
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm)
    }
}

/// The digest of bytes.
pub(crate) fn digest(algorithm: Algorithm, bytes: &[u8]) -> Result<Digest, Error> {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// Fails unless the digest is that of the bytes.
pub(crate) fn verify(expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
    compare(expected, digest(expected.algorithm(), bytes)?)
}

/// Fails unless they are the same.
pub(crate) fn compare(expected: &Digest, found: Digest) -> Result<(), Error> {
    if *expected == found {
        return Ok(());
    }
    Err(Error::new(Kind::DigestMismatch {
        expected: expected.clone(),
        found,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        for (algorithm, start) in [
            (Algorithm::Sha256, "sha256:ba7816bf8f01cfea"),
            (Algorithm::Sha384, "sha384:cb00753f45a35e8b"),
            (Algorithm::Sha512, "sha512:ddaf35a193617aba"),
        ] {
            let digest = digest(algorithm, b"abc").unwrap();
            assert!(digest.to_string().starts_with(start), "{digest}");
            verify(&digest, b"abc").unwrap();
            let error = verify(&digest, b"abd").unwrap_err();
            assert!(matches!(error.kind(), Kind::DigestMismatch { .. }));
        }
    }
}
