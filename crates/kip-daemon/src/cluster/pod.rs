//! What is of interest of a pod.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::Content;
use crate::architecture::Architecture;
use crate::node_report::NodeReport;

/// What is of interest of a pod of the `DaemonSet`, or of a fetcher.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Its uid.
    pub uid: String,
    /// Which of its states these facts are.
    pub resource_version: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When this process saw it first on its node: deadlines count from then, by one clock.
    pub first_seen: Timestamp,
    /// What it is for.
    pub duty: Duty,
    /// Why the scheduler finds no place for it.
    pub unplaced: Option<String>,
    /// The node it runs on, for a fetcher the one that it is meant for; empty while a pod of the `DaemonSet` has none.
    pub node: String,
    /// Whether kubelet has taken it up.
    pub taken_up: bool,
    /// Whether it has ended for good, for example by an eviction.
    pub ended: bool,
    /// The uid of the controller that owns it; `None` for an orphan.
    pub controller: Option<String>,
    /// What it holds, by its own annotation.
    pub content_hash: Option<String>,
    /// The request for a restart that it was made after.
    pub restarted_at: Option<String>,
    /// The controller's number of its template.
    pub template_generation: Option<String>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Its pull secrets: those of the settings, or those of its service account where the settings name none.
    pub pull_secrets: Box<[Arc<str>]>,
    /// Its sleepers, in their order.
    pub containers: Vec<ContainerFacts>,
    /// Why no sleeper can start: the init container's trouble.
    pub init_failure: Option<Failure>,
    /// What the init container has told about the node.
    pub node_report: Option<NodeReport>,
}

impl PodFacts {
    /// That of its node, where it has told.
    pub fn architecture(&self) -> Option<Architecture> {
        self.node_report.map(|report| report.architecture)
    }

    /// The sleeper of this name.
    pub fn container(&self, name: &str) -> Option<&ContainerFacts> {
        self.containers.iter().find(|c| &*c.name == name)
    }
}

/// What a pod is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Duty {
    /// It keeps images: a pod of the `DaemonSet`.
    #[default]
    Hold,
    /// It brings images to a node, for the round of this number under the `DaemonSet` of this uid.
    Fetch {
        /// The round.
        round: u64,
        /// The `DaemonSet`'s uid.
        holder: String,
    },
    /// It keeps images until pods of ours do: a pod that the Go image puller has left, and that nothing owns.
    Leftover,
}

/// A sleeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Its name.
    pub name: Arc<str>,
    /// The image's reference, as the pod has it.
    pub image: Arc<str>,
    /// Whether its image is asked for again though it is on the node.
    pub asks: bool,
    /// What the image's reference stands for, by kubelet's report; `None` while there is no container.
    pub content: Option<Content>,
    /// Whether an earlier container of it is on the node, which holds the image though it does not run.
    pub has_run: bool,
    /// How far it is.
    pub state: ContainerState,
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

impl Failure {
    /// Whether there is no container at all: the image may be on the node, and nothing holds it.
    pub fn is_without_container(&self) -> bool {
        self.kind == FailureKind::Pull || self.reason.starts_with("CreateContainer")
    }
}

/// A closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The image cannot be had.
    Pull,
    /// The image is on the node, its container does not start.
    Start,
}
