//! From pods to what people want to know: on how many nodes each image is, and what is wrong with the others.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::Architecture;
use crate::cluster::{Cluster, ContainerState, Duty, Failure, FailureKind, PodFacts, Seen};
use crate::config::Group;
use crate::config::images::Image;
use crate::trouble::Trouble;

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
    /// On how many nodes there is which trouble.
    pub troubles: BTreeMap<Trouble, usize>,
    /// The smallest disk of the nodes of each architecture, as far as their pods have told: bytes, and the node.
    pub disks: BTreeMap<Architecture, (u64, String)>,
}

impl Status {
    /// On how many of the nodes that are to have it the image of this name is not.
    pub fn missing_on(&self, name: &str) -> usize {
        let image = self.images.get(name);
        let cached = image.and_then(|image| image.nodes.get(&ImageState::Cached));
        let kept_off = image.map_or(0, |image| image.kept_off);
        self.wanted_nodes
            .saturating_sub(kept_off)
            .saturating_sub(cached.copied().unwrap_or(0))
    }

    /// Takes in the disk of a node: the smallest one counts.
    fn note_disk(&mut self, architecture: Architecture, disk: u64, node: &str) {
        let smallest = self.disks.get(&architecture);
        if smallest.is_none_or(|(smallest, _)| disk < *smallest) {
            self.disks.insert(architecture, (disk, node.to_owned()));
        }
    }

    /// Adds the nodes of a part: an image that it leaves out is not to be there.
    pub fn add(&mut self, part: &Self) {
        self.wanted_nodes += part.wanted_nodes;
        self.complete_nodes += part.complete_nodes;
        self.empty_nodes += part.empty_nodes;
        for (architecture, (disk, node)) in &part.disks {
            self.note_disk(*architecture, *disk, node);
        }
        for (name, image) in &mut self.images {
            let Some(other) = part.images.get(name) else {
                image.kept_off += part.wanted_nodes;
                continue;
            };
            for (state, nodes) in &other.nodes {
                *image.nodes.entry(*state).or_default() += nodes;
            }
        }
    }
}

/// Where an image stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageStatus {
    /// How many nodes are in each state.
    pub nodes: BTreeMap<ImageState, usize>,
    /// How many nodes it is not to be on, since it has nothing for their architecture.
    pub kept_off: usize,
    /// A node on which it fails, and why.
    pub failure: Option<(String, Failure)>,
}

/// Sums up the pods. What a fetcher, a pod of an older list, or one that the Go image puller has left, holds of the list in force counts as well.
pub fn summarize(group: &Group, content_hash: &str, cluster: &Cluster) -> Status {
    let mut by_node: BTreeMap<&str, Vec<&PodFacts>> = BTreeMap::new();
    let (holder, wanted_nodes) = match &cluster.live {
        Seen::Present(live) => (
            live.uid.as_str(),
            usize::try_from(live.wanted_nodes).unwrap_or(0),
        ),
        Seen::Absent | Seen::Unknown => return Status::default(),
    };
    let is_ours = |pod: &&PodFacts| {
        !pod.terminating
            && match &pod.duty {
                Duty::Hold => pod.controller.as_deref() == Some(holder),
                Duty::Fetch { .. } | Duty::Leftover => true,
            }
    };
    let mut status = Status {
        wanted_nodes,
        unplaced: None,
        ..Status::default()
    };
    let mut holders = BTreeSet::new();
    for pod in cluster.pods.values().filter(is_ours) {
        if pod.duty == Duty::Hold {
            let unplaced = pod.unplaced.clone().filter(|_| pod.node.is_empty());
            status.unplaced = status.unplaced.take().or(unplaced);
        }
        if pod.node.is_empty() {
            continue;
        }
        by_node.entry(&pod.node).or_default().push(pod);
        if pod.duty == Duty::Hold {
            holders.insert(pod.node.as_str());
        }
        let is_current = pod.content_hash.as_deref() == Some(content_hash);
        let failure = pod.init_failure.clone().filter(|_| is_current);
        let failure = failure.map(|failure| (pod.node.clone(), failure));
        status.init_failure = status.init_failure.take().or(failure);
    }
    status.empty_nodes = wanted_nodes.saturating_sub(holders.len());
    let mut images: Vec<ImageStatus> = vec![ImageStatus::default(); group.images.len()];
    for (node, pods) in by_node {
        let report = pods.iter().find_map(|pod| pod.node_report);
        if let Some((architecture, disk)) = report.and_then(|it| Some((it.architecture, it.disk?)))
        {
            status.note_disk(architecture, disk, node);
        }
        let mut is_complete = holders.contains(node);
        let mut troubles: BTreeSet<Trouble> = of_pods(&pods, content_hash).collect();
        for (image, entry) in images.iter_mut().zip(&group.images) {
            let (state, failure) = on_node(entry, &pods, content_hash);
            is_complete &= state == ImageState::Cached;
            *image.nodes.entry(state).or_default() += 1;
            troubles.extend(failure.and_then(of_failure));
            let failure = failure.map(|failure| (node.to_owned(), failure.clone()));
            image.failure = image.failure.take().or(failure);
        }
        for trouble in troubles {
            *status.troubles.entry(trouble).or_default() += 1;
        }
        status.complete_nodes += usize::from(is_complete);
    }
    let names = group.images.iter().map(|entry| entry.name.clone());
    status.images = names.zip(images).collect();
    status
}

/// What is wrong with the node's pods, whatever their images.
fn of_pods(pods: &[&PodFacts], content_hash: &str) -> impl Iterator<Item = Trouble> {
    pods.iter()
        .filter(move |pod| pod.content_hash.as_deref() == Some(content_hash))
        .flat_map(|pod| {
            // A fetcher asks because it is told to.
            let is_changed = pod.duty == Duty::Hold && pod.containers.iter().any(|it| it.asks);
            let always = is_changed.then_some(Trouble::AlwaysPull);
            always
                .into_iter()
                .chain(pod.init_failure.as_ref().and_then(of_failure))
        })
}

fn of_failure(failure: &Failure) -> Option<Trouble> {
    (failure.kind == FailureKind::Pull)
        .then(|| Trouble::of_pull(&failure.message))
        .flatten()
}

/// How far the node is with an image, and why no further. Of several pods the best counts.
fn on_node<'a>(
    entry: &Image,
    pods: &[&'a PodFacts],
    content_hash: &str,
) -> (ImageState, Option<&'a Failure>) {
    pods.iter()
        .filter_map(|pod| {
            let container = pod.container(&entry.name)?;
            // A policy may have given the image another name; then the list tells.
            let is_meant = pod.content_hash.as_deref() == Some(content_hash)
                || *container.image == *entry.image;
            is_meant.then(|| state(&container.state))
        })
        .min_by_key(|(state, _)| *state)
        .unwrap_or((ImageState::Pending, None))
}

fn state(state: &ContainerState) -> (ImageState, Option<&Failure>) {
    match state {
        ContainerState::Running => (ImageState::Cached, None),
        ContainerState::Failed(failure) => match failure.kind {
            FailureKind::Pull => (ImageState::PullFailed, Some(failure)),
            FailureKind::Start => (ImageState::StartFailed, Some(failure)),
        },
        ContainerState::Waiting => (ImageState::Pending, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ContainerFacts, Live};
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
            additions: crate::config::pod::Additions::default(),
        }
    }

    fn pod(node: &str, hash: &str, containers: &[(&str, ContainerState)]) -> PodFacts {
        PodFacts {
            node: node.to_owned(),
            taken_up: true,
            controller: Some("ds".to_owned()),
            content_hash: Some(hash.to_owned()),
            containers: containers
                .iter()
                .map(|(name, state)| ContainerFacts {
                    name: (*name).into(),
                    image: format!("img/{name}").into(),
                    asks: false,
                    content: None,
                    has_run: false,
                    state: state.clone(),
                })
                .collect(),
            ..PodFacts::default()
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
    fn an_image_that_a_part_leaves_out_is_missing_on_none_of_its_nodes() {
        let of = |wanted_nodes, images: &[(&str, usize)]| {
            let image = |(name, cached): &(&str, usize)| {
                let image = ImageStatus {
                    nodes: BTreeMap::from([(ImageState::Cached, *cached)]),
                    ..ImageStatus::default()
                };
                ((*name).to_owned(), image)
            };
            Status {
                wanted_nodes,
                complete_nodes: wanted_nodes,
                images: images.iter().map(image).collect(),
                ..Status::default()
            }
        };
        let mut status = of(3, &[("x", 3), ("y", 2)]);
        status.add(&of(2, &[("x", 1)]));
        assert_eq!((status.wanted_nodes, status.complete_nodes), (5, 5));
        assert_eq!((status.missing_on("x"), status.missing_on("y")), (1, 1));
        assert_eq!(status.images["y"].kept_off, 2);
    }

    #[test]
    fn images_are_counted_by_node_and_the_better_pod_counts() {
        use ContainerState::{Running, Waiting};
        let mut cluster = Cluster {
            live: Seen::Present(Live {
                uid: "ds".to_owned(),
                wanted_nodes: 3,
                ..Live::default()
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
        let old = cluster.pods.get_mut("old").unwrap();
        old.containers[2].image = "img/older".into();
        let status = summarize(&group(&["x", "y", "z"]), "h", &cluster);
        // The pod of the older list holds two of the same images, and one of another reference.
        assert_eq!((status.wanted_nodes, status.complete_nodes), (3, 0));
        assert_eq!(
            status.images["x"].nodes,
            BTreeMap::from([(ImageState::Cached, 3)])
        );
        assert_eq!(
            status.images["y"].nodes,
            BTreeMap::from([(ImageState::Cached, 2), (ImageState::PullFailed, 1)])
        );
        assert_eq!(
            status.images["z"].nodes,
            BTreeMap::from([(ImageState::Cached, 1), (ImageState::Pending, 2)])
        );
        assert_eq!(status.images["y"].failure.as_ref().unwrap().0, "n1");
    }
}
