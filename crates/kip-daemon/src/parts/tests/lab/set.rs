//! One `DaemonSet` of the cluster in memory.

use k8s_openapi::jiff::Timestamp;

use super::super::super::*;
use super::super::hash;
use super::NODES;
use crate::cluster::{Cluster, ContainerFacts, ContainerState, PodFacts};

fn pod(node: &str, uid: &str, config: &Config) -> PodFacts {
    let images = &config.groups[0].images;
    PodFacts {
        node: node.to_owned(),
        controller: Some(uid.to_owned()),
        content_hash: Some(hash(config)),
        containers: images
            .iter()
            .map(|image| ContainerFacts {
                name: image.name.as_str().into(),
                image: image.image.as_str().into(),
                asks: false,
                content: None,
                has_run: false,
                state: ContainerState::Waiting,
            })
            .collect(),
        ..PodFacts::default()
    }
}

/// One `DaemonSet` and its pods, as the API server has them.
pub(in super::super) struct Set {
    uid: &'static str,
    pub(super) cluster: Cluster,
    pub(super) config: Config,
    /// Pods from before it have waited for long.
    pub(super) long_ago: Timestamp,
}

impl Set {
    pub(super) fn new(uid: &'static str, config: Config) -> Self {
        let live = Live {
            uid: uid.to_owned(),
            generation: 1,
            ..Live::default()
        };
        let cluster = Cluster {
            live: Seen::Present(live),
            pods_listed: true,
            ..Cluster::default()
        };
        Self {
            uid,
            cluster,
            config,
            long_ago: Timestamp::MIN,
        }
    }

    pub(super) fn live(&mut self) -> &mut Live {
        match &mut self.cluster.live {
            Seen::Present(live) => live,
            _ => panic!("there is one"),
        }
    }

    pub(in super::super) fn standing(&self) -> Standing {
        let (group, content) = (&self.config.groups[0], hash(&self.config));
        standing(group, &content, &self.cluster, self.long_ago)
    }

    /// What its pods hold of another list than they were made for.
    pub(in super::super) fn standing_of(&self, config: &Config) -> Standing {
        let (group, content) = (&config.groups[0], hash(config));
        standing(group, &content, &self.cluster, self.long_ago)
    }

    /// It has another list now. The pods have the one before until each is made anew.
    pub(super) fn set(&mut self, config: Config) {
        self.config = config;
    }

    /// A pod of a list before is made anew, after a fetcher has brought what it lacks.
    pub(super) fn roll(&mut self, node: &str, fetched: impl Fn(&str) -> ContainerState) {
        let content = hash(&self.config);
        let Some(old) = self.cluster.pods.get(node) else {
            return;
        };
        if old.content_hash.as_ref() == Some(&content) {
            return;
        }
        let mut new = pod(node, self.uid, &self.config);
        (new.node_report, new.taken_up) = (old.node_report, old.taken_up);
        let (mut fetching, mut brought) = (0, 0);
        for container in &mut new.containers {
            let old = old.container(&container.name);
            let old = old.filter(|old| old.state == ContainerState::Running);
            container.state = ContainerState::Running;
            if old.is_none() {
                container.state = fetched(&container.image);
                fetching += 1;
                brought += usize::from(container.state == ContainerState::Running);
            }
        }
        // A round of which nothing can be had stops at its first node.
        if fetching == 0 || brought > 0 {
            self.cluster.pods.insert(node.to_owned(), new);
        }
    }

    /// The `DaemonSet`'s controller.
    pub(super) fn control(&mut self, is_wanted: impl Fn(Architecture) -> bool) {
        let nodes = NODES.iter().filter(|(_, it)| is_wanted(*it));
        let wanted: Vec<&str> = nodes.map(|(node, _)| *node).collect();
        self.cluster
            .pods
            .retain(|node, _| wanted.contains(&node.as_str()));
        for node in &wanted {
            let pod = pod(node, self.uid, &self.config);
            self.cluster.pods.entry((*node).to_owned()).or_insert(pod);
        }
        let count = i32::try_from(wanted.len()).unwrap();
        let live = self.live();
        live.wanted_nodes = count;
        live.observed_generation = live.generation;
    }

    pub(super) fn holds(&self, node: &str, name: &str) -> bool {
        let pod = self.cluster.pods.get(node);
        let container = pod.and_then(|pod| pod.container(name));
        container.is_some_and(|it| it.state == ContainerState::Running)
    }
}
