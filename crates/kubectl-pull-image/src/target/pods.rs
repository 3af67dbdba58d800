//! Which pod is meant by `POD` or `TYPE/NAME`.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, Expression, Selector};
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::Value;

use super::types;
use crate::cluster::Cluster;
use crate::failure::{Status, failure, usage};
use crate::rights::explain;

/// Finds it.
pub(super) async fn pod(cluster: &Cluster, named: &str) -> Result<Pod> {
    let (kind, name) = types::split(named);
    let resource = types::resource(kind).ok_or_else(|| {
        let known = types::TYPES.iter().map(|it| it.trim_end_matches('/'));
        let known = known.collect::<Vec<_>>().join(", ");
        usage(format!(
            "'{named}': of TYPE/NAME, TYPE is one of {known}, for example deploy/web"
        ))
    })?;
    if name.is_empty() || name.contains('/') {
        let text = format!("'{named}': a name is missing, for example {kind}/web");
        return Err(usage(text));
    }
    let found = get(cluster, &resource, name).await?;
    if resource.kind == Pod::kind(&()) {
        return Ok(serde_json::from_value(found)?);
    }
    let selector = selector(&found, &resource, name)?;
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let pods = api
        .list(&ListParams::default().labels_from(&selector))
        .await
        .map_err(|error| explain(error, "list", "pods", &cluster.namespace))?;
    newest(pods.items).ok_or_else(|| {
        let text = format!(
            "{named} has no pod with a node in namespace {}",
            cluster.namespace
        );
        failure(Status::NotFound, text)
    })
}

async fn get(cluster: &Cluster, resource: &ApiResource, name: &str) -> Result<Value> {
    let client = cluster.client.clone();
    let api: Api<DynamicObject> = Api::namespaced_with(client, &cluster.namespace, resource);
    match api.get(name).await {
        Ok(found) => Ok(serde_json::to_value(found)?),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let kind = resource.kind.to_lowercase();
            let text = format!(
                "there is no {kind} {name} in namespace {}",
                cluster.namespace
            );
            Err(failure(Status::NotFound, text))
        }
        Err(error) => {
            let group = if resource.group.is_empty() { "" } else { "." };
            let resource = format!("{}{group}{}", resource.plural, resource.group);
            Err(explain(error, "get", &resource, &cluster.namespace))
        }
    }
}

/// The selector of what has pods.
fn selector(found: &Value, resource: &ApiResource, name: &str) -> Result<Selector> {
    let selector = found.pointer("/spec/selector").cloned();
    let selector = parse(selector.unwrap_or(Value::Null))?;
    if selector.selects_all() {
        let kind = resource.kind.to_lowercase();
        let text = format!("{kind} {name} selects no pods");
        return Err(failure(Status::NotFound, text));
    }
    Ok(selector)
}

/// A selector, or the mere labels that a Service and a `ReplicationController` have.
fn parse(selector: Value) -> Result<Selector> {
    if selector.is_null() {
        return Ok(Selector::default());
    }
    if let Ok(labels) = serde_json::from_value::<BTreeMap<String, String>>(selector.clone()) {
        let labels = labels.into_iter();
        return Ok(labels
            .map(|(key, value)| Expression::Equal(key, value))
            .collect());
    }
    let selector: LabelSelector = serde_json::from_value(selector)?;
    Ok(selector.try_into()?)
}

/// The newest ready pod; where none is ready, the newest one that has a node.
fn newest(pods: Vec<Pod>) -> Option<Pod> {
    let has_node = |pod: &Pod| {
        pod.spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some())
    };
    let rank = |pod: &Pod| (is_ready(pod), pod.creation_timestamp().map(|time| time.0));
    pods.into_iter().filter(has_node).max_by_key(rank)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|it| it.conditions.iter().flatten());
    let ready = conditions
        .into_iter()
        .any(|it| it.type_ == "Ready" && it.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(name: &str, second: u8, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {"nodeName": "n", "containers": []},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_service_without_a_selector_selects_nothing_that_it_names() {
        assert!(parse(Value::Null).unwrap().selects_all());
        assert!(!parse(json!({"app": "web"})).unwrap().selects_all());
        assert!(
            !parse(json!({"matchLabels": {"app": "web"}}))
                .unwrap()
                .selects_all()
        );
    }

    #[test]
    fn the_newest_ready_pod_is_taken() {
        let pods = || {
            vec![
                made("old", 1, "True"),
                made("new", 2, "True"),
                made("newest", 3, "False"),
            ]
        };
        assert_eq!(newest(pods()).unwrap().name_any(), "new");
        assert_eq!(
            newest(vec![made("a", 1, "False"), made("b", 2, "False")])
                .unwrap()
                .name_any(),
            "b"
        );
        assert!(newest(Vec::new()).is_none());
    }

    #[test]
    fn both_forms_of_selectors_are_read() {
        assert!(!parse(json!({"app": "web"})).unwrap().selects_all());
        assert!(
            !parse(json!({"matchLabels": {"app": "web"}}))
                .unwrap()
                .selects_all()
        );
        assert!(parse(json!({})).unwrap().selects_all());
    }
}
