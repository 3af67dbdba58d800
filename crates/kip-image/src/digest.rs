//! Digests: the name of content by its hash.

use std::fmt;
use std::str::FromStr;

use crate::error::{Fault, ParseError, Problem, Subject};

/// A digest of content, such as `sha256:` and 64 hexadecimal digits.
///
/// The algorithms and the form are those of the Go module [`go-digest`], which kubelet and container runtimes use:
/// lower case only, and exactly as long as the hash is.
///
/// [`go-digest`]: https://github.com/opencontainers/go-digest
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// The hash behind a [`Digest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, what nearly everybody uses.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in digests: `sha256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits a digest of it has.
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Digest {
    /// Reads `ALGORITHM:HEX`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        scan(text).map_err(|fault| ParseError::new(Subject::Digest, text, fault))
    }

    /// The digest with this SHA-256.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        use fmt::Write as _;
        let mut hex = String::with_capacity(Algorithm::Sha256.hex_length());
        for byte in hash {
            // A string takes all that is written to it.
            let _ = write!(hex, "{byte:02x}");
        }
        Self {
            algorithm: Algorithm::Sha256,
            hex: hex.into(),
        }
    }

    /// The digest that an image ID without algorithm stands for, if the text is one.
    pub(crate) fn from_image_id(text: &str) -> Option<Self> {
        is_image_id(text).then(|| Self {
            algorithm: Algorithm::Sha256,
            hex: text.into(),
        })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What follows the colon.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

/// Whether the text is an image ID as Docker prints it: a SHA-256 without `sha256:`.
pub(crate) fn is_image_id(text: &str) -> bool {
    text.len() == Algorithm::Sha256.hex_length() && text.bytes().all(is_lower_hex)
}

/// Reads a digest that is a part of something else.
pub(crate) fn scan(text: &str) -> Result<Digest, Fault> {
    let (algorithm, hex) = Algorithm::ALL
        .into_iter()
        .find_map(|algorithm| {
            Some((
                algorithm,
                text.strip_prefix(algorithm.as_str())?.strip_prefix(':')?,
            ))
        })
        .ok_or(Problem::DigestAlgorithm.at(0))?;
    let start = text.len() - hex.len();
    if let Some(bad) = hex.bytes().position(|byte| !is_lower_hex(byte)) {
        return Err(Problem::DigestCharacter.at(start + bad));
    }
    if hex.len() != algorithm.hex_length() {
        let at = start + hex.len().min(algorithm.hex_length());
        return Err(Problem::DigestLength {
            algorithm,
            length: hex.len(),
        }
        .at(at));
    }
    Ok(Digest {
        algorithm,
        hex: hex.into(),
    })
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Digest {
    type Error = ParseError;

    fn try_from(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}
