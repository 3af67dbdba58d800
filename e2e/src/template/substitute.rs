//! `${NAME}` and `${{NAME}}`.

use serde_json::{Map, Number, Value};

use super::{Error, Values};

/// Whether a parameter's name may have this byte.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether the text has a `${NAME}`.
pub(super) fn has_reference(text: &str) -> bool {
    !references(text).is_empty()
}

/// Every `${NAME}` of the text, as it is written.
fn references(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let name = &rest[start + 2..];
        let length = name.bytes().take_while(|byte| is_name(*byte)).count();
        if length > 0 && name[length..].starts_with('}') {
            found.push(&rest[start..start + length + 3]);
            rest = &name[length + 1..];
        } else {
            rest = name;
        }
    }
    found
}

fn name_of(reference: &str) -> &str {
    reference
        .trim_start_matches(['$', '{'])
        .trim_end_matches('}')
}

/// The text with its parameters replaced, and whether it is text still: a whole `${{NAME}}` is not.
///
/// A name that is no parameter stays as it is. Each replacement is the first place of that reference in what the
/// earlier ones have made, as in OpenShift's processor.
pub(super) fn text(text: &str, values: &Values) -> (String, bool) {
    let inner = text
        .strip_prefix("${{")
        .and_then(|rest| rest.strip_suffix("}}"));
    if let Some(value) = inner.and_then(|name| values.get(name)) {
        return (value.clone(), false);
    }
    let mut out = text.to_owned();
    for reference in references(text) {
        if let Some(value) = values.get(name_of(reference)) {
            out = out.replacen(reference, value, 1);
        }
    }
    (out, true)
}

/// An object of the template, its keys included.
pub(super) fn object(value: Value, values: &Values) -> Result<Value, Error> {
    Ok(visit(value, values)?.unwrap_or(Value::Null))
}

/// `None` is what vanishes from the map that it is in.
fn visit(value: Value, values: &Values) -> Result<Option<Value>, Error> {
    Ok(Some(match value {
        Value::String(before) => match text(&before, values) {
            (after, true) => Value::String(after),
            (after, false) => match data(after) {
                Value::Null => return Ok(None),
                data => data,
            },
        },
        Value::Array(items) => {
            let items = items.into_iter().map(|item| match item {
                // One that is written out is not touched.
                Value::Null => Ok(Value::Null),
                item => visit(item, values)?.ok_or(Error::NullItem),
            });
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => Value::Object(map(entries, values)?),
        other => other,
    }))
}

fn map(entries: Map<String, Value>, values: &Values) -> Result<Map<String, Value>, Error> {
    let mut made = Map::new();
    for (before, value) in entries {
        let key = match text(&before, values) {
            (after, true) => after,
            (after, false) => match data(after) {
                Value::String(after) => after,
                other => return Err(Error::Key(before, other)),
            },
        };
        if let Some(value) = visit(value, values)?
            && made.insert(key.clone(), value).is_some()
        {
            return Err(Error::Collision(key));
        }
    }
    Ok(made)
}

/// What a `${{NAME}}` becomes: JSON, or text where it is none. Nothing inside of it is replaced again.
fn data(value: String) -> Value {
    match serde_json::from_str(&value) {
        Ok(data) => plain_numbers(data),
        Err(_) => Value::String(value),
    }
}

/// Go reads every number as a float and prints a whole one without a point: `1e3` and `1.0` are 1000 and 1.
fn plain_numbers(value: Value) -> Value {
    /// Beyond it a float is not exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT);
            #[allow(
                clippy::cast_possible_truncation,
                reason = "it is whole, and an i64 holds it"
            )]
            Value::Number(whole.map_or(number, |float| Number::from(float as i64)))
        }
        Value::Array(items) => items.into_iter().map(plain_numbers).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(key, value)| (key, plain_numbers(value)))
            .collect(),
        other => other,
    }
}
