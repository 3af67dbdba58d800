//! Parts: nodes of one architecture whose `DaemonSet` leaves out the images that have nothing for it. Pure.
//!
//! ```text
//! none ─▶ beside: the part's pods take up what is there ─▶ apart: the main DaemonSet is kept off these nodes
//!                  ▲   the part has rolled out the whole list: the main one comes back ◀──┘
//!                  └─▶ going: the main DaemonSet's pods hold everything, the part's DaemonSet is deleted ─▶ none
//! ```
//!
//! An image that some node of the architecture holds is not left out, though its tag has nothing for these nodes any more:
//! the node would let it go, and could not have it again.
//!
//! Which phase a part is in is an annotation of the main `DaemonSet`, written with what it says of that object. So each
//! step may be done again, after a restart or by another daemon, and no step is taken before both sides hold the images.

mod derived;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::derived::{identity, may_run_on, name};
pub use self::standing::{Standing, standing};
use crate::architecture::Architecture;
use crate::cluster::{Live, Seen};
use crate::config::Config;
use crate::config::images::Image;
use crate::config::rollout::Refresh;
use crate::desired::Flavour;
use crate::desired::hash::content_hash;
use crate::desired::names::PARTS;
use crate::known::Known;
use crate::rollout::Figures;
use crate::status::Status;
use crate::trouble::Trouble;

/// The label of a node's architecture.
pub const ARCHITECTURE: &str = "kubernetes.io/arch";

/// The parts that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parts(pub BTreeMap<Architecture, Part>);

/// The nodes of one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// References of the images that are left out.
    pub without: BTreeSet<String>,
    /// How far it is.
    pub phase: Phase,
    /// How many nodes it had when the main `DaemonSet` was kept off them.
    #[serde(default)]
    pub nodes: usize,
}

/// How far a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its nodes are those of both `DaemonSet`s.
    Beside,
    /// The main `DaemonSet` is kept off its nodes.
    Apart,
    /// Its `DaemonSet` is deleted.
    Going,
}

/// What a part is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// To keep these images.
    Keep(Box<Config>),
    /// To keep none: its `DaemonSet` goes.
    Go,
}

/// Where a part stands.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Whether it was told to go, and there is no `DaemonSet` of its name that is the part's.
    pub is_gone: bool,
    /// The content hash of what was applied last.
    pub content: Option<String>,
    /// What its nodes hold.
    pub standing: Standing,
    /// The same, in numbers.
    pub status: Status,
    /// On how many nodes there is which trouble.
    pub troubles: BTreeMap<Trouble, usize>,
    /// How far its rollout is.
    pub figures: Figures,
    /// Whether the rollout of what was applied last has ended, with a node on which it came through.
    pub is_rolled_out: bool,
    /// The pull secrets of its newest pod.
    pub pull_secrets: Box<[Arc<str>]>,
}

/// What is needed to decide.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// The kind of cluster.
    pub flavour: Flavour,
    /// What registries have said.
    pub known: &'a Known,
    /// Where the parts stand.
    pub reports: &'a BTreeMap<Architecture, Report>,
}

impl Parts {
    /// What is written on the main `DaemonSet`.
    pub fn of(live: &Seen<Live>) -> Option<Self> {
        let Seen::Present(live) = live else {
            return None;
        };
        serde_json::from_str(live.annotations.get(PARTS)?).ok()
    }

    /// The annotation; `None` where there is nothing to say.
    pub fn text(&self) -> Option<String> {
        // Architectures, references and words can always be written.
        (!self.0.is_empty()).then(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// Where the main `DaemonSet` has no pods.
    pub fn apart(&self) -> impl Iterator<Item = (Architecture, &Part)> {
        let parts = self.0.iter();
        parts
            .filter(|(_, part)| part.phase == Phase::Apart)
            .map(|(architecture, part)| (*architecture, part))
    }

    /// A part whose `DaemonSet` was found, and of which nothing is known but which images it has.
    pub fn find(&mut self, architecture: Architecture, images: &BTreeSet<String>, config: &Config) {
        let all = references(config).map(str::to_owned);
        self.0.entry(architecture).or_insert_with(|| Part {
            without: all.filter(|image| !images.contains(image)).collect(),
            phase: Phase::Beside,
            nodes: 0,
        });
    }
}

/// What a part is to do now.
pub fn order(main: &str, config: &Config, live: &Seen<Live>, part: &Part) -> Order {
    let live = match live {
        Seen::Present(live) => Some(live),
        Seen::Absent | Seen::Unknown => None,
    };
    let config = derived::config(main, config, live, &part.without);
    if part.phase == Phase::Going || references(&config).next().is_none() {
        return Order::Go;
    }
    Order::Keep(Box::new(config))
}

/// What the parts are to be now. `main` is not looked at while there is nothing to decide.
pub fn decide(before: &Parts, facts: &Facts<'_>, main: impl FnOnce() -> Standing) -> Parts {
    let has_absent = |image| !facts.known.absent(image).is_empty();
    let is_quiet = before.0.is_empty() && !references(facts.config).any(has_absent);
    if facts.config.rollout.paused || is_quiet {
        return before.clone();
    }
    let content = facts.config.groups.first();
    let decision = Decision {
        facts,
        main: main(),
        content: content.map(|group| content_hash(group, facts.flavour)),
    };
    let parts = Architecture::ALL.into_iter().filter_map(|architecture| {
        let part = decision.next(architecture, before.0.get(&architecture))?;
        Some((architecture, part))
    });
    Parts(parts.collect())
}

struct Decision<'a> {
    facts: &'a Facts<'a>,
    /// What the nodes of the main `DaemonSet` hold.
    main: Standing,
    /// The content hash of its list.
    content: Option<String>,
}

impl Decision<'_> {
    fn next(&self, architecture: Architecture, before: Option<&Part>) -> Option<Part> {
        let report = self.facts.reports.get(&architecture);
        let without = self.without(architecture, before, report);
        let is_needed = !without.is_empty();
        let Some(before) = before else {
            let has_nodes = self.main.nodes_of(architecture).next().is_some();
            return (is_needed && has_nodes).then_some(Part {
                without,
                phase: Phase::Beside,
                nodes: 0,
            });
        };
        let mut part = before.clone();
        // Where the main DaemonSet is kept off, the part brings what is to be had again, a few nodes at a time. Where nobody
        // knows what is to be had, or no pod is to run there any more, there is nothing to bring.
        let is_to_bring = part.phase == Phase::Apart && self.is_asked_of(architecture);
        if is_needed || is_to_bring {
            part.without = without;
        }
        part.phase = match part.phase {
            Phase::Beside
                if is_needed && self.is_known(&part) && self.can_part(architecture, &part) =>
            {
                part.nodes = self.main.nodes_of(architecture).count();
                Phase::Apart
            }
            Phase::Beside if !is_needed && report.is_some_and(|it| self.is_back(it, &part)) => {
                Phase::Going
            }
            Phase::Apart
                if !is_needed && (!is_to_bring || report.is_some_and(|it| self.is_through(it))) =>
            {
                Phase::Beside
            }
            Phase::Going if is_needed && self.is_known(&part) => Phase::Beside,
            Phase::Going if report.is_some_and(|report| report.is_gone) => return None,
            phase => phase,
        };
        Some(part)
    }

    /// The images that are to be left out on nodes of this architecture. Of what is not known, what was so stays so.
    fn without(
        &self,
        architecture: Architecture,
        before: Option<&Part>,
        report: Option<&Report>,
    ) -> BTreeSet<String> {
        if !self.is_asked_of(architecture) {
            return BTreeSet::new();
        }
        let is_seen = |report: &Report| {
            let standing = &report.standing;
            report.is_gone || (standing.is_seen && standing.is_there)
        };
        let all_seen = self.main.is_seen && (before.is_none() || report.is_some_and(is_seen));
        let may_be_held = |reference: &str| {
            let part = report.map(|report| &report.standing);
            let mut both = part.into_iter().chain([&self.main]);
            !all_seen || both.any(|standing| standing.may_hold(architecture, reference))
        };
        let is_apart = before.is_some_and(|part| part.phase == Phase::Apart);
        let is_left_out = |image: &&Image| {
            let was_so = before.is_some_and(|part| part.without.contains(&image.image));
            match self.lacks(&image.image) {
                Some(absent) => {
                    // A pod that is made anew is no reason to begin again.
                    let is_held = || self.main.is_held(architecture, &image.name);
                    let stays = was_so && (is_apart || !is_held());
                    absent.contains(&architecture) && (stays || !may_be_held(&image.image))
                }
                None => was_so,
            }
        };
        let images = self.facts.config.images().filter(is_left_out);
        images.map(|image| image.image.clone()).collect()
    }

    /// Whether registries are asked what there is for this architecture, and pods may run on its nodes.
    fn is_asked_of(&self, architecture: Architecture) -> bool {
        let config = self.facts.config;
        config.rollout.refresh == Refresh::Digest && may_run_on(config, architecture)
    }

    /// Whether the part has rolled out the whole list, as far as that is to be done.
    fn is_through(&self, report: &Report) -> bool {
        let standing = &report.standing;
        let is_done = standing.is_through() || (standing.is_whole && report.is_rolled_out);
        is_done && self.content.is_some() && report.content == self.content
    }

    /// For which architectures the image has nothing, where it is known.
    fn lacks(&self, image: &str) -> Option<BTreeSet<Architecture>> {
        self.facts.known.lacks(image, self.content.as_deref())
    }

    /// Whether registries have said it of all that is left out: what was so before a restart may be otherwise by now.
    fn is_known(&self, part: &Part) -> bool {
        let mut without = part.without.iter();
        without.all(|image| self.lacks(image).is_some())
    }

    /// Whether the part's pods hold everything that the main one's hold on its nodes, as far as it is for the part to hold.
    fn can_part(&self, architecture: Architecture, part: &Part) -> bool {
        let mut left_out = part.without.iter();
        if left_out.any(|image| self.main.may_hold(architecture, image)) {
            return false;
        }
        let config = derived::config("", self.facts.config, None, &part.without);
        let Some(group) = config.groups.first().filter(|it| !it.images.is_empty()) else {
            return true;
        };
        let content = content_hash(group, self.facts.flavour);
        let report = self.facts.reports.get(&architecture);
        let Some(report) = report.filter(|it| it.content.as_ref() == Some(&content)) else {
            return false;
        };
        let wanted = names(&config);
        let theirs = &report.standing;
        let mut shared = self.main.nodes.iter().filter(|(node, main)| {
            main.architecture == Some(architecture) || theirs.nodes.contains_key(*node)
        });
        theirs.is_whole
            && shared.all(|(node, main)| {
                let part = theirs.nodes.get(node);
                part.is_some_and(|part| part.replaces(main, &wanted))
            })
    }

    /// Whether the main one's pods hold everything that the part's do, wherever they are to be. Those of a list before do,
    /// too: where nothing new can be made, for want of room, the part's pods make way.
    fn is_back(&self, report: &Report, part: &Part) -> bool {
        let config = derived::config("", self.facts.config, None, &part.without);
        let names = names(&config);
        let mut theirs = report.standing.nodes.iter();
        report.standing.is_seen
            && self.main.is_whole
            && theirs.all(|(node, part)| {
                let main = self.main.nodes.get(node);
                main.is_none_or(|main| main.has_all_of(part, &names))
            })
    }
}

fn references(config: &Config) -> impl Iterator<Item = &str> {
    config.images().map(|image| image.image.as_str())
}

fn names(config: &Config) -> BTreeSet<Arc<str>> {
    let images = config.images();
    images.map(|image| Arc::from(image.name.as_str())).collect()
}

#[cfg(test)]
mod tests;
