//! The `DaemonSet` that a configuration asks for. Pure: the same input gives the same object.

mod containers;
mod fetcher;
pub mod hash;
pub mod names;
pub mod overlay;
mod placement;
mod pod;
mod sample;
mod security;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

pub use self::fetcher::{Order, Requests, fetcher};
use self::names::{
    COMPONENT, CONTENT_HASH, HOLDER, INSTANCE, MANAGED_BY, MANAGER, NAME, PARTS, PROGRAM,
};
pub use self::placement::Placement;
pub use self::sample::sample;
use crate::config::Config;
use crate::config::startup::Identity;

/// Which kind of cluster it is, as far as the pods' security goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// User and group are ours to set.
    Kubernetes,
    /// Security context constraints assign user and group, and refuse others.
    OpenShift,
}

/// What the cluster contributes to the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The kind of cluster.
    pub flavour: Flavour,
    /// The image that brings the sleep program.
    pub sleep_image: String,
    /// The pull secrets that this image may need beside those of the list.
    pub sleep_pull_secrets: Vec<String>,
    /// The Deployment that owns the object: its deletion deletes it.
    pub owner: Option<Owner>,
    /// Which nodes are meant.
    pub placement: Placement,
}

/// The daemon's own Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// Old revisions that the controller keeps. A rollback by hand is undone by the daemon, so few are of use.
const REVISIONS: i32 = 2;

/// The holder: the `DaemonSet` whose sleeping containers keep the images.
pub fn daemon_set(identity: &Identity, config: &Config, surroundings: &Surroundings) -> DaemonSet {
    // The plain settings make one group; a configuration without a group does not pass the checks.
    let template = config
        .groups
        .first()
        .map(|group| pod::template(group, surroundings, labels(&identity.daemonset)))
        .unwrap_or_default();
    DaemonSet {
        metadata: ObjectMeta {
            name: Some(identity.daemonset.clone()),
            namespace: Some(identity.namespace.clone()),
            labels: Some(labels(&identity.daemonset)),
            annotations: Some(annotations(config, surroundings)).filter(|map| !map.is_empty()),
            owner_references: surroundings
                .owner
                .as_ref()
                .map(|owner| vec![owner_reference("Deployment", &owner.name, &owner.uid)]),
            ..ObjectMeta::default()
        },
        spec: Some(DaemonSetSpec {
            selector: LabelSelector {
                match_labels: Some(selector(&identity.daemonset)),
                match_expressions: None,
            },
            template,
            // Nobody but the daemon replaces a pod: what comes next is fetched first. A surge would delete the old pod
            // at once where it is not ready, and one bad image makes it so on every node.
            update_strategy: Some(DaemonSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            revision_history_limit: Some(REVISIONS),
            min_ready_seconds: None,
        }),
        status: None,
    }
}

fn annotations(config: &Config, surroundings: &Surroundings) -> BTreeMap<String, String> {
    let mut annotations = config.daemonset_annotations.clone();
    if let Placement::Main(parts) = &surroundings.placement
        && let Some(text) = parts.text()
    {
        annotations.insert(PARTS.to_owned(), text);
    }
    annotations
}

/// What the pods of this object hold, as their annotation says.
pub fn content_hash_of(daemonset: &DaemonSet) -> Option<&String> {
    let template = &daemonset.spec.as_ref()?.template;
    template
        .metadata
        .as_ref()?
        .annotations
        .as_ref()?
        .get(CONTENT_HASH)
}

fn selector(daemonset: &str) -> BTreeMap<String, String> {
    [(INSTANCE, daemonset), (COMPONENT, HOLDER)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn labels(daemonset: &str) -> BTreeMap<String, String> {
    let mut labels = selector(daemonset);
    labels.insert(NAME.to_owned(), PROGRAM.to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// Without `blockOwnerDeletion`: that would need a right on the owner's finalizers.
fn owner_reference(kind: &str, name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: None,
        block_owner_deletion: None,
    }
}
