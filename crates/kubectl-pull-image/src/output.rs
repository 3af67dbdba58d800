//! Standard output.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Result;
use serde_json::Value;

use crate::cli::Output;

/// Writes text.
///
/// # Errors
/// When standard output fails.
pub fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints a document.
///
/// # Errors
/// When standard output fails.
pub fn print(value: &Value, output: Output) -> Result<()> {
    write(&text(value, output)?)
}

/// A document as text.
///
/// # Errors
/// Never: each value has a form.
pub fn text(value: &Value, output: Output) -> Result<String> {
    Ok(match output {
        Output::Yaml => printable(&serde_saphyr::to_string(value)?).into_owned(),
        Output::Json | Output::Text => in_json(&serde_json::to_string_pretty(value)?) + "\n",
    })
}

/// JSON in which a terminal finds nothing to obey. Such characters are in strings only.
fn in_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_shown(character) {
            shown.push(character);
        } else {
            // A string takes all that is written to it.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        }
    }
    shown
}

/// Whether a terminal shows it, and does nothing else: no control characters, and none that turn the direction of writing.
fn is_shown(it: char) -> bool {
    let is_turning = matches!(it, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(it.is_control() || is_turning) || matches!(it, '\n' | '\t')
}

/// Foreign text as a part of a line of ours.
pub fn in_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// Text of others, such that a terminal shows it and does nothing else: a node gives names and errors.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_shown(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_text() {
        assert_eq!(printable("a\tb\nä"), "a\tb\nä");
        assert_eq!(printable("a\x1b[2Jb\r\u{9b}c"), "a\\u{1b}[2Jb\\r\\u{9b}c");
        assert_eq!(in_line("a\nerror: b"), "a\\nerror: b");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        let value = json!({"a": "\u{9b}31m\u{7f}\u{202e}\n"});
        let json = text(&value, Output::Json).unwrap();
        assert_eq!(json, "{\n  \"a\": \"\\u009b31m\\u007f\\u202e\\n\"\n}\n");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        let yaml = text(&value, Output::Yaml).unwrap();
        assert!(yaml.chars().all(is_shown), "{yaml:?}");
    }
}
