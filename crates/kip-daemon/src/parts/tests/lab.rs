//! A cluster in memory, of two architectures: whatever happens next, no image is let go.

mod set;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use self::set::Set;
use super::super::*;
use super::{A, AMD, ARM, C, configured, hash, known};
use crate::cluster::{ContainerState, Failure, FailureKind};
use crate::node_report::NodeReport;

const NODES: [(&str, Architecture); 3] = [("amd", AMD), ("arm-1", ARM), ("arm-2", ARM)];

/// What becomes of a container whose image is pulled now.
fn pulled(architecture: Architecture, absent: &[&str], image: &str) -> ContainerState {
    if architecture == ARM && absent.contains(&image) {
        return ContainerState::Failed(Failure {
            kind: FailureKind::Pull,
            reason: "ErrImagePull".to_owned(),
            message: "no match for platform in manifest".to_owned(),
        });
    }
    ContainerState::Running
}

/// A cluster of two architectures, in which what happens next is drawn by lot.
pub(super) struct Lab {
    lots: u64,
    config: Config,
    /// What the registry has nothing for arm64 of.
    absent: Vec<&'static str>,
    /// What the daemon knows; a restart forgets it.
    known: Known,
    reports: BTreeMap<Architecture, Report>,
    pub(super) main: Set,
    part: Option<Set>,
    held: BTreeSet<(&'static str, String)>,
    phases: BTreeSet<&'static str>,
    is_told_to_go: bool,
    /// A node that is away.
    away: Option<&'static str>,
}

impl Lab {
    fn new(seed: u64, config: Config) -> Self {
        Self {
            lots: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            main: Set::new("main", config.clone()),
            config,
            absent: vec![C],
            known: Known::default(),
            reports: BTreeMap::new(),
            part: None,
            held: BTreeSet::new(),
            phases: BTreeSet::new(),
            is_told_to_go: false,
            away: None,
        }
    }

    /// The main `DaemonSet` has all its pods, and kubelets have been through.
    pub(super) fn settled(config: &Config, absent: &[&'static str]) -> Self {
        let mut lab = Self::new(7, config.clone());
        lab.absent = absent.to_vec();
        lab.main.control(|_| true);
        for _ in 0..200 {
            lab.kubelet();
        }
        lab
    }

    /// The main `DaemonSet` has all its pods, whose init containers have told where they are, and no more.
    pub(super) fn starting(config: &Config) -> Self {
        let mut lab = Self::settled(config, &[]);
        let pods = lab.main.cluster.pods.values_mut();
        for container in pods.flat_map(|pod| &mut pod.containers) {
            container.state = ContainerState::Waiting;
        }
        lab
    }

    fn below(&mut self, end: usize) -> usize {
        self.lots ^= self.lots << 13;
        self.lots ^= self.lots >> 7;
        self.lots ^= self.lots << 17;
        usize::try_from(self.lots >> 33).unwrap() % end
    }

    fn parts(&self) -> Parts {
        Parts::of(&self.main.cluster.live).unwrap_or_default()
    }

    fn step(&mut self) {
        match self.below(16) {
            0 => {
                // A restart.
                self.known = Known::default();
                self.reports.clear();
                self.is_told_to_go = false;
            }
            1 => {
                // What a registry says takes longer than what a part says.
                self.report();
                self.known = known(&self.absent);
            }
            2..=5 => self.daemon(),
            6 | 7 => {
                let apart: Vec<_> = self.parts().apart().map(|(it, _)| it).collect();
                self.main.control(|it| !apart.contains(&it));
            }
            8 | 9 => {
                if let Some(part) = &mut self.part {
                    part.control(|it| it == ARM);
                }
            }
            10 => self.report(),
            11 => {
                let (node, absent) = (NODES[self.below(NODES.len())].0, self.absent.clone());
                if let Some(part) = &mut self.part {
                    part.roll(node, |image| pulled(ARM, &absent, image));
                }
            }
            _ => self.kubelet(),
        }
        self.look();
    }

    /// Decides, applies what was decided, and has the part do its share.
    fn daemon(&mut self) {
        let before = self.parts();
        let facts = Facts {
            config: &self.config,
            flavour: Flavour::Kubernetes,
            known: &self.known,
            reports: &self.reports,
        };
        let after = decide(&before, &facts, || self.main.standing());
        if after != before {
            let live = self.main.live();
            live.generation += i64::from(!after.apart().eq(before.apart()));
            live.annotations.remove(PARTS);
            live.annotations
                .extend(after.text().map(|text| (PARTS.to_owned(), text)));
            // The process may end here.
            return;
        }
        let part = after.0.get(&ARM);
        match part.map(|part| order("main", &self.config, &self.main.cluster.live, part)) {
            Some(Order::Keep(config)) => {
                self.is_told_to_go = false;
                let part = self.part.get_or_insert_with(|| {
                    let config = config.as_ref().clone();
                    Set::new("part", config)
                });
                part.set(*config);
            }
            Some(Order::Go) => {
                self.is_told_to_go = true;
                self.part = None;
            }
            None => {}
        }
    }

    fn report(&mut self) {
        let gone = Report {
            is_gone: self.is_told_to_go,
            standing: Standing {
                is_seen: true,
                ..Standing::default()
            },
            ..Report::default()
        };
        let report = self.part.as_ref().map_or(gone, |part| Report {
            is_gone: false,
            content: Some(hash(&part.config)),
            standing: part.standing(),
            ..Report::default()
        });
        self.reports.insert(ARM, report);
    }

    /// One container of some pod comes a step further.
    fn kubelet(&mut self) {
        let (lot, node) = (self.below(6), self.below(NODES.len()));
        let (node, architecture) = NODES[node];
        if self.away == Some(node) {
            return;
        }
        let absent = self.absent.clone();
        let sets = [Some(&mut self.main), self.part.as_mut()];
        for set in sets.into_iter().flatten() {
            let Some(pod) = set.cluster.pods.get_mut(node) else {
                continue;
            };
            pod.taken_up = true;
            pod.node_report = Some(NodeReport {
                architecture,
                disk: None,
            });
            let count = pod.containers.len();
            let container = &mut pod.containers[lot % count];
            // What runs goes on running, whatever its tag stands for by now.
            if container.state != ContainerState::Running {
                container.state = pulled(architecture, &absent, &container.image);
            }
        }
    }

    /// What was held once is held ever after.
    fn look(&mut self) {
        let phase = self.parts().0.get(&ARM).map(|part| part.phase);
        self.phases.insert(match phase {
            None => "none",
            Some(Phase::Beside) => "beside",
            Some(Phase::Apart) => "apart",
            Some(Phase::Going) => "going",
        });
        for (node, _) in NODES {
            for name in ["a", "b", "c"] {
                let key = (node, name.to_owned());
                let part = self.part.as_ref().is_some_and(|it| it.holds(node, name));
                if part || self.main.holds(node, name) {
                    self.held.insert(key);
                } else {
                    assert!(!self.held.contains(&key), "{name} is let go on {node}");
                }
            }
        }
    }

    fn run_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..5000 {
            if is_so(self) {
                return;
            }
            self.step();
        }
        panic!("{what}: {:?}", self.parts());
    }

    fn has_all(&self) -> bool {
        NODES.iter().all(|(node, architecture)| {
            let is_there = |name| self.held.contains(&(*node, String::from(name)));
            is_there("a") && is_there("b") && (*architecture == ARM || is_there("c"))
        })
    }

    /// What a node that is away holds is not to be had.
    fn forget_what_is_held_on(&mut self, node: &str) {
        self.held.retain(|(held, _)| *held != node);
    }

    fn is_apart(&self) -> bool {
        let pods = |set: &Set| set.cluster.pods.len();
        self.has_all()
            && self.parts().apart().count() == 1
            && pods(&self.main) == 1
            && self.part.as_ref().map(pods) == Some(2)
    }

    fn is_one_again(&self) -> bool {
        let holds_c = NODES.iter().all(|(node, _)| self.main.holds(node, "c"));
        self.parts() == Parts::default() && self.part.is_none() && holds_c
    }
}

#[test]
fn nothing_is_let_go_when_nodes_become_a_part_and_when_they_come_back_whenever_the_daemon_is_restarted()
 {
    for seed in 0..60 {
        let mut lab = Lab::new(seed, configured(&[]));
        lab.run_until("apart", Lab::is_apart);
        lab.absent.clear();
        lab.run_until("one again", Lab::is_one_again);
        assert_eq!(lab.phases.len(), 4, "{:?}", lab.phases);
    }
}

#[test]
fn what_a_node_holds_is_not_let_go_when_its_tag_has_nothing_for_the_node_any_more() {
    for seed in 0..60 {
        let mut lab = Lab::new(seed, configured(&[]));
        lab.run_until("apart", Lab::is_apart);
        lab.absent.push(A);
        for _ in 0..500 {
            lab.step();
        }
        assert!(lab.is_apart(), "{:?}", lab.parts());
        lab.absent.clear();
        lab.run_until("one again", Lab::is_one_again);
    }
}

/// What its pod said last is all that is known of a node that is away: it holds up the others until it has been so for long.
#[test]
fn a_node_that_is_away_holds_up_the_others_only_for_a_time() {
    for seed in 0..20 {
        let mut lab = Lab::settled(&configured(&[]), &[C]);
        (lab.lots, lab.away) = (Lab::new(seed, configured(&[])).lots, Some("arm-2"));
        for _ in 0..500 {
            lab.step();
        }
        assert_eq!(lab.parts().apart().count(), 0);
        let part = lab.part.as_mut().unwrap();
        part.long_ago = Timestamp::MAX;
        lab.forget_what_is_held_on("arm-2");
        lab.run_until("apart", |lab| lab.parts().apart().count() == 1);
    }
}

#[test]
fn a_tag_that_loses_its_nodes_makes_no_part_while_they_hold_it() {
    for seed in 0..20 {
        let mut lab = Lab::new(seed, configured(&[]));
        lab.absent.clear();
        lab.run_until("all is held", |lab| {
            NODES.iter().all(|(node, _)| lab.main.holds(node, "c"))
        });
        lab.absent.push(C);
        for _ in 0..500 {
            lab.step();
        }
        assert_eq!(lab.parts(), Parts::default());
    }
}

#[test]
fn what_registries_are_not_asked_of_any_more_is_kept_off_nobody() {
    for seed in 0..20 {
        let mut lab = Lab::new(seed, configured(&[]));
        lab.run_until("apart", Lab::is_apart);
        lab.config.rollout.refresh = Refresh::Never;
        lab.run_until("one again", |lab| {
            lab.parts() == Parts::default() && lab.part.is_none()
        });
    }
}
