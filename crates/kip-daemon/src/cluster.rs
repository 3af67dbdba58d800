//! What is known of the cluster, as plain facts: the watches fill it, [`plan`](crate::plan) reads it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::jiff::Timestamp;

use crate::desired::names::TEMPLATE_GENERATION;
use crate::desired::{Flavour, Owner};

/// Something that may not have been looked at yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Seen<T> {
    /// Not looked yet.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It is there.
    Present(T),
}

impl<T> From<Option<T>> for Seen<T> {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Absent, Self::Present)
    }
}

/// The facts.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The kind of cluster, once discovery has answered.
    pub flavour: Option<Flavour>,
    /// The daemon's own Deployment.
    pub deployment: Seen<DeploymentFacts>,
    /// The uid of the Deployment that was seen first.
    pub own_uid: Option<String>,
    /// The `DaemonSet`.
    pub live: Seen<Live>,
    /// Its pods, by name.
    pub pods: BTreeMap<String, PodFacts>,
}

impl Cluster {
    /// Takes in the Deployment as it is now. One with another uid than the first is not the daemon's own: its own was
    /// deleted, and this process is most likely a remainder that is about to be ended. Gives it back then.
    pub fn see_deployment(&mut self, found: Option<DeploymentFacts>) -> Option<DeploymentFacts> {
        let own_uid = &mut self.own_uid;
        let is_own = found.as_ref().is_none_or(|deployment| {
            let uid = &deployment.owner.uid;
            own_uid.get_or_insert_with(|| uid.clone()) == uid
        });
        if is_own {
            self.deployment = found.into();
            return None;
        }
        self.deployment = Seen::Absent;
        found
    }

    /// The daemon goes on under this Deployment: it was made again around the running pod.
    pub fn adopt(&mut self, deployment: DeploymentFacts) {
        self.own_uid = Some(deployment.owner.uid.clone());
        self.deployment = Seen::Present(deployment);
    }
}

/// What is of interest of the daemon's own Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentFacts {
    /// Name and uid.
    pub owner: Owner,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The daemon's own image.
    pub image: Option<String>,
    /// The pull secrets that the daemon's own image may need.
    pub pull_secrets: Vec<String>,
}

impl From<&Deployment> for DeploymentFacts {
    fn from(deployment: &Deployment) -> Self {
        let meta = &deployment.metadata;
        let pod = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.template.spec.as_ref());
        Self {
            owner: Owner {
                name: meta.name.clone().unwrap_or_default(),
                uid: meta.uid.clone().unwrap_or_default(),
            },
            terminating: meta.deletion_timestamp.is_some(),
            image: pod
                .and_then(own_container)
                .and_then(|container| container.image.clone()),
            pull_secrets: pod
                .iter()
                .flat_map(|pod| pod.image_pull_secrets.iter().flatten())
                .map(|secret| secret.name.clone())
                .collect(),
        }
    }
}

/// The daemon's container: the one that is told the Deployment's name. Others may have been put beside it.
fn own_container(pod: &PodSpec) -> Option<&Container> {
    let is_told = |container: &&Container| {
        let mut env = container.env.iter().flatten();
        env.any(|variable| variable.name == "DEPLOYMENT_NAME")
    };
    pod.containers
        .iter()
        .find(is_told)
        .or(pod.containers.first())
}

/// What is of interest of the `DaemonSet` as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its uid: another one is another object of the same name.
    pub uid: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Counts the changes of its spec.
    pub generation: i64,
    /// The generation that the controller has seen.
    pub observed_generation: i64,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The uids of its owners.
    pub owners: Vec<String>,
    /// What has to happen before a deletion ends.
    pub finalizers: Vec<String>,
    /// Its selector, which cannot be changed.
    pub selector: BTreeMap<String, String>,
    /// On how many nodes it wants a pod.
    pub wanted_nodes: i32,
}

impl Live {
    /// The number by which the controller marks pods of the current template.
    pub fn template_generation(&self) -> Option<&str> {
        self.annotations
            .get(TEMPLATE_GENERATION)
            .map(String::as_str)
    }
}

impl From<&DaemonSet> for Live {
    fn from(daemonset: &DaemonSet) -> Self {
        let meta = &daemonset.metadata;
        let status = daemonset.status.as_ref();
        let selector = daemonset
            .spec
            .as_ref()
            .and_then(|spec| spec.selector.match_labels.clone());
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            generation: meta.generation.unwrap_or_default(),
            observed_generation: status
                .and_then(|s| s.observed_generation)
                .unwrap_or_default(),
            terminating: meta.deletion_timestamp.is_some(),
            labels: meta.labels.clone().unwrap_or_default(),
            annotations: meta.annotations.clone().unwrap_or_default(),
            owners: meta
                .owner_references
                .iter()
                .flatten()
                .map(|o| o.uid.clone())
                .collect(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            selector: selector.unwrap_or_default(),
            wanted_nodes: status.map_or(0, |status| status.desired_number_scheduled),
        }
    }
}

/// What is of interest of a pod of the `DaemonSet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    /// Its uid.
    pub uid: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Why the scheduler finds no place for it.
    pub unplaced: Option<String>,
    /// The node it runs on; empty while it has none.
    pub node: String,
    /// The uid of the controller that owns it; `None` for an orphan.
    pub controller: Option<String>,
    /// What it holds, by its own annotation.
    pub content_hash: Option<String>,
    /// The controller's number of its template.
    pub template_generation: Option<String>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Its sleepers by container name.
    pub containers: BTreeMap<String, ContainerState>,
    /// Why no sleeper can start: the init container's trouble.
    pub init_failure: Option<Failure>,
}

/// How far a sleeper is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Kubelet has not reported anything that decides: it is pulled, or waits for its turn.
    Waiting,
    /// It runs: the image is there, and held.
    Running,
    /// Kubelet says why it does not run.
    Failed(Failure),
}

/// Why a container does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of trouble.
    pub kind: FailureKind,
    /// Kubelet's reason, for example `ErrImagePull`.
    pub reason: String,
    /// Kubelet's words, shortened.
    pub message: String,
}

/// A closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The image cannot be had.
    Pull,
    /// The image is on the node, its container does not start.
    Start,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_that_took_the_name_of_the_own_one_is_not_the_own_one() {
        let deployment = |uid: &str| DeploymentFacts {
            owner: Owner {
                name: "d".to_owned(),
                uid: uid.to_owned(),
            },
            terminating: false,
            image: None,
            pull_secrets: Vec::new(),
        };
        let mut cluster = Cluster::default();
        cluster.see_deployment(None);
        assert_eq!(cluster.deployment, Seen::Absent);
        cluster.see_deployment(Some(deployment("1")));
        assert_eq!(cluster.deployment, Seen::Present(deployment("1")));
        assert_eq!(
            cluster.see_deployment(Some(deployment("2"))),
            Some(deployment("2"))
        );
        assert_eq!(cluster.deployment, Seen::Absent);
        cluster.see_deployment(Some(deployment("1")));
        assert_eq!(cluster.deployment, Seen::Present(deployment("1")));
        cluster.adopt(deployment("2"));
        assert_eq!(cluster.see_deployment(Some(deployment("2"))), None);
        assert_eq!(cluster.deployment, Seen::Present(deployment("2")));
    }

    #[test]
    fn the_daemons_container_is_found_beside_others() {
        let deployment: Deployment = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "d", "uid": "1"},
            "spec": {"selector": {}, "template": {"spec": {
                "imagePullSecrets": [{"name": "s"}],
                "containers": [
                    {"name": "sidecar", "image": "sidecar:1"},
                    {"name": "puller", "image": "puller:1", "env": [{"name": "DEPLOYMENT_NAME", "value": "d"}]},
                ]}}},
        }))
        .unwrap();
        let facts = DeploymentFacts::from(&deployment);
        assert_eq!(facts.image.as_deref(), Some("puller:1"));
        assert_eq!(facts.pull_secrets, ["s"]);
    }
}
