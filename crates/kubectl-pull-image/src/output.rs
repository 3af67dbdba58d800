//! Standard output.

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
    let text = match output {
        Output::Yaml => serde_saphyr::to_string(value)?,
        Output::Json | Output::Text => serde_json::to_string_pretty(value)? + "\n",
    };
    write(&text)
}
