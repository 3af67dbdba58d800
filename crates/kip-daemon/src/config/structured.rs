//! Settings whose value is a document: JSON as in the original, or YAML. Unknown fields are refused, and so is a key
//! that a map has twice: one of the two values would silently not count.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_path_to_error::Track;

use super::problem::Problem;

/// Reads a document; absent or empty, it is the type's default.
///
/// # Errors
/// Says where the document is malformed, or which field is unknown.
pub(super) fn parse<T: DeserializeOwned + Default>(
    variable: &'static str,
    text: Option<&str>,
) -> Result<T, Problem> {
    let value = value(variable, text)?;
    if value.is_null() {
        return Ok(T::default());
    }
    typed(&value).map_err(|wrong| Problem::new(variable, text.unwrap_or_default(), wrong))
}

/// Reads a document as it is; absent or empty, it is null.
///
/// # Errors
/// Says where the document is malformed.
pub(super) fn value(variable: &'static str, text: Option<&str>) -> Result<Value, Problem> {
    let Some(text) = text else {
        return Ok(Value::Null);
    };
    document(text).map_err(|wrong| Problem::new(variable, text, wrong))
}

/// What a document says in the words of a type.
///
/// # Errors
/// Says which field is of the wrong kind, or unknown.
pub(super) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    let mut unknown = Vec::new();
    let mut track = Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let parsed = serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string()));
    match parsed {
        Ok(parsed) if unknown.is_empty() => Ok(parsed),
        // An optional field is a step of its own in these paths, written as a question mark.
        Ok(_) => Err(format!(
            "unknown field: {}",
            unknown.join(", ").replace(".?", "")
        )),
        Err(error) => match track.path().to_string() {
            path if path == "." => Err(error.to_string()),
            path => Err(format!("{path}: {error}")),
        },
    }
}

/// JSON first: it is what the original takes, and its tabs are not YAML.
fn document(text: &str) -> Result<Value, String> {
    let json = match serde_json::from_str::<Unique>(text) {
        Ok(Unique(value)) => return Ok(value),
        // It is JSON, but a key comes twice.
        Err(error) if error.is_data() => return Err(error.to_string()),
        Err(error) => error,
    };
    let Unique(value) = serde_saphyr::from_str(text).map_err(|yaml| {
        let yaml = yaml.to_string();
        // The parser's report goes on with a picture of the place; a setting's error is one line.
        let yaml = yaml.lines().next().unwrap_or_default();
        format!("is neither JSON ({json}) nor YAML ({yaml})")
    })?;
    Ok(value)
}

/// A document in which no map has a key twice; [`Value`] itself keeps the last one.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document without duplicate keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // YAML knows numbers that JSON does not, and null would count as absent.
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format!("{value} is no number that Kubernetes knows")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let wrong = format!("has the key {key:?} twice");
                return Err(serde::de::Error::custom(wrong));
            }
            let Unique(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
