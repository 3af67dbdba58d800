//! A fetcher: a pod that brings the images to one node while the `DaemonSet`'s pod there still holds the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
    ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use sha2::{Digest as _, Sha256};

use super::names::{COMPONENT, FETCHER, HOLDER_UID, NODE, ROUND};
use super::{Owner, owner_reference};

/// What a fetcher is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The node.
    pub node: String,
    /// The round's number.
    pub round: u64,
    /// Names of the images that are asked for though they may be on the node. The others are pulled if they are not.
    pub ask: BTreeSet<String>,
}

/// What a fetcher asks of its node beside images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requests {
    /// Nothing.
    Nothing,
    /// As much as a pod of the `DaemonSet`: where a `LimitRange` has a minimum.
    AsTemplate,
}

/// An eviction of a fetcher costs no more than a try: an autoscaler need not keep a node for it.
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// The fetcher of an order, made from the `DaemonSet`'s template. Its name follows from the order: a second daemon,
/// or the same one after a restart, makes no second one.
///
/// The Deployment is its controller, where there is one: `kubectl drain` refuses a pod that has none. The `DaemonSet`
/// cannot be it, its own controller would release a pod that its selector does not match.
pub fn fetcher(
    desired: &DaemonSet,
    holder_uid: &str,
    owner: Option<&Owner>,
    order: &Order,
    requests: Requests,
) -> Pod {
    let template = desired.spec.as_ref().map(|spec| spec.template.clone());
    let template = template.unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    let mut labels = meta.labels.unwrap_or_default();
    labels.insert(COMPONENT.to_owned(), FETCHER.to_owned());
    let mut annotations = meta.annotations.unwrap_or_default();
    annotations.extend(
        [
            (ROUND, order.round.to_string()),
            (HOLDER_UID, holder_uid.to_owned()),
            (NODE, order.node.clone()),
            (SAFE_TO_EVICT, "true".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    let mut spec = template.spec.unwrap_or_default();
    spec.affinity = Some(only(&order.node));
    if requests == Requests::Nothing {
        request_nothing(&mut spec.resources);
        let init = spec.init_containers.iter_mut().flatten();
        for container in init.chain(&mut spec.containers) {
            request_nothing(&mut container.resources);
        }
    }
    for container in &mut spec.containers {
        if order.ask.contains(&container.name) {
            container.image_pull_policy = Some("Always".to_owned());
        }
    }
    let daemonset = desired.metadata.name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            name: Some(name(daemonset, holder_uid, order)),
            namespace: desired.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![owned_by(daemonset, holder_uid, owner)]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}

fn name(daemonset: &str, holder_uid: &str, order: &Order) -> String {
    let seed = format!("{holder_uid}/{}/{}", order.round, order.node);
    let hash = Sha256::digest(seed.as_bytes());
    let mut name = format!("{daemonset}-fetch-");
    for byte in &hash[..5] {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The node is the one on which the `DaemonSet` has a pod: whatever else the template asks of a node is met there.
fn only(node: &str) -> Affinity {
    let term = NodeSelectorTerm {
        match_fields: Some(vec![NodeSelectorRequirement {
            key: "metadata.name".to_owned(),
            operator: "In".to_owned(),
            values: Some(vec![node.to_owned()]),
        }]),
        match_expressions: None,
    };
    Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![term],
            }),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// A fetcher lives for as long as it pulls, beside a pod that has requested the same already: a node that is full
/// still has room for it. Zero is written out, since a request that is left out becomes the limit.
fn request_nothing(resources: &mut Option<ResourceRequirements>) {
    let Some(resources) = resources else {
        return;
    };
    let named: BTreeSet<String> = [&resources.requests, &resources.limits]
        .into_iter()
        .flatten()
        .flat_map(BTreeMap::keys)
        .cloned()
        .collect();
    let nothing = |name| (name, Quantity("0".to_owned()));
    resources.requests = Some(named.into_iter().map(nothing).collect());
}

fn owned_by(daemonset: &str, holder_uid: &str, owner: Option<&Owner>) -> OwnerReference {
    match owner {
        Some(deployment) => OwnerReference {
            controller: Some(true),
            ..owner_reference("Deployment", &deployment.name, &deployment.uid)
        },
        None => owner_reference("DaemonSet", daemonset, holder_uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn desired() -> DaemonSet {
        let resources =
            json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "1", "memory": "20Mi"}});
        serde_json::from_value(json!({
            "metadata": {"name": "keeper", "namespace": "puller"},
            "spec": {"selector": {}, "template": {
                "metadata": {"labels": {"app.kubernetes.io/component": "holder", "team": "x"}, "annotations": {"a": "b"}},
                "spec": {
                    "affinity": {"podAntiAffinity": {}},
                    "resources": resources,
                    "initContainers": [{"name": "copy-sleep", "imagePullPolicy": "IfNotPresent"}],
                    "containers": [
                        {"name": "app", "imagePullPolicy": "IfNotPresent", "resources": resources},
                        {"name": "base", "imagePullPolicy": "IfNotPresent"},
                    ]}}},
        }))
        .unwrap()
    }

    fn order(round: u64) -> Order {
        Order {
            node: "node.one".to_owned(),
            round,
            ask: BTreeSet::from(["app".to_owned()]),
        }
    }

    #[test]
    fn it_goes_to_its_node_asks_for_what_it_is_told_and_requests_nothing() {
        let pod = fetcher(&desired(), "ds-1", None, &order(7), Requests::Nothing);
        let meta = &pod.metadata;
        let labels = meta.labels.as_ref().unwrap();
        assert_eq!(
            (labels[COMPONENT].as_str(), labels["team"].as_str()),
            (FETCHER, "x")
        );
        let annotations = meta.annotations.as_ref().unwrap();
        for (key, value) in [
            (ROUND, "7"),
            (HOLDER_UID, "ds-1"),
            (NODE, "node.one"),
            ("a", "b"),
        ] {
            assert_eq!(annotations[key], value, "{key}");
        }
        let spec = serde_json::to_value(pod.spec.unwrap()).unwrap();
        assert_eq!(
            spec["affinity"],
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node.one"]}]}]}}})
        );
        let nothing = json!({"requests": {"cpu": "0", "memory": "0"}, "limits": {"cpu": "1", "memory": "20Mi"}});
        assert_eq!(spec["resources"], nothing);
        assert_eq!(spec["containers"][0]["resources"], nothing);
        assert_eq!(spec["containers"][0]["imagePullPolicy"], "Always");
        assert_eq!(spec["containers"][1]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(spec["initContainers"][0]["imagePullPolicy"], "IfNotPresent");
    }

    #[test]
    fn its_name_follows_from_the_order_and_its_owner_is_the_deployment_where_there_is_one() {
        let name = |uid, round| {
            fetcher(&desired(), uid, None, &order(round), Requests::Nothing)
                .metadata
                .name
        };
        assert_eq!(name("ds-1", 7), name("ds-1", 7));
        assert_ne!(name("ds-1", 7), name("ds-1", 8));
        assert_ne!(name("ds-1", 7), name("ds-2", 7));
        let deployment = Owner {
            name: "boss".to_owned(),
            uid: "boss-1".to_owned(),
        };
        let owner = |owner| {
            let pod = fetcher(&desired(), "ds-1", owner, &order(7), Requests::Nothing);
            let owner = pod.metadata.owner_references.unwrap().remove(0);
            (owner.kind, owner.uid, owner.controller)
        };
        let boss = ("Deployment".to_owned(), "boss-1".to_owned(), Some(true));
        assert_eq!(owner(Some(&deployment)), boss);
        let holder = ("DaemonSet".to_owned(), "ds-1".to_owned(), None);
        assert_eq!(owner(None), holder);
    }
}
