//! From pods to what people want to know: on how many nodes each image is, and what is wrong with the others.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{Cluster, ContainerState, Failure, FailureKind, PodFacts, Seen};
use crate::config::Group;

/// How far an image is on a node; the better one counts where a node has two pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageState {
    /// On the node, and held by a running container.
    Cached,
    /// The image is on the node, its container does not start.
    StartFailed,
    /// Being pulled, or waiting for its turn. Kubelet does not tell these apart: it publishes a pod's state when it
    /// has been through all of its containers.
    Pending,
    /// Cannot be had.
    PullFailed,
}

impl ImageState {
    /// All states.
    pub const ALL: [Self; 4] = [
        Self::Cached,
        Self::StartFailed,
        Self::Pending,
        Self::PullFailed,
    ];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::StartFailed => "start_failed",
            Self::Pending => "pending",
            Self::PullFailed => "pull_failed",
        }
    }
}

/// Where things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Nodes that are to have the images.
    pub wanted_nodes: usize,
    /// Nodes that have all of them.
    pub complete_nodes: usize,
    /// Nodes that are to have the images and have no pod that does the work.
    pub empty_nodes: usize,
    /// Why a pod finds no place, from one of those for which the scheduler finds none.
    pub unplaced: Option<String>,
    /// By the entry's name.
    pub images: BTreeMap<String, ImageStatus>,
    /// Why no sleeper starts at all, from a node where it is so.
    pub init_failure: Option<(String, Failure)>,
}

/// Where an image stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageStatus {
    /// How many nodes are in each state.
    pub nodes: BTreeMap<ImageState, usize>,
    /// A node on which it fails, and why.
    pub failure: Option<(String, Failure)>,
}

/// Sums up the pods that hold what `content_hash` says.
pub fn summarize(group: &Group, content_hash: &str, cluster: &Cluster) -> Status {
    let mut by_node: BTreeMap<&str, Vec<&PodFacts>> = BTreeMap::new();
    let controller = match &cluster.live {
        Seen::Present(live) => Some(live.uid.as_str()),
        Seen::Absent | Seen::Unknown => None,
    };
    let current = |pod: &&PodFacts| {
        pod.content_hash.as_deref() == Some(content_hash)
            && pod.controller.as_deref() == controller
            && !pod.terminating
    };
    let unplaced = cluster
        .pods
        .values()
        .filter(current)
        .find_map(|pod| pod.unplaced.clone());
    let current = |pod: &&PodFacts| current(pod) && !pod.node.is_empty();
    for pod in cluster.pods.values().filter(current) {
        by_node.entry(&pod.node).or_default().push(pod);
    }
    let mut status = Status {
        wanted_nodes: match &cluster.live {
            Seen::Present(live) => usize::try_from(live.wanted_nodes).unwrap_or(0),
            Seen::Absent | Seen::Unknown => 0,
        },
        images: group
            .images
            .iter()
            .map(|image| (image.name.clone(), ImageStatus::default()))
            .collect(),
        ..Status::default()
    };
    status.empty_nodes = status.wanted_nodes.saturating_sub(by_node.len());
    status.unplaced = unplaced;
    for (node, pods) in by_node {
        let mut on_node = BTreeSet::new();
        for pod in &pods {
            let failure = pod
                .init_failure
                .clone()
                .map(|failure| (node.to_owned(), failure));
            status.init_failure = status.init_failure.take().or(failure);
        }
        for (name, image) in &mut status.images {
            let best = pods
                .iter()
                .map(|pod| state_in(pod, name))
                .min()
                .unwrap_or(ImageState::Pending);
            on_node.insert(best);
            *image.nodes.entry(best).or_default() += 1;
            if matches!(best, ImageState::PullFailed | ImageState::StartFailed)
                && image.failure.is_none()
            {
                image.failure = pods.iter().find_map(|pod| match pod.containers.get(name) {
                    Some(ContainerState::Failed(failure)) => {
                        Some((node.to_owned(), failure.clone()))
                    }
                    _ => None,
                });
            }
        }
        status.complete_nodes +=
            usize::from(on_node.iter().all(|state| *state == ImageState::Cached));
    }
    status
}

fn state_in(pod: &PodFacts, name: &str) -> ImageState {
    match pod.containers.get(name) {
        Some(ContainerState::Running) => ImageState::Cached,
        Some(ContainerState::Failed(failure)) => match failure.kind {
            FailureKind::Pull => ImageState::PullFailed,
            FailureKind::Start => ImageState::StartFailed,
        },
        Some(ContainerState::Waiting) | None => ImageState::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Live;
    use crate::config::images::Image;
    use crate::config::resources::Resources;
    use crate::config::scheduling::Scheduling;

    fn group(names: &[&str]) -> Group {
        let image = |name: &&str| Image {
            name: (*name).to_owned(),
            image: format!("img/{name}"),
        };
        Group {
            images: names.iter().map(image).collect(),
            resources: Resources::default(),
            pull_secrets: Vec::new(),
            scheduling: Scheduling::default(),
        }
    }

    fn pod(node: &str, hash: &str, containers: &[(&str, ContainerState)]) -> PodFacts {
        PodFacts {
            uid: String::new(),
            node: node.to_owned(),
            created: None,
            unplaced: (node == "none").then(|| "Insufficient cpu".to_owned()),
            controller: Some("ds".to_owned()),
            content_hash: Some(hash.to_owned()),
            template_generation: None,
            terminating: false,
            containers: containers
                .iter()
                .map(|(n, s)| ((*n).to_owned(), s.clone()))
                .collect(),
            init_failure: None,
        }
    }

    fn failed(kind: FailureKind) -> ContainerState {
        ContainerState::Failed(Failure {
            kind,
            reason: "R".to_owned(),
            message: "m".to_owned(),
        })
    }

    #[test]
    fn images_are_counted_by_node_and_the_better_pod_counts() {
        use ContainerState::{Running, Waiting};
        let mut cluster = Cluster {
            live: Seen::Present(Live {
                uid: "ds".to_owned(),
                created: None,
                finalizers: Vec::new(),
                generation: 1,
                observed_generation: 1,
                terminating: false,
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                owners: Vec::new(),
                selector: BTreeMap::new(),
                wanted_nodes: 3,
            }),
            ..Cluster::default()
        };
        for (name, facts) in [
            (
                "a",
                pod(
                    "n1",
                    "h",
                    &[
                        ("x", Running),
                        ("y", failed(FailureKind::Pull)),
                        ("z", Running),
                    ],
                ),
            ),
            (
                "b",
                pod("n2", "h", &[("x", Running), ("y", Waiting), ("z", Waiting)]),
            ),
            (
                "c",
                pod("n2", "h", &[("x", Waiting), ("y", Running), ("z", Waiting)]),
            ),
            (
                "old",
                pod(
                    "n3",
                    "other",
                    &[("x", Running), ("y", Running), ("z", Running)],
                ),
            ),
        ] {
            cluster.pods.insert(name.to_owned(), facts);
        }
        let status = summarize(&group(&["x", "y", "z"]), "h", &cluster);
        assert_eq!((status.wanted_nodes, status.complete_nodes), (3, 0));
        assert_eq!(
            status.images["x"].nodes,
            BTreeMap::from([(ImageState::Cached, 2)])
        );
        assert_eq!(
            status.images["y"].nodes,
            BTreeMap::from([(ImageState::Cached, 1), (ImageState::PullFailed, 1)])
        );
        assert_eq!(
            status.images["z"].nodes,
            BTreeMap::from([(ImageState::Cached, 1), (ImageState::Pending, 1)])
        );
        assert_eq!(status.images["y"].failure.as_ref().unwrap().0, "n1");
    }
}
