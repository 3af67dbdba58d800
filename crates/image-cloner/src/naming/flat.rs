//! Names of one part: some words to read, and a hash that tells them apart.

use std::fmt::Write as _;

use kip_image::Reference;
use ring::digest::{SHA256, digest};

/// So many characters of words at most.
const WORDS: usize = 40;

/// Names have so many characters at most.
pub(super) const LONGEST: usize = WORDS + 1 + 64;

/// The name for this registry and repository, and for no other. It is one part; all others have at least two.
pub(super) fn part(source: &Reference) -> String {
    let hash = hash(source.name());
    let words = words(source.repository());
    format!("{words}-{hash}")
}

/// The last words of the repository, with single hyphens between them.
fn words(repository: &str) -> String {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let mut text = String::new();
    for word in repository.rsplit(|letter| !is_word(letter)) {
        if text.is_empty() {
            // Letters and digits, a byte each.
            word[..word.len().min(WORDS)].clone_into(&mut text);
        } else if text.len() + 1 + word.len() > WORDS {
            break;
        } else if !word.is_empty() {
            text = format!("{word}-{text}");
        }
    }
    text
}

/// The SHA-256 of a text.
pub(super) fn hash(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

/// Small letters, two for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A text takes whatever is written into it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
