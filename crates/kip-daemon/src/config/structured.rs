//! Settings whose value is a document: JSON as in the original, or YAML. Unknown fields are refused.

use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Reads a document; absent or empty, it is the type's default.
///
/// # Errors
/// Says where the document is malformed, or which field is unknown.
pub(super) fn parse<T: DeserializeOwned + Default>(
    variable: &'static str,
    text: Option<&str>,
) -> Result<T, Problem> {
    let Some(text) = text else {
        return Ok(T::default());
    };
    let value = document(text).map_err(|wrong| Problem::new(variable, text, wrong))?;
    if value.is_null() {
        return Ok(T::default());
    }
    let mut unknown = Vec::new();
    let parsed = serde_ignored::deserialize(&value, |path| unknown.push(path.to_string()))
        .map_err(|error| Problem::new(variable, text, error))?;
    if unknown.is_empty() {
        Ok(parsed)
    } else {
        let fields = unknown.join(", ");
        Err(Problem::new(
            variable,
            text,
            format!("unknown field: {fields}"),
        ))
    }
}

/// JSON first: it is what the original takes, and its tabs are not YAML.
fn document(text: &str) -> Result<serde_json::Value, String> {
    let json = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    serde_saphyr::from_str(text).map_err(|yaml| {
        let yaml = yaml.to_string();
        // The parser's report goes on with a picture of the place; a setting's error is one line.
        let yaml = yaml.lines().next().unwrap_or_default();
        format!("is neither JSON ({json}) nor YAML ({yaml})")
    })
}
