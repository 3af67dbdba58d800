//! What is looked at, and what must never be.

use std::collections::BTreeMap;
use std::time::Duration;

use kip_daemon::cluster::{ContainerState, Duty, PodFacts};
use kip_daemon::desired::content_hash_of;
use kip_daemon::desired::names::ROUND;
use kip_daemon::rollout::{Facts, Round, next};

use super::world::World;

impl World {
    pub(crate) fn round(&self) -> Option<Round> {
        serde_json::from_str(self.live.annotations.get(ROUND)?).ok()
    }

    /// What will be due by time alone must not wait for something to happen.
    pub(crate) fn check_wake(&self) {
        let later = next(&Facts {
            config: &self.config,
            content: content_hash_of(&self.desired).expect("it has one"),
            live: &self.live,
            answers: self.view.answers.as_ref(),
            pods: &self.view.pods,
            refused_nodes: &self.view.refused_nodes,
            placement: &self.view.placement,
            now: self.now + Duration::from_secs(2 * 3600),
        });
        let is_awake = later.step.is_none() || self.next.wake.is_some();
        assert!(is_awake, "nothing wakes it for {:?}", later.step);
    }

    pub(crate) fn check(&self) {
        for (node, image) in self.held.difference(&self.excused) {
            let holds = self.pods.values().any(|pod| {
                pod.node == *node
                    && !(self.strict && pod.terminating)
                    && pod
                        .containers
                        .iter()
                        .any(|c| *c.image == **image && c.state == ContainerState::Running)
            });
            assert!(holds, "{image} is let go on {node}:\n{}", self.story(node));
        }
    }

    /// What has happened to a node, and what the daemon did.
    pub(crate) fn story(&self, node: &str) -> String {
        let lines = self
            .log
            .iter()
            .filter(|line| line.contains(node) || line.contains("Record"));
        let lines: Vec<&str> = lines.map(String::as_str).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Pods that no node has.
    pub(crate) fn waiting_for_a_place(&self) -> usize {
        self.pods.values().filter(|pod| pod.node.is_empty()).count()
    }

    /// Names of the pods that fetch, and are not going.
    pub(crate) fn fetchers_left(&self) -> Vec<&str> {
        self.left(|duty| matches!(duty, Duty::Fetch { .. }))
    }

    /// Names of the pods of the Go image puller that are not going.
    pub(crate) fn leftovers(&self) -> Vec<&str> {
        self.left(|duty| *duty == Duty::Leftover)
    }

    fn left(&self, is_meant: fn(&Duty) -> bool) -> Vec<&str> {
        let is_left = |pod: &PodFacts| is_meant(&pod.duty) && !pod.terminating;
        let pods = self.pods.iter().filter(|(_, pod)| is_left(pod));
        pods.map(|(name, _)| name.as_str()).collect()
    }

    /// What the pod of the `DaemonSet` on a node runs: name, reference, content.
    pub(crate) fn runs(&self, node: &str) -> BTreeMap<String, (String, u64)> {
        let holder = self
            .pods
            .values()
            .find(|pod| pod.node == node && pod.controller.is_some() && !pod.terminating);
        let running = holder
            .into_iter()
            .flat_map(|pod| &pod.containers)
            .filter_map(|c| {
                let content = c.content.filter(|_| c.state == ContainerState::Running)?;
                Some((c.name.to_string(), (c.image.to_string(), content.0)))
            });
        running.collect()
    }

    /// Nodes whose pod holds the list in force.
    pub(crate) fn current_nodes(&self) -> usize {
        let wanted = content_hash_of(&self.desired);
        let is_current = |node: &&String| {
            self.pods.values().any(|pod| {
                pod.node == **node
                    && pod.controller.is_some()
                    && !pod.terminating
                    && pod.content_hash.as_ref() == wanted
            })
        };
        self.nodes.iter().filter(is_current).count()
    }

    /// So many things happen.
    pub(crate) fn settle_for(&mut self, happenings: usize) {
        for _ in 0..happenings {
            self.happen();
        }
    }

    /// Runs until the daemon has nothing to do and nothing is under way, at most so many happenings.
    pub(crate) fn settle(&mut self, most: usize) {
        let mut quiet = 0;
        for _ in 0..most {
            self.happen();
            let is_quiet = self.under_way.is_empty()
                && self.next.step.is_none()
                && self.next.busy == 0
                && self.live.observed_generation == self.live.generation;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet > 40 * self.nodes.len() {
                self.check_wake();
                return;
            }
        }
        panic!(
            "it does not come to rest: {:?} {:?}",
            self.next,
            self.round()
        );
    }
}
