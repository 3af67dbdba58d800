//! OpenShift templates, processed as `oc process -f FILE -p NAME=VALUE …` does it, where there is no OpenShift.
//!
//! ```text
//! text ──▶ Template (parameters, objects, labels) ──process(NAME=VALUE …)──▶ a List, ready for `oc apply -f -`
//! ```
//!
//! The rules are those of OpenShift's template processor: <https://github.com/openshift/library-go>, `pkg/template`.
//! Where it drops or garbles something without a word, this is an [`enum@Error`]: a template that relies on it is wrong.

mod substitute;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

/// Values by parameter.
type Values = BTreeMap<String, String>;

/// Why a template cannot be read or processed.
#[derive(Debug, Error)]
pub enum Error {
    /// The text is no YAML.
    #[error("the template is no YAML")]
    Yaml(#[source] serde_saphyr::Error),
    /// The YAML is no template, or has a field that none has: a misspelt one would silently not count.
    #[error("it is no template")]
    Shape(#[source] serde_json::Error),
    /// `kind` or `apiVersion` is that of something else.
    #[error("it is a {api_version} {kind}, no template.openshift.io/v1 Template")]
    Kind {
        /// The object's `apiVersion`.
        api_version: String,
        /// The object's `kind`.
        kind: String,
    },
    /// Two parameters have one name.
    #[error("the parameter {0} is declared twice")]
    Declared(String),
    /// `${…}` takes letters, digits and `_` only.
    #[error("{0:?} is no name of a parameter: letters, digits and `_` only, for example IMAGE_TAG")]
    Name(String),
    /// An argument that is not `NAME=VALUE`.
    #[error("{0:?} is no assignment; example: IMAGE_TAG=0.1.0")]
    Assignment(String),
    /// A parameter is given more than once.
    #[error("the parameter {0} is given more than once")]
    Twice(String),
    /// A parameter is given that the template does not have.
    #[error("the template has no parameter {0}")]
    Unknown(String),
    /// Parameters that must have a value have none.
    #[error("required, and without a value: {}", .0.join(", "))]
    Required(Vec<String>),
    /// A value would have to be made up.
    #[error("the parameter {0} is generated ({1}), which is not supported here: give it a value")]
    Generated(String, String),
    /// An object without a kind.
    #[error("object {0} has no kind")]
    NoKind(usize),
    /// A key of an object became something other than text.
    #[error("the key {0:?} becomes {1}, which is no text")]
    Key(String, Value),
    /// Two keys of an object became one.
    #[error("two keys become {0:?}: one of them would win by chance")]
    Collision(String),
    /// `${{…}}` gave `null` in a list, where OpenShift's processor crashes.
    #[error("an item of a list becomes null")]
    NullItem,
}

/// A parameter of a template.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameter {
    /// Its name in `${NAME}` and in `-p NAME=VALUE`.
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub display_name: String,
    /// What `oc process --parameters` says of it.
    #[serde(default)]
    pub description: String,
    /// What holds when nothing is given.
    #[serde(default)]
    pub value: String,
    /// Whether it must have a value.
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    generate: String,
    #[serde(default, rename = "from")]
    _from: String,
}

/// A template as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    api_version: String,
    kind: String,
    #[serde(rename = "metadata")]
    _metadata: Map<String, Value>,
    #[serde(default, rename = "message")]
    _message: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Its parameters, as they are declared.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    objects: Vec<Value>,
}

impl Template {
    /// Reads a template from YAML or JSON.
    ///
    /// # Errors
    /// Says what is no template. Text that is not quoted and reads as a number or a boolean is no text, as for `oc`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let value: Value = serde_saphyr::from_str(text).map_err(Error::Yaml)?;
        let template: Self = serde_json::from_value(value).map_err(Error::Shape)?;
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), Error> {
        // The second is the form of OpenShift 3, which still works.
        let versions = ["template.openshift.io/v1", "v1"];
        if self.kind != "Template" || !versions.contains(&self.api_version.as_str()) {
            return Err(Error::Kind {
                api_version: self.api_version.clone(),
                kind: self.kind.clone(),
            });
        }
        for (index, parameter) in self.parameters.iter().enumerate() {
            let name = &parameter.name;
            if name.is_empty() || !name.bytes().all(substitute::is_name) {
                return Err(Error::Name(name.clone()));
            }
            if self.parameters[..index].iter().any(|it| it.name == *name) {
                return Err(Error::Declared(name.clone()));
            }
        }
        Ok(())
    }

    /// The `List` that `oc process` prints for these arguments, each `NAME=VALUE` as after `-p`.
    ///
    /// # Errors
    /// What `oc` refuses, and what it would garble.
    pub fn process(&self, arguments: &[impl AsRef<str>]) -> Result<Value, Error> {
        let values = self.values(arguments)?;
        let mut labels = Map::new();
        for (key, value) in &self.labels {
            let key = substitute::text(key, &values).0;
            let value = substitute::text(value, &values).0;
            if labels.insert(key.clone(), value.into()).is_some() {
                return Err(Error::Collision(key));
            }
        }
        let mut items = Vec::new();
        for (index, object) in self.objects.iter().enumerate() {
            if object["kind"].as_str().is_none_or(str::is_empty) {
                return Err(Error::NoKind(index));
            }
            let mut object = object.clone();
            strip_namespace(&mut object);
            let mut object = substitute::object(object, &values)?;
            add_labels(&mut object, &labels);
            items.push(object);
        }
        Ok(json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
    }

    fn values(&self, arguments: &[impl AsRef<str>]) -> Result<Values, Error> {
        let mut given = Values::new();
        for argument in arguments {
            let argument = argument.as_ref();
            let Some((name, value)) = argument.split_once('=') else {
                return Err(Error::Assignment(argument.to_owned()));
            };
            if !self.parameters.iter().any(|it| it.name == name) {
                return Err(Error::Unknown(name.to_owned()));
            }
            if given.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(Error::Twice(name.to_owned()));
            }
        }
        let mut missing = Vec::new();
        for parameter in &self.parameters {
            let name = &parameter.name;
            // What is given switches the generator off, also when it is empty.
            if !given.contains_key(name) {
                if parameter.value.is_empty() && !parameter.generate.is_empty() {
                    return Err(Error::Generated(name.clone(), parameter.generate.clone()));
                }
                given.insert(name.clone(), parameter.value.clone());
            }
            if parameter.required && given[name].is_empty() {
                missing.push(name.clone());
            }
        }
        if missing.is_empty() {
            Ok(given)
        } else {
            Err(Error::Required(missing))
        }
    }
}

/// A namespace that is written out goes, so that the objects come into the project that is applied to; one with a
/// `${PARAMETER}` stays.
fn strip_namespace(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let stays = |namespace: &Value| namespace.as_str().is_some_and(substitute::has_reference);
        if !metadata.get("namespace").is_some_and(stays) {
            metadata.remove("namespace");
        }
    }
}

/// Adds the template's labels to the object, and to nothing inside of it; the template's win.
fn add_labels(object: &mut Value, labels: &Map<String, Value>) {
    if labels.is_empty() {
        return;
    }
    let own = &mut object["metadata"]["labels"];
    // Labels of which one is no text are not read, and so lost, as by OpenShift's processor.
    let mut all = match own.take() {
        Value::Object(own) if own.values().all(Value::is_string) => own,
        _ => Map::new(),
    };
    all.extend(labels.clone());
    *own = all.into();
}
