//! Patterns beside `path/filepath`. Most of what a pattern can be does not come through a URL, in a key: so the module
//! is compared alone.

#[path = "../../src/credentials/glob.rs"]
mod glob;

use fastrand::Rng;

use crate::{Generated, Tally, oracle};

#[rustfmt::skip]
const PATTERN: &[&str] = &[
    "*", "*", "?", "[", "]", "^", "-", "\\", "a", "b", "c", "z", "é", "ζ", "[a-c]", "[^b]", "[]", "[a", "\u{fffd}", "[z-a]",
];

const TEXT: &[&str] = &[
    "a", "b", "c", "z", "-", "]", "[", "^", "\\", "*", "?", "é", "ζ", "\u{fffd}",
];

/// Bytes that are no UTF-8, or only together.
const BYTES: &[u8] = b"\xff\xc3\xa9\xf0\x9f";

fn text(rng: &mut Rng, pieces: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..rng.usize(..6) {
        if rng.u8(..24) == 0 {
            text.push(BYTES[rng.usize(..BYTES.len())]);
        } else {
            text.extend_from_slice(pieces[rng.usize(..pieces.len())].as_bytes());
        }
    }
    text
}

#[test]
#[ignore = "needs Go: builds and runs tests/go"]
fn patterns_match_what_they_match_in_go() {
    let generated = Generated::from_env();
    let mut rng = Rng::with_seed(generated.seed);
    let inputs: Vec<_> = (0..generated.count)
        .map(|_| (text(&mut rng, PATTERN), text(&mut rng, TEXT)))
        .collect();
    let fields = |(pattern, text): &(Vec<u8>, Vec<u8>)| {
        format!("{},{}", oracle::hex(pattern), oracle::hex(text))
    };
    let answers = oracle::ask("glob", inputs.iter().map(fields));
    let tally: Tally = inputs
        .iter()
        .zip(&answers)
        .map(|((pattern, text), go)| {
            let matched = glob::matches(pattern, text);
            // A text that is no pattern is compared as it is.
            let literal = glob::is_pattern(pattern) || matched == (pattern == text);
            match (matched, go.as_str()) {
                (true, "true") if literal => Ok("match"),
                (false, "false") if literal => Ok("no match"),
                (false, oracle::REFUSED) => Ok("malformed"),
                _ => Err(format!(
                    "{} on {}: {matched}, Go: {go}",
                    pattern.escape_ascii(),
                    text.escape_ascii()
                )),
            }
        })
        .collect();
    let part = inputs.len() / 30;
    let at_least = ["match", "no match", "malformed"].map(|name| (name, part));
    tally.assert("patterns", generated, &at_least);
}
