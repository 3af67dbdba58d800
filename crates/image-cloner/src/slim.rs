//! Reads of an object no more than is looked at: names, labels, owners, images and pull secrets. An object may have megabytes,
//! and each value in memory takes many times what it takes in text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is read of a value. All else is passed over, and is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Text, a number, a truth; nothing of a list or an object.
    Plain,
    /// An object's texts, whatever their keys are.
    Texts,
    /// These fields of an object.
    Fields(&'static [(&'static str, Shape)]),
    /// Each entry of a list. One of another shape keeps its place.
    Each(&'static Shape),
}

const CONTAINER: Shape = Shape::Fields(&[
    ("name", Shape::Plain),
    ("image", Shape::Plain),
    ("imagePullPolicy", Shape::Plain),
]);
const VOLUME: Shape = Shape::Fields(&[
    ("name", Shape::Plain),
    (
        "image",
        Shape::Fields(&[("reference", Shape::Plain), ("pullPolicy", Shape::Plain)]),
    ),
]);
const NAMED: Shape = Shape::Fields(&[("name", Shape::Plain)]);
const OWNER: Shape = Shape::Fields(&[
    ("apiVersion", Shape::Plain),
    ("kind", Shape::Plain),
    ("controller", Shape::Plain),
]);
const METADATA: Shape = Shape::Fields(&[
    ("labels", Shape::Texts),
    (
        "annotations",
        Shape::Fields(&[("kubernetes.io/config.mirror", Shape::Plain)]),
    ),
    ("ownerReferences", Shape::Each(&OWNER)),
]);
/// A pod's spec, a template's, and what they are in: no field of one is another's.
const SPEC: Shape = Shape::Fields(&[
    ("containers", Shape::Each(&CONTAINER)),
    ("initContainers", Shape::Each(&CONTAINER)),
    ("ephemeralContainers", Shape::Each(&CONTAINER)),
    ("volumes", Shape::Each(&VOLUME)),
    ("imagePullSecrets", Shape::Each(&NAMED)),
    ("serviceAccountName", Shape::Plain),
    ("template", TEMPLATE),
    (
        "jobTemplate",
        Shape::Fields(&[("spec", Shape::Fields(&[("template", TEMPLATE)]))]),
    ),
]);
const TEMPLATE: Shape = Shape::Fields(&[("spec", POD)]);
const POD: Shape = Shape::Fields(&[
    ("containers", Shape::Each(&CONTAINER)),
    ("initContainers", Shape::Each(&CONTAINER)),
    ("ephemeralContainers", Shape::Each(&CONTAINER)),
    ("volumes", Shape::Each(&VOLUME)),
    ("imagePullSecrets", Shape::Each(&NAMED)),
    ("serviceAccountName", Shape::Plain),
]);
const OBJECT: Shape = Shape::Fields(&[("metadata", METADATA), ("spec", SPEC)]);

/// Reads an object of a review.
pub(crate) fn object<'de, D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
    OBJECT.deserialize(from)
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        if let Self::Each(shape) = self {
            while let Some(value) = list.next_element_seed(*shape)? {
                values.push(value);
            }
        } else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let shape = match self {
                Self::Texts => Some(Self::Plain),
                Self::Fields(fields) => {
                    let field = fields.iter().find(|(name, _)| *name == key);
                    field.map(|(_, shape)| *shape)
                }
                Self::Plain | Self::Each(_) => None,
            };
            match shape {
                Some(shape) => {
                    values.insert(key, map.next_value_seed(shape)?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::{KINDS, images};

    fn slim(value: &Value) -> Value {
        object(value.clone()).unwrap()
    }

    #[test]
    fn what_is_looked_at_stays_where_it_is_and_all_else_goes() {
        let pod = json!({
            "containers": [7, {"name": "a", "image": "b", "env": [{"name": "x"}], "imagePullPolicy": "Always"}],
            "initContainers": [{"image": "c"}], "volumes": [{"name": "v", "emptyDir": {}}, {"image": {"reference": "d"}}],
            "imagePullSecrets": [{"name": "s"}], "serviceAccountName": "t", "nodeSelector": {"a": "b"},
        });
        for kind in KINDS {
            let mut object = pod.clone();
            for part in kind.pod_spec.split('/').rev().filter(|it| !it.is_empty()) {
                object = json!({ part: object, "status": {"a": [1]} });
            }
            object["metadata"] = json!({
                "labels": {"a": "b"}, "annotations": {"x": "y", "kubernetes.io/config.mirror": "h"},
                "ownerReferences": [{"apiVersion": "v1", "uid": "u", "controller": true}], "managedFields": [{}],
            });
            let slim = slim(&object);
            assert_eq!(images(kind, &slim), images(kind, &object));
            assert_eq!(images(kind, &slim).len(), 3, "{slim}");
            let text = slim.to_string();
            for gone in [
                "env",
                "nodeSelector",
                "managedFields",
                "uid",
                "emptyDir",
                "status",
            ] {
                assert!(!text.contains(gone), "{gone}: {text}");
            }
            let expected = json!({
                "labels": {"a": "b"}, "annotations": {"kubernetes.io/config.mirror": "h"},
                "ownerReferences": [{"apiVersion": "v1", "controller": true}],
            });
            assert_eq!(slim["metadata"], expected);
        }
    }

    #[test]
    fn what_has_another_shape_has_nothing_in_it() {
        assert_eq!(slim(&json!({"spec": [1, 2]})), json!({"spec": []}));
        assert_eq!(
            slim(&json!({"spec": {"containers": {"a": 1}}})),
            json!({"spec": {"containers": {}}})
        );
        assert_eq!(
            slim(&json!({"spec": {"containers": [{"image": {"a": 1}}]}})),
            json!({"spec": {"containers": [{"image": {}}]}})
        );
        assert_eq!(slim(&json!(null)), json!(null));
    }
}
