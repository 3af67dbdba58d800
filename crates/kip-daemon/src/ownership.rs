//! Field ownership, taken over before a server-side apply.
//!
//! A forced apply overwrites what others changed, but does not remove what they added: a container added by hand
//! would stay. So every field of `spec` that somebody else owns is first made ours; the apply that follows does not
//! mention it, and the API server removes it. Annotations of the pod template are left to whoever set them
//! (`kubectl rollout restart` works by one), and so is everything outside of `spec`.
//!
//! Format: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value};

use crate::desired::names::MANAGER;

const APPLY: &str = "Apply";

/// The entries with all of `spec` in ours; `None` where it is already so.
pub fn take_over(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let mut taken = Map::new();
    let mut remaining = Vec::with_capacity(entries.len() + 1);
    for entry in entries {
        let mut entry = entry.clone();
        if !is_ours(&entry)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && let Some(FieldsV1(Value::Object(fields))) = &mut entry.fields_v1
            && let Some(spec) = take_spec(fields)
        {
            merge(&mut taken, Map::from_iter([("f:spec".to_owned(), spec)]));
            if fields.is_empty() {
                continue;
            }
        }
        remaining.push(entry);
    }
    if taken.is_empty() {
        return None;
    }
    take_both_names(&mut taken);
    match remaining.iter_mut().find(|entry| is_ours(entry)) {
        Some(ours) => match &mut ours.fields_v1 {
            Some(FieldsV1(Value::Object(fields))) => merge(fields, taken),
            fields => *fields = Some(FieldsV1(Value::Object(taken))),
        },
        None => remaining.push(ManagedFieldsEntry {
            api_version: Some("apps/v1".to_owned()),
            fields_type: Some("FieldsV1".to_owned()),
            fields_v1: Some(FieldsV1(Value::Object(taken))),
            manager: Some(MANAGER.to_owned()),
            operation: Some(APPLY.to_owned()),
            subresource: None,
            time: None,
        }),
    }
    Some(remaining)
}

/// Whether another manager owns a part of `spec` that should be ours: after an apply this means that the object had
/// lost its entries, and that what somebody added is still in it. Fields that admission sets while we write are
/// entered under our name as an update, and come back each time: they do not count.
pub fn is_shared(entries: &[ManagedFieldsEntry]) -> bool {
    let others: Vec<ManagedFieldsEntry> = entries
        .iter()
        .filter(|entry| entry.manager.as_deref() != Some(MANAGER))
        .cloned()
        .collect();
    take_over(&others).is_some()
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(MANAGER)
        && entry.operation.as_deref() == Some(APPLY)
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Takes `f:spec` out of the fields but for the annotations of the pod template; `None` if nothing else is in it.
fn take_spec(fields: &mut Map<String, Value>) -> Option<Value> {
    let mut spec = fields.remove("f:spec")?;
    let annotations = spec
        .get_mut("f:template")
        .and_then(|template| template.get_mut("f:metadata"))
        .and_then(Value::as_object_mut)
        .and_then(|metadata| metadata.remove("f:annotations"));
    if let Some(annotations) = annotations {
        let path = ["f:annotations", "f:metadata", "f:template", "f:spec"];
        let kept = path.into_iter().fold(annotations, |inner, key| {
            Value::Object(Map::from_iter([(key.to_owned(), inner)]))
        });
        if let Value::Object(kept) = kept {
            merge(fields, kept);
        }
    }
    prune(&mut spec).then_some(spec)
}

/// Who applies the account's name does not own the field's old name, into which the API server writes it too, and from
/// which it would bring it back.
fn take_both_names(taken: &mut Map<String, Value>) {
    let template = taken
        .get_mut("f:spec")
        .and_then(|spec| spec.get_mut("f:template"));
    if let Some(Value::Object(pod)) = template.and_then(|template| template.get_mut("f:spec"))
        && pod.contains_key("f:serviceAccountName")
    {
        pod.insert("f:serviceAccount".to_owned(), Value::Object(Map::new()));
    }
}

/// Removes the empty maps that taking the annotations out has left; whether something remains.
fn prune(spec: &mut Value) -> bool {
    let Some(spec) = spec.as_object_mut() else {
        return false;
    };
    if let Some(template) = spec.get_mut("f:template").and_then(Value::as_object_mut) {
        if template.get("f:metadata").is_some_and(is_empty) {
            template.remove("f:metadata");
        }
        if template.is_empty() {
            spec.remove("f:template");
        }
    }
    !spec.is_empty()
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(
        manager: &str,
        operation: &str,
        subresource: Option<&str>,
        fields: Value,
    ) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            api_version: Some("apps/v1".to_owned()),
            fields_type: Some("FieldsV1".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            subresource: subresource.map(str::to_owned),
            time: None,
        }
    }

    fn fields(entry: &ManagedFieldsEntry) -> &Value {
        &entry.fields_v1.as_ref().unwrap().0
    }

    #[test]
    fn nothing_is_done_where_spec_is_ours_alone() {
        let entries = [
            entry(MANAGER, APPLY, None, json!({"f:spec": {"f:selector": {}}})),
            entry(
                "kube-controller-manager",
                "Update",
                Some("status"),
                json!({"f:status": {}}),
            ),
            entry(
                "kubectl",
                "Update",
                None,
                json!({"f:metadata": {"f:annotations": {"f:a": {}}}}),
            ),
            entry(
                "kubectl-rollout",
                "Update",
                None,
                json!({"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:restartedAt": {}}}}}}),
            ),
        ];
        assert_eq!(take_over(&entries), None);
    }

    #[test]
    fn foreign_spec_becomes_ours_and_the_rest_stays_theirs() {
        let entries = [
            entry(
                MANAGER,
                APPLY,
                None,
                json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:a": {}}}}}}),
            ),
            entry(
                "kubectl-edit",
                "Update",
                None,
                json!({
                "f:metadata": {"f:labels": {"f:x": {}}},
                "f:spec": {"f:template": {
                    "f:metadata": {"f:annotations": {"f:restartedAt": {}}, "f:labels": {"f:y": {}}},
                    "f:spec": {"f:containers": {"k:b": {".": {}}}}}}}),
            ),
            entry(
                "patcher",
                "Update",
                None,
                json!({"f:spec": {"f:minReadySeconds": {}}}),
            ),
        ];
        let taken = take_over(&entries).unwrap();
        assert_eq!(taken.len(), 2, "an entry without fields goes");
        assert_eq!(
            fields(&taken[0]),
            &json!({"f:spec": {
            "f:minReadySeconds": {},
            "f:template": {"f:metadata": {"f:labels": {"f:y": {}}},
                "f:spec": {"f:containers": {"k:a": {}, "k:b": {".": {}}}}}}})
        );
        assert_eq!(
            fields(&taken[1]),
            &json!({
            "f:metadata": {"f:labels": {"f:x": {}}},
            "f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:restartedAt": {}}}}}})
        );
        assert_eq!(take_over(&taken), None, "once is enough");
    }

    #[test]
    fn the_account_is_taken_over_by_both_of_its_names() {
        let of = |pod| json!({"f:spec": {"f:template": {"f:spec": pod}}});
        let entries = [entry(
            "kubectl",
            APPLY,
            None,
            of(json!({"f:serviceAccountName": {}})),
        )];
        let taken = take_over(&entries).unwrap();
        assert_eq!(
            fields(&taken[0]),
            &of(json!({"f:serviceAccountName": {}, "f:serviceAccount": {}}))
        );
    }

    #[test]
    fn an_object_that_we_never_applied_gets_an_entry_of_ours() {
        let entries = [entry(
            MANAGER,
            "Update",
            None,
            json!({"f:spec": {"f:selector": {}}}),
        )];
        let taken = take_over(&entries).unwrap();
        assert_eq!(taken.len(), 1);
        assert!(is_ours(&taken[0]));
    }

    #[test]
    fn an_entry_made_for_an_object_without_any_is_shared_ownership() {
        let ours = entry(MANAGER, APPLY, None, json!({"f:spec": {"f:selector": {}}}));
        let admission = entry(
            MANAGER,
            "Update",
            None,
            json!({"f:spec": {"f:minReadySeconds": {}}}),
        );
        assert!(!is_shared(&[ours.clone(), admission]));
        let before = entry(
            "before-first-apply",
            "Update",
            None,
            json!({"f:spec": {"f:selector": {}}}),
        );
        assert!(is_shared(&[ours, before]));
    }
}
