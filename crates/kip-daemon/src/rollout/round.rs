//! The round that is under way, as it is kept on the `DaemonSet`: any daemon can go on with it after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Ending;
use crate::answers::Unfit;
use crate::cluster::{Content, Live};
use crate::desired::names::ROUND;

/// A pass over the nodes that brings the list in force to each, or asks for tags again.
///
/// What a node has reached is read from its pods. Kept here is only what they do not tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Round {
    /// Counts the rounds of this `DaemonSet`.
    pub number: u64,
    /// What it brings: the content hash of the pods.
    pub content: String,
    /// Whether tags are asked for again.
    pub refresh: bool,
    /// The request for it, where people have asked for a refresh and it is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The names of the images that nodes are to ask for; `None` means all that have a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<BTreeSet<String>>,
    /// What the registries have said that tags stand for, by the image's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Content>,
    /// What nodes of some architectures are not to ask for.
    #[serde(skip_serializing_if = "Unfit::is_empty")]
    pub unfit: Unfit,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// Whether a first node has come through.
    pub proven: bool,
    /// When nodes that still hold something else are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Time>,
    /// How many rounds before it have left nodes of the same list as they were.
    #[serde(skip_serializing_if = "is_none")]
    pub tries: u32,
    /// How nodes have left it that could not be brought to its end, by the word for how ([`Ending::as_str`]): as text, so
    /// that another version that knows other words can go on with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unfinished: BTreeMap<String, u32>,
    /// These nodes, each as the beginning of a hash: thousands of names would not fit into an annotation.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    left: BTreeSet<u32>,
    /// What was learnt of the contents that nodes hold, by the image's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<String, Answers>,
}

/// What was learnt of one image: the contents that nodes hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Answers {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    fresh: BTreeSet<Content>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    stale: BTreeSet<Content>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    failed: BTreeSet<Content>,
}

/// What a node learnt by asking for an image of which it holds some content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The tag still stands for it.
    Fresh,
    /// The tag stands for another content now.
    Stale(Content),
    /// There was no answer.
    Failed,
}

/// An image whose tag stands for something else than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The image's name.
    pub image: String,
    /// What nodes held; several where they had pulled at different times.
    pub from: BTreeSet<Content>,
    /// What they hold now; several where nodes of different architectures do.
    pub to: BTreeSet<Content>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |contents: &BTreeSet<Content>| {
            let texts: Vec<String> = contents.iter().map(Content::to_string).collect();
            texts.join(" and ")
        };
        write!(
            f,
            "{} {} → {}",
            self.image,
            list(&self.from),
            list(&self.to)
        )
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// Answers that are kept; an annotation holds 256 KiB.
const ANSWERS: usize = 4000;

impl Round {
    /// The one that is written on the `DaemonSet`.
    pub fn of(live: &Live) -> Option<Self> {
        serde_json::from_str(live.annotations.get(ROUND)?).ok()
    }

    /// A round that begins now.
    pub fn begin(before: Option<&Self>, content: &str, now: Timestamp) -> Self {
        let same = before.filter(|round| round.content == content);
        Self {
            number: before.map_or(0, |round| round.number).saturating_add(1),
            content: content.to_owned(),
            started: Some(Time(now)),
            retry: same.and_then(|round| round.retry.clone()),
            tries: same.map_or(0, |round| round.tries),
            ..Self::default()
        }
    }

    /// Whether it is under way.
    pub fn is_active(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether it was a refresh that has failed as a whole.
    pub fn is_in_vain(&self) -> bool {
        self.refresh && !self.proven
    }

    /// Ends it. What was kept for its course is dropped.
    pub fn end(&mut self, now: Timestamp) {
        self.ended = Some(Time(now));
        self.left.clear();
        self.answers.clear();
        self.images = None;
        self.digests.clear();
        self.unfit = Unfit::default();
    }

    /// The node is not brought further in this round.
    pub fn leave(&mut self, node: &str, ending: Ending) {
        if self.left.insert(self.mark(node)) {
            *self
                .unfinished
                .entry(ending.as_str().to_owned())
                .or_default() += 1;
        }
    }

    /// Whether the node has left.
    pub fn has_left(&self, node: &str) -> bool {
        !self.left.is_empty() && self.left.contains(&self.mark(node))
    }

    /// Another round marks the same node differently: two nodes that are taken for one are so but once.
    fn mark(&self, node: &str) -> u32 {
        let hash = Sha256::digest(format!("{}/{node}", self.number).as_bytes());
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }

    /// Notes what a node learnt of an image of which it held `content`.
    pub fn learn(&mut self, image: &str, content: Content, answer: Answer) {
        let answers = self.answers.entry(image.to_owned()).or_default();
        match answer {
            Answer::Fresh => answers.fresh.insert(content),
            Answer::Stale(newer) => answers.fresh.insert(newer) | answers.stale.insert(content),
            Answer::Failed => answers.failed.insert(content),
        };
    }

    /// Whether nodes that hold this content are to ask for the image.
    pub fn is_stale(&self, image: &str, content: Content) -> bool {
        let answers = self.answers.get(image);
        answers.is_some_and(|answers| answers.stale.contains(&content))
    }

    /// Whether a node has learnt that the tag stands for this content.
    pub fn is_fresh(&self, image: &str, content: Content) -> bool {
        let answers = self.answers.get(image);
        answers.is_some_and(|answers| {
            answers.fresh.contains(&content) && !answers.stale.contains(&content)
        })
    }

    /// Whether some node got no answer for the image.
    pub fn has_failed(&self, image: &str) -> bool {
        let answers = self.answers.get(image);
        answers.is_some_and(|answers| !answers.failed.is_empty())
    }

    /// Whether nobody has asked yet for the image while it held this content.
    pub fn is_unasked(&self, image: &str, content: Content) -> bool {
        !self.is_known(image, content) && !self.is_full()
    }

    /// Whether something was learnt of this content.
    pub fn is_known(&self, image: &str, content: Content) -> bool {
        let answers = self.answers.get(image);
        answers.is_some_and(|answers| {
            [&answers.fresh, &answers.stale, &answers.failed]
                .iter()
                .any(|known| known.contains(&content))
        })
    }

    /// Whether no more answers are kept.
    pub fn is_full(&self) -> bool {
        let count = |a: &Answers| a.fresh.len() + a.stale.len() + a.failed.len();
        self.answers.values().map(count).sum::<usize>() >= ANSWERS
    }

    /// The images whose tags stand for something else than before.
    pub fn changes(&self) -> Vec<Change> {
        let changed = self.answers.iter().filter(|(_, a)| !a.stale.is_empty());
        let change = |(name, answers): (&String, &Answers)| Change {
            image: name.clone(),
            from: answers.stale.clone(),
            to: &answers.fresh - &answers.stale,
        };
        changed.map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_the_same_after_it_was_written_and_read() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut round = Round::begin(None, "hash", now);
        round.leave("node-1", Ending::Slow);
        round.learn("app", Content(7), Answer::Stale(Content(u64::MAX)));
        round.learn("base", Content(9), Answer::Failed);
        let text = serde_json::to_string(&round).unwrap();
        assert_eq!(serde_json::from_str::<Round>(&text).unwrap(), round);
        assert!(round.has_left("node-1") && !round.has_left("node-2"));
        assert!(round.is_stale("app", Content(7)) && !round.is_unasked("app", Content(u64::MAX)));
        assert!(round.is_unasked("app", Content(8)) && !round.is_unasked("base", Content(9)));
        let changes: Vec<String> = round.changes().iter().map(Change::to_string).collect();
        assert_eq!(
            changes,
            ["app sha256:0000000000000007 → sha256:ffffffffffffffff"]
        );
    }

    #[test]
    fn a_round_of_five_thousand_nodes_that_all_fail_fits_into_an_annotation() {
        let mut round = Round::begin(None, "hash", Timestamp::UNIX_EPOCH);
        for node in 0..5000 {
            round.leave(
                &format!("ip-10-0-0-{node}.region.compute.internal"),
                Ending::Blocked,
            );
        }
        for content in 0..10_000 {
            if round.is_unasked("an-image-with-a-name", Content(u64::MAX - content)) {
                round.learn(
                    "an-image-with-a-name",
                    Content(u64::MAX - content),
                    Answer::Fresh,
                );
            }
        }
        let bytes = serde_json::to_string(&round).unwrap().len();
        assert!(bytes < 200_000, "{bytes} bytes");
    }

    #[test]
    fn a_round_of_another_version_can_be_read() {
        let text = r#"{"number": 7, "unfinished": {"bewitched": 2}, "spell": true}"#;
        let round: Round = serde_json::from_str(text).unwrap();
        assert_eq!((round.number, round.unfinished["bewitched"]), (7, 2));
    }

    #[test]
    fn the_next_round_of_the_same_list_keeps_the_time_of_the_next_try() {
        let now = Timestamp::UNIX_EPOCH;
        let mut round = Round::begin(None, "a", now);
        round.retry = Some(Time(now));
        assert_eq!(Round::begin(Some(&round), "a", now).retry, Some(Time(now)));
        let other = Round::begin(Some(&round), "b", now);
        assert_eq!((other.retry, other.number), (None, 2));
    }
}
