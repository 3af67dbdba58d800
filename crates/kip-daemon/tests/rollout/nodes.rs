//! What the cluster does by itself: the controller of `DaemonSets`, kubelets, the watch.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kip_daemon::architecture::Architecture;
use kip_daemon::cluster::{ContainerState, Content, Failure, FailureKind, PodFacts};
use kip_daemon::node_report::NodeReport;
use kip_daemon::pods::{Interner, LeanPod};

use super::world::{World, seconds};

impl World {
    /// One thing happens, whichever; the daemon acts as often as anything else.
    pub(crate) fn happen(&mut self) {
        self.now += Duration::from_millis(20);
        let node = self.nodes[self.lots.below(self.nodes.len())].clone();
        match self.lots.below(6) {
            0 => self.control(&node),
            1 | 2 => self.kubelet(&node),
            3 => self.deliver(),
            4 => {
                self.live.observed_generation = self.live.generation;
                self.touch_live();
                self.view.see_live(Some(self.live.clone()));
            }
            _ => self.daemon(),
        }
        self.check();
    }

    /// The controller of `DaemonSets` looks at a node.
    pub(crate) fn control(&mut self, node: &str) {
        let holds = self.pods.values().any(|pod| {
            pod.node == node && pod.controller.is_some() && (self.strict || !pod.terminating)
        });
        let waits = self.waiting.get(node).and_then(|name| self.pods.get(name));
        let waits = waits.is_some_and(|pod| !pod.terminating);
        if holds || waits || self.live.observed_generation < self.live.generation {
            return;
        }
        let template = self.desired.spec.clone().expect("it has one").template;
        let pod = Pod {
            metadata: template.metadata.unwrap_or_default(),
            spec: template.spec,
            status: None,
        };
        self.made += 1;
        let name = format!("keeper-{}", self.made);
        let (_, facts) = LeanPod::from(pod).into_facts(&mut Interner::default(), self.now);
        let facts = PodFacts {
            uid: format!("uid-{}", self.made),
            created: Some(seconds(self.now)),
            node: node.to_owned(),
            controller: Some(self.live.uid.clone()),
            restarted_at: self.live.restarted_at.clone(),
            template_generation: self.live.template_generation().map(str::to_owned),
            ..facts
        };
        self.put(name, facts);
    }

    fn report(&self, node: &str) -> NodeReport {
        let is_arm = self.arm.contains(node);
        NodeReport {
            architecture: if is_arm {
                Architecture::Arm64
            } else {
                Architecture::Amd64
            },
            disk: None,
        }
    }

    /// These nodes have been of arm64 all the time.
    pub(crate) fn are_of_arm(&mut self, nodes: std::ops::Range<usize>) {
        self.arm = self.nodes[nodes].iter().cloned().collect();
        for name in self.pods.keys().cloned().collect::<Vec<_>>() {
            let mut pod = self.pods[&name].clone();
            pod.node_report = Some(self.report(&pod.node));
            self.put(name, pod);
        }
    }

    /// Kubelet looks at the pods of its node: ends those that are to go, goes through the containers of the others.
    pub(crate) fn kubelet(&mut self, node: &str) {
        if self.silent.contains(node) {
            return;
        }
        let names: Vec<String> = self
            .pods
            .iter()
            .filter(|(_, p)| p.node == node || (p.node.is_empty() && p.terminating))
            .map(|(n, _)| n.clone())
            .collect();
        for name in names {
            let mut pod = self.pods[&name].clone();
            if pod.terminating {
                self.pods.remove(&name);
                self.under_way.push_back((name, None));
                continue;
            }
            if !pod.taken_up {
                pod.taken_up = true;
                // In truth the init container's report comes a little later.
                pod.node_report = Some(self.report(node));
                self.put(name, pod);
                continue;
            }
            if self.bad_pods.contains(&name) {
                pod.init_failure = Some(Failure {
                    kind: FailureKind::Pull,
                    reason: "ErrImagePull".to_owned(),
                    message: String::new(),
                });
                self.put(name, pod);
                continue;
            }
            let is_fetcher = pod.controller.is_none();
            for container in &mut pod.containers {
                if container.state == ContainerState::Running {
                    continue;
                }
                if is_fetcher && self.no_start.contains(&*container.image) {
                    container.state = ContainerState::Failed(Failure {
                        kind: FailureKind::Start,
                        reason: "CreateContainerError".to_owned(),
                        message: String::new(),
                    });
                    continue;
                }
                let key = (node.to_owned(), container.image.to_string());
                if container.asks || !self.stores.contains_key(&key) {
                    self.requests += 1;
                    let found = self.registry.get(&*container.image);
                    let is_given = !self.is_registry_down && !self.foreign.contains(&key);
                    let Some(found) = found.filter(|_| is_given) else {
                        container.state = ContainerState::Failed(Failure {
                            kind: FailureKind::Pull,
                            reason: "ErrImagePull".to_owned(),
                            message: String::new(),
                        });
                        continue;
                    };
                    self.stores.insert(key.clone(), *found);
                }
                container.content = self.stores.get(&key).copied().map(Content);
                container.state = ContainerState::Running;
                self.excused.remove(&key);
                if self.wanted().contains(&key.1) {
                    self.held.insert(key);
                }
            }
            self.put(name, pod);
        }
    }

    pub(crate) fn put(&mut self, name: String, mut pod: PodFacts) {
        for container in &mut pod.containers {
            container.asks |= self.always_asks;
            container.asks &= !self.never_asks;
        }
        if self.bad_sleep && !self.pods.contains_key(&name) {
            self.bad_pods.insert(name.clone());
        }
        if self.pods.get(&name) == Some(&pod) {
            return;
        }
        self.versions += 1;
        pod.resource_version = self.versions.to_string();
        self.under_way.push_back((name.clone(), Some(pod.clone())));
        let states: Vec<_> = pod
            .containers
            .iter()
            .map(|c| format!("{} {}", c.image, short(&c.state)))
            .collect();
        self.log.push(format!(
            "{} {name} on {} {:?} terminating={} {states:?}",
            self.now, pod.node, pod.duty, pod.terminating
        ));
        self.pods.insert(name, pod);
    }

    pub(crate) fn touch_live(&mut self) {
        let version: u64 = self.live.resource_version.parse().expect("a number");
        self.live.resource_version = (version + 1).to_string();
    }

    /// The watch brings some of what has happened.
    pub(crate) fn deliver(&mut self) {
        for _ in 0..self.lots.below(8) {
            match self.under_way.pop_front() {
                Some((name, Some(pod))) => {
                    let first_seen = self.now;
                    self.view.see_pod(name, PodFacts { first_seen, ..pod });
                }
                Some((name, None)) => {
                    self.view.pods.remove(&name);
                }
                None => {}
            }
        }
    }
}

fn short(state: &ContainerState) -> &'static str {
    match state {
        ContainerState::Waiting => "waits",
        ContainerState::Running => "runs",
        ContainerState::Failed(_) => "fails",
    }
}
