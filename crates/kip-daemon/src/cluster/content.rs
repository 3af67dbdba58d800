//! What an image's reference stands for.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// An image's content: the beginning of a digest, enough to tell two apart, and little enough for thousands of them.
///
/// In kubelet's `imageID` the digest is by runtime an index's, a manifest's or a config's, so it is compared only with
/// what the same node says, or over time. A registry's is that of the manifest or index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Content(pub u64);

/// Hexadecimal digits that a content has.
const DIGITS: usize = 16;

impl Content {
    /// That of a digest as text, `sha256:…`. Any other text has one as well, which means nothing to people.
    pub fn of(digest: &str) -> Self {
        let digits = digest
            .split_once(':')
            .and_then(|(_, hex)| hex.get(..DIGITS));
        let beginning = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Self(beginning.unwrap_or_else(|| {
            let hash = Sha256::digest(digest.as_bytes());
            let beginning = hash.first_chunk::<8>();
            beginning.map_or(0, |beginning| u64::from_be_bytes(*beginning))
        }))
    }
}

impl Content {
    /// Its digits alone: what is written down many times.
    pub fn digits(&self) -> String {
        format!("{:0width$x}", self.0, width = DIGITS)
    }

    /// Reads what [`Content::digits`] gives.
    pub fn read(digits: &str) -> Option<Self> {
        let is_right = digits.len() == DIGITS && digits.bytes().all(|it| it.is_ascii_hexdigit());
        let number = u64::from_str_radix(digits, 16).ok();
        number.filter(|_| is_right).map(Self)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_the_beginning_of_the_digest() {
        let digest = "sha256:00b4c5d6e7f80123456789abcdef00000000000000000000000000000000abcd";
        assert_eq!(Content::of(digest).to_string(), "sha256:00b4c5d6e7f80123");
        assert_eq!(Content::of(digest), Content(0x00b4_c5d6_e7f8_0123));
    }

    #[test]
    fn whatever_kubelet_says_has_a_content_of_its_own() {
        let texts = [
            "",
            "sha256",
            "sha256:",
            "sha256:ab",
            "sha256:zzzzzzzzzzzzzzzz",
            "ébène:ééééééééééééééééé",
        ];
        let contents: std::collections::BTreeSet<_> = texts.map(Content::of).into();
        assert_eq!(contents.len(), texts.len());
    }
}
