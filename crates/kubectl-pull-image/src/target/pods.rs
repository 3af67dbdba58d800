//! Which pod is meant by `POD` or `TYPE/NAME`.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ReplicationController, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::{Metadata, NamespaceResourceScope};
use kube::api::ListParams;
use kube::core::{Expression, Selector};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::failure::{Status, failure, usage};
use crate::rights::explain;

/// Finds it.
pub(super) async fn pod(cluster: &Cluster, named: &str) -> Result<Pod> {
    let (kind, name) = match named.split_once('/') {
        Some((kind, name)) => (kind.to_ascii_lowercase(), name),
        None => ("pod".to_owned(), named),
    };
    if name.is_empty() || name.contains('/') {
        let text = format!("'{named}': a name is missing, for example {kind}/web");
        return Err(usage(text));
    }
    let selector = match kind.as_str() {
        "po" | "pod" | "pods" => return get::<Pod>(cluster, name).await,
        "deploy" | "deployment" | "deployments" | "deployments.apps" => {
            selector::<Deployment>(cluster, name).await?
        }
        "ds" | "daemonset" | "daemonsets" | "daemonsets.apps" => {
            selector::<DaemonSet>(cluster, name).await?
        }
        "sts" | "statefulset" | "statefulsets" | "statefulsets.apps" => {
            selector::<StatefulSet>(cluster, name).await?
        }
        "rs" | "replicaset" | "replicasets" | "replicasets.apps" => {
            selector::<ReplicaSet>(cluster, name).await?
        }
        "job" | "jobs" | "jobs.batch" => selector::<Job>(cluster, name).await?,
        "rc" | "replicationcontroller" | "replicationcontrollers" => {
            selector::<ReplicationController>(cluster, name).await?
        }
        "svc" | "service" | "services" => selector::<Service>(cluster, name).await?,
        _ => {
            let text = format!(
                "'{named}': of TYPE/NAME, TYPE is one of pod, deployment, daemonset, statefulset, replicaset, job, \
                 replicationcontroller, service, for example deploy/web"
            );
            return Err(usage(text));
        }
    };
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

async fn get<K>(cluster: &Cluster, name: &str) -> Result<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let kind = K::kind(&()).to_lowercase();
    match api.get(name).await {
        Ok(found) => Ok(found),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let text = format!(
                "there is no {kind} {name} in namespace {}",
                cluster.namespace
            );
            Err(failure(Status::NotFound, text))
        }
        Err(error) => Err(explain(error, "get", &K::plural(&()), &cluster.namespace)),
    }
}

/// The selector of what has pods.
async fn selector<K>(cluster: &Cluster, name: &str) -> Result<Selector>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Metadata
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + DeserializeOwned,
{
    let found = serde_json::to_value(get::<K>(cluster, name).await?)?;
    let selector = found
        .pointer("/spec/selector")
        .cloned()
        .unwrap_or(Value::Null);
    let selector = parse(selector)?;
    if selector.selects_all() {
        let kind = K::kind(&()).to_lowercase();
        return Err(failure(
            Status::NotFound,
            format!("{kind} {name} selects no pods"),
        ));
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
