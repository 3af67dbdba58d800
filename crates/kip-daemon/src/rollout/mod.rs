//! Fetch, then swap: how an edit of the list, or a newer content of a tag, reaches the nodes without any image being
//! let go before its successor is there. Pure: no clock, no I/O.
//!
//! ```text
//! node:   nothing ─▶ a fetcher pulls ─▶ everything is there ─▶ the old pod goes ─▶ the new pod runs ─▶ the fetcher goes
//! round:  one node ─▶ MAX_NODES_AT_ONCE nodes at a time ─▶ ended
//! ```
//!
//! Where a node is, its pods tell. What they do not tell is in the [`Round`], an annotation of the `DaemonSet`. So each
//! step may be done twice or by another daemon, and a restart loses nothing.

mod ask;
mod between;
mod course;
mod digests;
mod ending;
mod leftovers;
mod node;
mod orders;
mod round;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub use self::ending::Ending;
pub use self::node::Clock;
use self::node::{Named, Node, Stage, after, by_node, is_of, is_outdated};
pub use self::round::{Change, Round};
use crate::answers::{Answers, Question};
use crate::cluster::{Duty, Live, PodFacts};
use crate::config::Config;
use crate::desired::{Order, Placement};
use crate::plan::PodName;

/// A fetcher that is not placed by the scheduler, or not taken up by kubelet, for so long, is given up.
const PLACING: Duration = Duration::from_secs(60);

/// What is needed to decide.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// The content hash that the pods are to have.
    pub content: &'a str,
    /// The `DaemonSet`, as it should be.
    pub live: &'a Live,
    /// What the registries have answered last.
    pub answers: Option<&'a Answers>,
    /// Its pods and the fetchers: all of them.
    pub pods: &'a BTreeMap<String, PodFacts>,
    /// Nodes whose fetchers were refused: others come before them.
    pub refused_nodes: &'a BTreeSet<String>,
    /// Which nodes the `DaemonSet` is for.
    pub placement: &'a Placement,
    /// The time.
    pub now: Timestamp,
}

/// The next step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Write down where the round is, before anything is done that depends on it.
    Record(Box<Record>),
    /// Delete and make pods.
    Act(Acts),
    /// Ask the registries.
    Ask(Question),
}

/// What is to be done with pods. None of it waits for another: one that is refused holds up nothing else.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Acts {
    /// Pods that are to go: those that hold nothing, and fetchers that have done their work.
    pub gone: Vec<PodName>,
    /// Pods that are to go for what their fetchers hold.
    pub swaps: Vec<Swap>,
    /// Fetchers to make.
    pub orders: Vec<Order>,
}

impl Acts {
    /// The step, if there is something to do.
    fn into_step(self) -> Option<Step> {
        let is_empty = self.gone.is_empty() && self.swaps.is_empty() && self.orders.is_empty();
        (!is_empty).then_some(Step::Act(self))
    }

    fn deletions(gone: Vec<PodName>) -> Self {
        Self {
            gone,
            ..Self::default()
        }
    }
}

/// A pod that holds what is out of date, and the fetcher that has brought what its successor will hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The pod that is to go.
    pub holder: PodName,
    /// The fetcher, which must be as it was seen: without it the images would be held by nobody.
    pub fetcher: PodName,
}

/// What is written to the `DaemonSet`, and what is new in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The round.
    pub round: Round,
    /// Further annotations.
    pub annotations: BTreeMap<&'static str, String>,
    /// What people are told.
    pub news: Vec<News>,
}

/// Something that happened in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It began.
    Began,
    /// On its first node nothing of what it was to bring could be had: the others are not touched.
    Stopped {
        /// The node.
        node: String,
        /// The images.
        images: Vec<String>,
    },
    /// A node has left it.
    Left(String, Ending),
    /// So many nodes were tried first, and all have left it: no other one is touched.
    Unproven(u32),
    /// No registry has answered the daemon, and no node is to ask.
    Unanswered,
    /// It ended.
    Ended {
        /// Images whose tags stand for something else than before.
        changed: Vec<Change>,
    },
}

/// The next step, and how far the nodes are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Next {
    /// What to do now; `None` while there is nothing, or nothing before something happens.
    pub step: Option<Step>,
    /// When to look again if nothing happens before.
    pub wake: Option<Timestamp>,
    /// Nodes that still hold something else than they should.
    pub outdated: usize,
    /// Nodes at which something is being fetched or swapped.
    pub busy: usize,
    /// Fetchers that stay because they hold what the pod of the `DaemonSet` does not.
    pub kept: usize,
    /// Pods that the Go image puller has left, and that still hold what no pod of ours does.
    pub leftovers: usize,
}

/// How far the nodes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// [`Next::outdated`]
    pub outdated: usize,
    /// [`Next::busy`]
    pub busy: usize,
    /// [`Next::kept`]
    pub kept: usize,
    /// [`Next::leftovers`]
    pub leftovers: usize,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.outdated += other.outdated;
        self.busy += other.busy;
        self.kept += other.kept;
        self.leftovers += other.leftovers;
    }
}

impl Next {
    /// How far the nodes are.
    pub fn figures(&self) -> Figures {
        Figures {
            outdated: self.outdated,
            busy: self.busy,
            kept: self.kept,
            leftovers: self.leftovers,
        }
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// Decides on the next step of the rollout.
pub fn next(facts: &Facts<'_>) -> Next {
    let round = Round::of(facts.live);
    let nodes = by_node(facts.pods, facts.live, facts.content, round.as_ref());
    let mut next = Next {
        outdated: nodes.values().filter(|node| node.is_outdated).count(),
        ..Next::default()
    };
    let holders = nodes.values().filter(|node| node.holder.is_some()).count();
    let wanted = usize::try_from(facts.live.wanted_nodes).unwrap_or(0);
    // Pods on nodes that should have none, for example since a taint: they are not among the wanted ones.
    let misscheduled = usize::try_from(facts.live.misscheduled_nodes).unwrap_or(0);
    let rollout = Rollout {
        facts,
        nodes,
        clock: clock(facts, round.as_ref()),
        is_whole: holders >= wanted + misscheduled,
    };
    if facts.config.rollout.paused || facts.live.observed_generation < facts.live.generation {
        return next;
    }
    let unplaced = unplaced(facts);
    if !unplaced.is_empty() {
        next.step = Acts::deletions(unplaced).into_step();
        return next;
    }
    let step = match round {
        Some(round) if round.is_active() && round.content == facts.content => {
            rollout.go_on(&round, &mut next)
        }
        round => rollout
            .begin(round.as_ref(), &mut next)
            .or_else(|| rollout.clear(round.as_ref(), &mut next)),
    };
    let leftovers = rollout.done_leftovers(&mut next);
    next.step = step.or_else(|| Acts::deletions(leftovers).into_step());
    next
}

/// Pods of an older template that no node has taken: they hold nothing, and a newer one may find a place.
fn unplaced(facts: &Facts<'_>) -> Vec<PodName> {
    facts
        .pods
        .iter()
        .filter(|(_, pod)| pod.node.is_empty() && !pod.terminating && is_of(pod, facts.live))
        .filter(|(_, pod)| is_outdated(pod, facts.live, facts.content))
        .map(|(name, pod)| pod_name(Named { name, pod }))
        .collect()
}

/// All fetchers there are.
pub fn fetchers(pods: &BTreeMap<String, PodFacts>) -> Vec<PodName> {
    pods.iter()
        .filter(|(_, pod)| matches!(pod.duty, Duty::Fetch { .. }))
        .map(|(name, pod)| pod_name(Named { name, pod }))
        .collect()
}

fn clock(facts: &Facts<'_>, round: Option<&Round>) -> Clock {
    let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let settling = signed(facts.config.rollout.settle_deadline);
    Clock {
        now: facts.now,
        placing: signed(PLACING).min(settling),
        settling,
        started: round
            .and_then(|round| round.started.as_ref())
            .map_or(Timestamp::MIN, |Time(started)| *started),
    }
}

struct Rollout<'a> {
    facts: &'a Facts<'a>,
    nodes: BTreeMap<&'a str, Node<'a>>,
    clock: Clock,
    /// Whether no pod of the `DaemonSet` is missing anywhere.
    is_whole: bool,
}

impl<'a> Rollout<'a> {
    /// The fetcher of a node that is not brought further, if it can go: it stays where it holds something.
    fn done_fetcher(&self, node: &Node<'a>, next: &mut Next) -> Option<PodName> {
        let fetcher = node.fetcher?;
        match node.stage(self.clock) {
            Stage::Done | Stage::Overdue(_) => return Some(pod_name(fetcher)),
            Stage::Busy(until) => next.wake_at(until),
            _ => next.kept += 1,
        }
        None
    }

    /// Whether this pod, on a node that has none of the `DaemonSet`, holds what none will hold there.
    ///
    /// While a pod of the `DaemonSet` is missing somewhere, it may be missing here, and this one alone may hold what it
    /// will hold. When none is missing, a node without one is not to have any. The numbers may be behind what happens:
    /// only what has been so for long counts.
    fn is_unwanted(&self, pod: &PodFacts, next: &mut Next) -> bool {
        if !self.is_whole {
            return false;
        }
        let until = after(pod.first_seen, self.clock.settling * 2);
        if self.facts.now < until {
            next.wake_at(until);
        }
        self.facts.now >= until
    }

    /// Whether the pod is on a node of a part: what it holds the part's pod holds, or it would not be apart.
    fn is_apart(&self, pod: &PodFacts) -> bool {
        let Placement::Main(parts) = self.facts.placement else {
            return false;
        };
        let is_of = |it| pod.node_report.is_some_and(|node| node.architecture == it);
        parts.apart().any(|(architecture, _)| is_of(architecture))
    }

    /// Fetchers of other rounds or lists that can go.
    fn needless(&self, node: &Node<'a>, next: &mut Next) -> Vec<PodName> {
        let mut is_unwanted = |pod: &PodFacts| {
            node.holder.is_none() && (self.is_apart(pod) || self.is_unwanted(pod, next))
        };
        let mut gone = Vec::new();
        gone.extend(
            node.fetcher
                .filter(|fetcher| is_unwanted(fetcher.pod))
                .map(pod_name),
        );
        let mut kept = 0;
        for other in &node.others {
            if is_unwanted(other.pod) || node.is_needless(other.pod, self.facts.content, self.clock)
            {
                gone.push(pod_name(*other));
            } else {
                kept += 1;
            }
        }
        next.kept += kept;
        gone
    }
}

fn record(round: Round, news: Vec<News>) -> Step {
    Step::Record(Box::new(Record {
        round,
        annotations: BTreeMap::new(),
        news,
    }))
}

fn pod_name(named: Named<'_>) -> PodName {
    PodName {
        name: named.name.to_owned(),
        uid: named.pod.uid.clone(),
        resource_version: named.pod.resource_version.clone(),
    }
}

#[cfg(test)]
mod tests;
