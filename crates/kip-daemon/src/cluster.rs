//! What is known of the cluster, as plain facts: the watches fill it, [`plan`](crate::plan) reads it.

mod content;
mod pod;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::jiff::Timestamp;

pub use self::content::Content;
pub use self::pod::{ContainerFacts, ContainerState, Duty, Failure, FailureKind, PodFacts};
use crate::answers::Answers;
use crate::desired::names::{RESTARTED_AT, TEMPLATE_GENERATION};
use crate::desired::{Flavour, Owner, Placement};
use crate::original;

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
    /// Its pods, the fetchers, and what the Go image puller has left, by name.
    pub pods: BTreeMap<String, PodFacts>,
    /// Whether the first two were listed once: before that, a pod that is missing here may be there.
    pub pods_listed: bool,
    /// Nodes whose fetchers were refused when they were to be made last.
    pub refused_nodes: BTreeSet<String>,
    /// What the registries have answered last.
    pub answers: Option<Answers>,
    /// Which nodes the `DaemonSet` is for.
    pub placement: Placement,
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

    /// Takes in the `DaemonSet` as it is now. A state that is older than the known one comes from a watch that is
    /// behind our own writes.
    pub fn see_live(&mut self, found: Option<Live>) {
        let is_late = matches!((&self.live, &found), (Seen::Present(known), Some(found)) if found.is_older_than(known));
        if !is_late {
            self.live = found.into();
        }
    }

    /// Takes in a pod as it is now. When it was first seen on
    /// its node, and that its deletion was asked for, stays known.
    pub fn see_pod(&mut self, name: String, mut pod: PodFacts) {
        if let Some(known) = self.pods.get(&name).filter(|known| known.uid == pod.uid) {
            // One that has got a node is new to that node's kubelet.
            if known.node == pod.node {
                pod.first_seen = known.first_seen;
            }
            pod.terminating |= known.terminating;
        }
        self.pods.insert(name, pod);
    }

    /// Takes in that a pod is gone, as far as the watch of this list can say so.
    pub fn see_gone(&mut self, of: PodList, name: &str) {
        let is_in = |pod: &PodFacts| PodList::of(&pod.duty) == of;
        if self.pods.get(name).is_some_and(is_in) {
            self.pods.remove(name);
        }
    }

    /// Takes in that a list of pods has ended: any other pod that it could have had is gone.
    pub fn see_list(&mut self, of: PodList, names: &HashSet<String>) {
        self.pods
            .retain(|name, pod| PodList::of(&pod.duty) != of || names.contains(name));
        self.pods_listed |= of == PodList::Ours;
    }

    /// The daemon goes on under this Deployment: it was made again around the running pod.
    pub fn adopt(&mut self, deployment: DeploymentFacts) {
        self.own_uid = Some(deployment.owner.uid.clone());
        self.deployment = Seen::Present(deployment);
    }
}

/// Which pods a watch brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodList {
    /// Those of the `DaemonSet`, and the fetchers.
    Ours,
    /// Those that the Go image puller has left.
    Leftovers,
}

impl PodList {
    fn of(duty: &Duty) -> Self {
        match duty {
            Duty::Hold | Duty::Fetch { .. } => Self::Ours,
            Duty::Leftover => Self::Leftovers,
        }
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Its uid: another one is another object of the same name.
    pub uid: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Changes at every write of the object.
    pub resource_version: String,
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
    /// Whether the Go image puller has made it.
    pub is_of_original: bool,
    /// Its selector, which cannot be changed.
    pub selector: BTreeMap<String, String>,
    /// On how many nodes it wants a pod.
    pub wanted_nodes: i32,
    /// On how many nodes it has a pod and should have none.
    pub misscheduled_nodes: i32,
    /// When somebody asked by `kubectl rollout restart` for new pods.
    pub restarted_at: Option<String>,
}

impl Live {
    /// Whether this is an older state of the same object than the other: a watch may bring it late. Versions are
    /// numbers that grow; where they are not, nothing is taken for older.
    pub fn is_older_than(&self, other: &Self) -> bool {
        let number = |live: &Self| live.resource_version.parse::<u64>().ok();
        self.uid == other.uid && number(self).zip(number(other)).is_some_and(|(a, b)| a < b)
    }

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
            resource_version: meta.resource_version.clone().unwrap_or_default(),
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
            is_of_original: original::has_made(daemonset),
            selector: selector.unwrap_or_default(),
            wanted_nodes: status.map_or(0, |status| status.desired_number_scheduled),
            misscheduled_nodes: status.map_or(0, |status| status.number_misscheduled),
            restarted_at: daemonset
                .spec
                .as_ref()
                .and_then(|spec| spec.template.metadata.as_ref()?.annotations.as_ref())
                .and_then(|annotations| annotations.get(RESTARTED_AT).cloned()),
        }
    }
}

#[cfg(test)]
mod tests;
