//! A fetcher: a pod that brings the images to one node while the `DaemonSet`'s pod there still holds the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Affinity, Container, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use sha2::{Digest as _, Sha256};

use super::Owner;
use super::names::{COMPONENT, FETCHER, HOLDER_UID, NODE, ROUND};

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

/// An eviction of a fetcher costs no more than a try: an autoscaler need not keep a node for it.
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// The fetcher of an order, made from the `DaemonSet`'s template. Its name follows from the order: a second daemon,
/// or the same one after a restart, makes no second one.
///
/// The Deployment is its controller, where there is one: `kubectl drain` refuses a pod that has none. The `DaemonSet`
/// cannot be it, its own controller would release a pod that its selector does not match.
pub fn fetcher(desired: &DaemonSet, holder_uid: &str, owner: Option<&Owner>, order: &Order) -> Pod {
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
    for container in spec.init_containers.iter_mut().flatten() {
        request_nothing(container);
    }
    for container in &mut spec.containers {
        request_nothing(container);
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
fn request_nothing(container: &mut Container) {
    let Some(resources) = &mut container.resources else {
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
            ..super::owner_reference(deployment)
        },
        None => OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "DaemonSet".to_owned(),
            name: daemonset.to_owned(),
            uid: holder_uid.to_owned(),
            controller: None,
            block_owner_deletion: None,
        },
    }
}
