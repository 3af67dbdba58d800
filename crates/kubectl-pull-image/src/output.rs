//! Standard output.

use std::borrow::Cow;
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
        Output::Yaml => serde_saphyr::to_string(value)?,
        Output::Json | Output::Text => serde_json::to_string_pretty(value)? + "\n",
    })
}

/// Text of others, such that a terminal shows it and does nothing else: a node gives names and errors.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_shown = |it: char| !it.is_control() || matches!(it, '\n' | '\t');
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
    use super::printable;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_text() {
        assert_eq!(printable("a\tb\nä"), "a\tb\nä");
        assert_eq!(printable("a\x1b[2Jb\r\u{9b}c"), "a\\u{1b}[2Jb\\r\\u{9b}c");
    }
}
