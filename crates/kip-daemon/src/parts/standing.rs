//! What the nodes of one `DaemonSet` hold of its list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::architecture::Architecture;
use crate::cluster::{Cluster, ContainerFacts, ContainerState, Duty, FailureKind, PodFacts, Seen};
use crate::config::Group;
use crate::config::images::Image;

/// What the nodes hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the `DaemonSet` and its pods, or that there is none, have been seen.
    pub is_seen: bool,
    /// Whether there is the `DaemonSet`.
    pub is_there: bool,
    /// Whether there is a pod on every node that is to have one.
    pub is_whole: bool,
    /// What some node of an architecture may hold: references of the list. What kubelet has not been through with is among
    /// them, since it may be on the node.
    pub held: BTreeSet<(Architecture, Arc<str>)>,
    /// Each node with a pod.
    pub nodes: BTreeMap<String, Node>,
}

/// What one node holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// What its pod says of it.
    pub architecture: Option<Architecture>,
    /// Whether its pod is one of the list in force, and kubelet has been through with it.
    pub is_settled: bool,
    /// Whether kubelet has not taken its pod up for long: the node is away.
    pub is_silent: bool,
    /// Names of the images that this pod does not hold. Where all is well there are none, however long the list.
    pub lacks: BTreeSet<Arc<str>>,
    /// Names of the images that no pod of the `DaemonSet`, and no fetcher, holds there.
    pub misses: BTreeSet<Arc<str>>,
}

impl Standing {
    /// Nodes of which a pod has said that they are of this architecture.
    pub fn nodes_of(&self, architecture: Architecture) -> impl Iterator<Item = &str> {
        let is_of = move |node: &Node| node.architecture == Some(architecture);
        let nodes = self.nodes.iter().filter(move |(_, node)| is_of(node));
        nodes.map(|(name, _)| name.as_str())
    }

    /// Whether some node of this architecture holds the image of this name, of the list that this is about.
    pub fn is_held(&self, architecture: Architecture, name: &str) -> bool {
        let is_of = |node: &&Node| node.architecture == Some(architecture);
        let mut nodes = self.nodes.values().filter(is_of);
        nodes.any(|node| !node.misses.contains(name))
    }

    /// Whether some node of this architecture may hold the image of this reference.
    pub fn may_hold(&self, architecture: Architecture, reference: &str) -> bool {
        self.held.contains(&(architecture, Arc::from(reference)))
    }

    /// Whether kubelets have been through with the list in force, on all nodes but those that are away.
    pub fn is_through(&self) -> bool {
        let mut nodes = self.nodes.values();
        self.is_whole && nodes.all(|node| node.is_settled || node.is_silent)
    }
}

impl Node {
    /// Whether the pod of the list in force holds each of these images that the other `DaemonSet` holds on this node. Of a
    /// node that is away nothing else can be had.
    pub fn replaces(&self, other: &Self, names: &BTreeSet<Arc<str>>) -> bool {
        let is_held = |name| !self.lacks.contains(name) || other.misses.contains(name);
        self.is_silent || (self.is_settled && names.iter().all(is_held))
    }

    /// Whether some pod holds each of these images that the other `DaemonSet` holds on this node, also one of a list
    /// before.
    pub fn has_all_of(&self, other: &Self, names: &BTreeSet<Arc<str>>) -> bool {
        let is_held = |name| !self.misses.contains(name) || other.misses.contains(name);
        self.is_silent || names.iter().all(is_held)
    }
}

/// Reads it from the pods. A pod that was there before `long_ago`, and that no kubelet has taken up, waits for a node that is
/// away.
pub fn standing(group: &Group, content: &str, cluster: &Cluster, long_ago: Timestamp) -> Standing {
    let live = match &cluster.live {
        Seen::Unknown => return Standing::default(),
        Seen::Absent => {
            return Standing {
                is_seen: cluster.pods_listed,
                ..Standing::default()
            };
        }
        Seen::Present(live) => live,
    };
    let mut by_node: BTreeMap<&str, Vec<&PodFacts>> = BTreeMap::new();
    let pods = cluster.pods.values();
    for pod in pods.filter(|pod| !pod.terminating && !pod.node.is_empty()) {
        let is_ours = match pod.duty {
            Duty::Hold => pod.controller.as_deref() == Some(live.uid.as_str()),
            Duty::Fetch { .. } => true,
            Duty::Leftover => false,
        };
        if is_ours {
            by_node.entry(&pod.node).or_default().push(pod);
        }
    }
    let is_holder = |pod: &&&PodFacts| pod.duty == Duty::Hold;
    let has_holder = |pods: &&Vec<&PodFacts>| pods.iter().any(|pod| pod.duty == Duty::Hold);
    let holders = by_node.values().filter(has_holder).count();
    let wanted = usize::try_from(live.wanted_nodes + live.misscheduled_nodes).unwrap_or(0);
    let names: Vec<(Arc<str>, &Image)> = group
        .images
        .iter()
        .map(|image| (Arc::from(image.name.as_str()), image))
        .collect();
    let nodes: BTreeMap<String, Node> = by_node
        .iter()
        .map(|(node, pods)| {
            let holder = pods
                .iter()
                .filter(is_holder)
                .find(|pod| pod.content_hash.as_deref() == Some(content));
            let lacking = |pods: &[&PodFacts]| {
                let lacks = |image: &Image| !pods.iter().any(|pod| holds(pod, image, content));
                let lacking = names.iter().filter(|(_, image)| lacks(image));
                lacking.map(|(name, _)| name.clone()).collect()
            };
            let node_facts = Node {
                architecture: pods.iter().find_map(|pod| pod.architecture()),
                is_settled: holder.is_some_and(|pod| is_settled(pod)),
                is_silent: pods
                    .iter()
                    .filter(is_holder)
                    .any(|pod| is_silent(pod, long_ago)),
                lacks: lacking(holder.map(std::slice::from_ref).unwrap_or_default()),
                misses: lacking(pods),
            };
            ((*node).to_owned(), node_facts)
        })
        .collect();
    // It ends at the first node that holds the image: in most clusters that is the first one that is looked at.
    let may_hold = |architecture: Architecture, image: &Image| {
        by_node.iter().any(|(node, pods)| {
            let facts = nodes.get(*node);
            facts.is_some_and(|it| it.architecture == Some(architecture) && !it.is_silent)
                && pods.iter().any(|pod| may_hold(pod, image, content))
        })
    };
    let mut held = BTreeSet::new();
    for image in &group.images {
        let architectures = Architecture::ALL.into_iter();
        let architectures = architectures.filter(|it| may_hold(*it, image));
        held.extend(architectures.map(|it| (it, Arc::from(image.image.as_str()))));
    }
    Standing {
        is_seen: cluster.pods_listed,
        is_there: true,
        held,
        is_whole: cluster.pods_listed
            && live.observed_generation >= live.generation
            && holders >= wanted,
        nodes,
    }
}

/// Whether kubelet has said of each container how far it is.
fn is_settled(pod: &PodFacts) -> bool {
    let is_decided = |it: &ContainerFacts| it.state != ContainerState::Waiting;
    pod.taken_up && !pod.containers.is_empty() && pod.containers.iter().all(is_decided)
}

/// Whether no kubelet takes the pod up. One that was taken up before its node was lost is not told from one that runs.
fn is_silent(pod: &PodFacts, long_ago: Timestamp) -> bool {
    !pod.taken_up && !pod.ended && pod.first_seen < long_ago
}

/// Whether the pod may hold the image, or find it on its node: kubelet has not said that it cannot be pulled.
fn may_hold(pod: &PodFacts, image: &Image, content: &str) -> bool {
    let is_current = pod.content_hash.as_deref() == Some(content);
    let is_it = |container: &&ContainerFacts| {
        *container.image == *image.image || (is_current && *container.name == *image.name)
    };
    let is_refused = |container: &ContainerFacts| {
        !container.has_run
            && matches!(&container.state, ContainerState::Failed(failure) if failure.kind == FailureKind::Pull)
    };
    let mut containers = pod.containers.iter().filter(is_it);
    containers.any(|container| !is_refused(container))
}

fn holds(pod: &PodFacts, image: &Image, content: &str) -> bool {
    let Some(container) = pod.container(&image.name) else {
        return false;
    };
    // A policy may have given the image another name; then the list tells.
    let is_meant = pod.content_hash.as_deref() == Some(content) || *container.image == *image.image;
    let is_had = match &container.state {
        ContainerState::Running => true,
        ContainerState::Failed(failure) => !failure.is_without_container(),
        ContainerState::Waiting => false,
    };
    is_meant && (is_had || container.has_run)
}
