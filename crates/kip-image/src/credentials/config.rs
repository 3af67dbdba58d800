//! The JSON of pull secrets, as Go's `encoding/json` reads it for kubelet: names of fields in any case, the last of
//! several counts, `null` for nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use super::auth;
use super::credential::Credential;
use super::error::{EntryName, Location, SecretError, SecretProblem};
use super::secret::SecretType;

/// The credentials of a secret by their keys.
pub(super) type Entries = BTreeMap<Box<str>, (EntryName, Credential)>;

/// Reads a secret of either type.
pub(super) fn read(kind: SecretType, data: &[u8]) -> Result<Entries, SecretError> {
    let mut reading = Reading {
        location: match kind {
            SecretType::DockerConfigJson => Location::Document,
            SecretType::DockerCfg => Location::Auths,
        },
        problem: None,
        entries: Entries::new(),
        number: 0,
    };
    let mut json = serde_json::Deserializer::from_slice(data);
    let read = match kind {
        SecretType::DockerConfigJson => json.deserialize_any(Document(&mut reading)),
        SecretType::DockerCfg => Auths(&mut reading).deserialize(&mut json),
    };
    match read.and_then(|()| json.end()) {
        Ok(()) => Ok(reading.entries),
        // The error's own text may quote the secret: only where it points is used.
        Err(error) => Err(SecretError {
            kind,
            location: reading.location,
            problem: reading.problem.unwrap_or_else(|| match error.classify() {
                Category::Data => SecretProblem::Type,
                Category::Eof => SecretProblem::Truncated,
                Category::Syntax | Category::Io => SecretProblem::Syntax {
                    line: error.line(),
                    column: error.column(),
                },
            }),
        }),
    }
}

/// How far the reading is.
struct Reading {
    /// Where it is, for errors.
    location: Location,
    /// What is wrong, where it is not the JSON.
    problem: Option<SecretProblem>,
    entries: Entries,
    number: usize,
}

/// The name of a field, as Go compares it: without regard to case, in Unicode's sense.
fn fold(name: &str) -> String {
    let fold = |c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

struct Document<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reading) = self;
        while let Some(name) = map.next_key::<String>()? {
            match fold(&name).as_str() {
                "auths" => map.next_value_seed(Auths(reading))?,
                "httpheaders" => map.next_value_seed(Headers(reading))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Auths<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Auths<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let outer = std::mem::replace(&mut self.0.location, Location::Auths);
        json.deserialize_any(Auths(self.0))?;
        self.0.location = outer;
        Ok(())
    }
}

impl<'de> Visitor<'de> for Auths<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.entries.clear();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reading) = self;
        while let Some(key) = map.next_key::<Box<str>>()? {
            reading.number += 1;
            let name = EntryName::new(reading.number, &key);
            reading.location = Location::Entry(name.clone());
            let credential = map.next_value_seed(Entry {
                reading,
                name: &name,
            })?;
            reading.entries.insert(key, (name, credential));
            reading.location = Location::Auths;
        }
        Ok(())
    }
}

struct Entry<'r> {
    reading: &'r mut Reading,
    name: &'r EntryName,
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = Credential;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Credential, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = Credential;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Credential, E> {
        Ok(Credential::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Credential, A::Error> {
        let Self { reading, name } = self;
        let (mut username, mut password, mut auth) =
            (Box::default(), Box::default(), Box::default());
        let mut token = None;
        while let Some(field) = map.next_key::<String>()? {
            let (field, value): (_, &mut Box<str>) = match fold(&field).as_str() {
                "username" => ("username", &mut username),
                "password" => ("password", &mut password),
                "auth" => ("auth", &mut auth),
                // Kubelet reads it, and makes nothing of it.
                "email" => ("email", &mut Box::default()),
                // Kubelet does not read it: whatever it is, the rest counts.
                "identitytoken" => {
                    token = map.next_value_seed(TextOrElse)?;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            reading.location = Location::Field(name.clone(), field);
            if let Some(text) = map.next_value()? {
                *value = text;
            }
            reading.location = Location::Entry(name.clone());
        }
        if !auth.is_empty() {
            (username, password) = auth::decode(&auth).map_err(|problem| {
                reading.location = Location::Field(name.clone(), "auth");
                reading.problem = Some(problem);
                A::Error::custom("auth")
            })?;
        }
        let credential = Credential::new(username, password);
        Ok(match token {
            Some(token) => credential.with_identity_token(token),
            None => credential,
        })
    }
}

/// `HttpHeaders`, which are not used, but spoil the secret where they are something else than texts.
struct Headers<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Headers<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let outer = std::mem::replace(&mut self.0.location, Location::Headers);
        json.deserialize_any(Headers(self.0))?;
        self.0.location = outer;
        Ok(())
    }
}

impl<'de> Visitor<'de> for Headers<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, Option<String>>()?.is_some() {}
        Ok(())
    }
}

/// A text, and nothing where it is something else.
struct TextOrElse;

impl<'de> DeserializeSeed<'de> for TextOrElse {
    type Value = Option<Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextOrElse {
    type Value = Option<Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text).filter(|text| !text.is_empty()).map(Into::into))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
