//! A user's part of a pod template, laid over the daemon's own by the rules of a
//! [strategic merge](https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/).

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Map, Value};

use crate::config::overlay::Overlay;

/// The key by which the items of this list are told apart; other lists are replaced as a whole.
pub fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        _ => None,
    }
}

/// The template with the overlay on it.
pub(super) fn applied(overlay: &Overlay, template: PodTemplateSpec) -> PodTemplateSpec {
    if overlay.is_empty() {
        return template;
    }
    let Ok(Value::Object(mut document)) = serde_json::to_value(&template) else {
        return template;
    };
    merge(&mut document, overlay.document());
    if let Some(Value::Object(spec)) = document.get_mut("spec") {
        write_both_names(spec);
    }
    // Each of the two has been read as a template, field by field, so their union can be.
    serde_json::from_value(Value::Object(document)).unwrap_or(template)
}

/// The API server writes the account's name into the field's old name too, as nobody's. What nobody owns no apply takes
/// away, and from the old name the API server would bring the new one back.
fn write_both_names(spec: &mut Map<String, Value>) {
    if let Some(name) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".to_owned(), name);
    }
}

/// Lays one document over another: maps are merged, lists with a [`merge_key`] item by item, null deletes, and all
/// else is replaced.
pub fn merge(base: &mut Map<String, Value>, overlay: &Map<String, Value>) {
    for (field, value) in overlay {
        match (base.get_mut(field), value) {
            (_, Value::Null) => {
                base.remove(field);
            }
            (Some(Value::Object(base)), Value::Object(overlay)) => merge(base, overlay),
            (Some(Value::Array(base)), Value::Array(overlay)) if merge_key(field).is_some() => {
                merge_items(base, overlay, merge_key(field).unwrap_or_default());
            }
            _ => {
                base.insert(field.clone(), fresh(value));
            }
        }
    }
}

fn merge_items(base: &mut Vec<Value>, overlay: &[Value], key: &str) {
    for item in overlay {
        let old = base
            .iter_mut()
            .find(|old| !item[key].is_null() && old[key] == item[key]);
        match (old, item) {
            (Some(Value::Object(old)), Value::Object(item)) => merge(old, item),
            _ => base.push(fresh(item)),
        }
    }
}

/// A value where there was none: there is nothing that a null in it could delete.
fn fresh(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key.clone(), fresh(value)))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(list) => list.iter().map(fresh).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(base: Value, overlay: Value) -> Value {
        let (Value::Object(mut base), Value::Object(overlay)) = (base, overlay) else {
            panic!("two maps");
        };
        merge(&mut base, &overlay);
        Value::Object(base)
    }

    #[test]
    fn an_account_has_both_of_its_names_so_that_both_can_be_taken_away() {
        let mut spec = Map::from_iter([("serviceAccountName".to_owned(), json!("cached"))]);
        write_both_names(&mut spec);
        assert_eq!(
            Value::Object(spec),
            json!({"serviceAccountName": "cached", "serviceAccount": "cached"})
        );
        let mut none = Map::new();
        write_both_names(&mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn maps_are_merged_and_null_deletes() {
        assert_eq!(
            merged(
                json!({"a": {"b": 1, "c": 2, "d": 3}, "e": {"f": 1}}),
                json!({"a": {"c": null, "d": 4, "x": {"y": null, "z": 1}}, "e": null, "n": null}),
            ),
            json!({"a": {"b": 1, "d": 4, "x": {"z": 1}}})
        );
    }

    #[test]
    fn lists_with_a_key_are_merged_in_their_order_and_others_replaced() {
        assert_eq!(
            merged(
                json!({
                    "containers": [{"name": "a", "v": 1}, {"name": "b", "v": 2}],
                    "volumeMounts": [{"mountPath": "/a", "name": "x"}],
                    "tolerations": [{"key": "a"}],
                }),
                json!({
                    "containers": [{"name": "b", "w": 3, "v": null}, {"name": "c", "v": null}],
                    "volumeMounts": [{"mountPath": "/b", "name": "x"}, {"mountPath": "/a", "readOnly": true}],
                    "tolerations": [{"key": "b"}],
                    "env": [{"name": "a"}],
                }),
            ),
            json!({
                "containers": [{"name": "a", "v": 1}, {"name": "b", "w": 3}, {"name": "c"}],
                "volumeMounts": [
                    {"mountPath": "/a", "name": "x", "readOnly": true},
                    {"mountPath": "/b", "name": "x"},
                ],
                "tolerations": [{"key": "b"}],
                "env": [{"name": "a"}],
            })
        );
    }
}
