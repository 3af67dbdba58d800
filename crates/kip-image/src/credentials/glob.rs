//! Patterns of one part of a host name, as Go's [`filepath.Match`] reads them.
//!
//! ```text
//! pattern: { term }
//! term:    '*'                   any run of characters, also none
//!          '?'                   any one character
//!          '[' ['^'] {range} ']' one character of the ranges, or none of them
//!          '\' c                 the character c
//!          c                     the character c
//! range:   c | '\' c | lo '-' hi
//! ```
//!
//! A malformed pattern matches nothing. What Go does about `/` is left out: no part of a host name has one.
//!
//! [`filepath.Match`]: https://pkg.go.dev/path/filepath#Match

/// Whether the pattern matches all of `text`.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match_all(pattern, text).unwrap_or(false)
}

/// Whether a text means something else than itself as a pattern.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

/// The pattern is malformed.
#[derive(Debug)]
struct Malformed;

fn match_all(mut pattern: &[u8], mut text: &[u8]) -> Result<bool, Malformed> {
    while !pattern.is_empty() {
        let (star, chunk, after) = split_chunk(pattern);
        pattern = after;
        if star && chunk.is_empty() {
            return Ok(true);
        }
        let is_last = pattern.is_empty();
        // Where the last chunk may match, it must reach the end.
        let fits = |rest: &&[u8]| rest.is_empty() || !is_last;
        let mut rest = match_chunk(chunk, text)?.filter(fits);
        if star {
            let mut skipped = 1;
            while rest.is_none() && skipped <= text.len() {
                rest = match_chunk(chunk, &text[skipped..])?.filter(fits);
                skipped += 1;
            }
        }
        match rest {
            Some(rest) => text = rest,
            None => return Ok(false),
        }
    }
    Ok(text.is_empty())
}

/// Splits off the stars at the beginning, and what follows up to the next star.
fn split_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    let pattern = &pattern[stars..];
    let mut in_range = false;
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'[' => in_range = true,
            b']' => in_range = false,
            b'*' if !in_range => break,
            _ => {}
        }
        at += 1;
    }
    let (chunk, after) = pattern.split_at(at.min(pattern.len()));
    (stars > 0, chunk, after)
}

/// Matches a chunk without stars at the beginning of `text`; the answer is what follows it there. Once it is known
/// that nothing matches, it goes on: a malformed end makes all of the pattern malformed.
fn match_chunk<'t>(mut chunk: &[u8], text: &'t [u8]) -> Result<Option<&'t [u8]>, Malformed> {
    let mut rest = Some(text);
    while let Some((&first, after)) = chunk.split_first() {
        rest = rest.filter(|rest| !rest.is_empty());
        match first {
            b'[' => {
                let (character, length) = decode(rest.unwrap_or_default());
                let matched;
                (matched, chunk) = match_class(after, character)?;
                rest = rest.filter(|_| matched).and_then(|rest| rest.get(length..));
            }
            b'?' => {
                rest = rest.and_then(|rest| rest.get(decode(rest).1..));
                chunk = after;
            }
            _ => {
                let literal = if first == b'\\' { after } else { chunk };
                let (&byte, after) = literal.split_first().ok_or(Malformed)?;
                rest = rest.and_then(|rest| rest.strip_prefix(&[byte]));
                chunk = after;
            }
        }
    }
    Ok(rest)
}

/// Whether the class that begins after the bracket has the character, and what follows its end.
fn match_class(class: &[u8], character: char) -> Result<(bool, &[u8]), Malformed> {
    let (negated, mut class) = match class.strip_prefix(b"^") {
        Some(class) => (true, class),
        None => (false, class),
    };
    let mut found = false;
    let mut ranges = 0;
    loop {
        if let Some(after) = class.strip_prefix(b"]").filter(|_| ranges > 0) {
            return Ok((found != negated, after));
        }
        let low;
        (low, class) = bound(class)?;
        let mut high = low;
        if let Some(after) = class.strip_prefix(b"-") {
            (high, class) = bound(after)?;
        }
        found |= (low..=high).contains(&character);
        ranges += 1;
    }
}

/// A bound of a range, and what follows, which is never empty: the class has not ended.
fn bound(class: &[u8]) -> Result<(char, &[u8]), Malformed> {
    if matches!(class.first(), None | Some(b'-' | b']')) {
        return Err(Malformed);
    }
    let class = class.strip_prefix(b"\\").unwrap_or(class);
    let (character, length) = decode(class);
    if character == char::REPLACEMENT_CHARACTER && length <= 1 {
        return Err(Malformed);
    }
    let after = &class[length..];
    if after.is_empty() {
        return Err(Malformed);
    }
    Ok((character, after))
}

/// The first character and its length; the replacement character for a byte that begins none.
fn decode(text: &[u8]) -> (char, usize) {
    let start = &text[..text.len().min(4)];
    let valid = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    match valid.chars().next() {
        Some(character) => (character, character.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, start.len().min(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_pattern, matches};

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*b*c*d*e*", "axbxcxdxe", true),
            ("a*b*c*d*e*", "axbxcxdxexxx", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "aéb", true),
            ("a[^a]b", "aéb", true),
            ("a???b", "aéb", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "a", false),
            ("*x", "xxx", true),
            ("ab", "abc", false),
            ("", "", true),
            ("", "a", false),
            ("*-good", "prefix-good", true),
            ("*-good", "good", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn malformed_patterns_match_nothing() {
        for pattern in [
            "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "[a\\",
        ] {
            for text in ["", "a", "-", "]", "\\", "["] {
                assert!(
                    !matches(pattern.as_bytes(), text.as_bytes()),
                    "{pattern} on {text}"
                );
            }
        }
    }

    #[test]
    fn only_the_signs_of_patterns_make_one() {
        assert!(!is_pattern(b"registry-1_~x"));
        for pattern in ["*", "a?", "[::1]", "\\a"] {
            assert!(is_pattern(pattern.as_bytes()), "{pattern}");
        }
    }
}
