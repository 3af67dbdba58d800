//! What registries have said of the images of the list. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::answers::{Answers, NoAnswer, Why};
use crate::architecture::Architecture;
use crate::cluster::Content;
use crate::config::Config;
use crate::config::images::Image;
use crate::footprint::{Footprint, TOO_MUCH, on_disk};
use crate::inspect::{Fit, Inspected};
use crate::status::Status;

/// What is known.
#[derive(Debug, Default)]
pub struct Known {
    /// What each reference was answered with last: a digest, or why there is none.
    answers: BTreeMap<String, Result<String, NoAnswer>>,
    /// What each reference is.
    inspected: BTreeMap<String, Inspected>,
    /// References that were asked for, and secrets that were read, since they came into the configuration.
    asked: BTreeSet<String>,
    bad_secrets: BTreeMap<String, String>,
    sum: Option<Sum>,
    /// Whether something was learnt that is not in the sum.
    is_behind: bool,
}

/// What is known of a whole list, small enough for an annotation: after a restart nobody has to be asked for it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Of which list: its content hash.
    pub content: String,
    /// What a node of each architecture pulls, in bytes; layers that images share are counted once.
    pub bytes: BTreeMap<Architecture, u64>,
    /// Images that nodes of some architecture find nothing to pull of, by reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, BTreeSet<Architecture>>,
    /// References that no registry tells anything of: they are not counted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown: BTreeSet<String>,
}

/// What the list costs a node of one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Bytes that it pulls; layers that images share are counted once.
    pub pulled: u64,
    /// What that takes on its disk, in bytes: an estimate.
    pub on_disk: u64,
    /// The smallest disk of these nodes, in bytes, where one is known.
    pub smallest_disk: Option<u64>,
    /// The node that has it.
    pub node: String,
    /// Images that no registry tells anything of, and that are not counted.
    pub not_counted: usize,
}

impl Cost {
    /// Whether the list takes too large a part of the smallest disk.
    pub fn is_too_much(&self) -> bool {
        let percent = |disk: u64| u128::from(disk) * u128::from(TOO_MUCH);
        let taken = u128::from(self.on_disk) * 100;
        self.smallest_disk.is_some_and(|disk| taken > percent(disk))
    }
}

fn images(config: &Config) -> impl Iterator<Item = &Image> {
    config.groups.iter().flat_map(|group| &group.images)
}

impl Known {
    /// What a reference was answered with: a digest, or why there is none.
    pub fn of(&self, reference: &str) -> Option<&Result<String, NoAnswer>> {
        self.answers.get(reference)
    }

    /// What a reference is.
    pub fn inspected(&self, reference: &str) -> Option<&Inspected> {
        self.inspected.get(reference)
    }

    /// Pull secrets that could not be used, and why.
    pub fn bad_secrets(&self) -> &BTreeMap<String, String> {
        &self.bad_secrets
    }

    /// What is known of the whole list.
    pub fn sum(&self) -> Option<&Sum> {
        self.sum.as_ref()
    }

    /// Whether nothing of the list is missing in the sum.
    pub fn is_summed_up(&self) -> bool {
        self.sum.is_some() && !self.is_behind
    }

    /// The architectures whose nodes find nothing to pull of this reference.
    pub fn absent(&self, reference: &str) -> BTreeSet<Architecture> {
        if let Some(inspected) = self.inspected.get(reference) {
            return absent(inspected);
        }
        let sum = self.sum.as_ref();
        let absent = sum.and_then(|sum| sum.absent.get(reference));
        absent.cloned().unwrap_or_default()
    }

    /// What the list costs nodes of each architecture that is there, or of all where nodes have not told.
    pub fn costs(&self, status: &Status) -> BTreeMap<Architecture, Cost> {
        let bytes = self.sum.iter().flat_map(|sum| &sum.bytes);
        let is_there = |architecture: &Architecture| {
            status.disks.is_empty() || status.disks.contains_key(architecture)
        };
        bytes
            .filter(|(architecture, _)| is_there(architecture))
            .map(|(architecture, pulled)| {
                let smallest = status.disks.get(architecture);
                let cost = Cost {
                    pulled: *pulled,
                    on_disk: on_disk(*pulled),
                    smallest_disk: smallest.map(|(bytes, _)| *bytes),
                    node: smallest.map(|(_, node)| node.clone()).unwrap_or_default(),
                    not_counted: self.sum.as_ref().map_or(0, |sum| sum.unknown.len()),
                };
                (*architecture, cost)
            })
            .collect()
    }

    /// The same, where it is known: `None` while no registry has said it of the list of this content hash.
    pub fn lacks(&self, reference: &str, content: Option<&str>) -> Option<BTreeSet<Architecture>> {
        if let Some(inspected) = self.inspected.get(reference) {
            return Some(absent(inspected));
        }
        let sum = self.sum.as_ref();
        let sum = sum.filter(|sum| Some(sum.content.as_str()) == content)?;
        if sum.unknown.contains(reference) {
            return None;
        }
        Some(sum.absent.get(reference).cloned().unwrap_or_default())
    }

    /// How many references were answered with a digest (`None`) and how many were not, and why.
    pub fn counts(&self) -> BTreeMap<Option<Why>, usize> {
        let mut counts = BTreeMap::new();
        for answer in self.answers.values() {
            let why = answer.as_ref().err().map(|no| no.why);
            *counts.entry(why).or_default() += 1;
        }
        counts
    }

    /// The contents of which all is known, by reference. `digests` are those of the last refresh, by the image's name.
    pub fn contents(
        &self,
        config: &Config,
        digests: &BTreeMap<String, Content>,
    ) -> BTreeMap<String, Content> {
        let mut contents: BTreeMap<String, Content> = BTreeMap::new();
        if self.is_summed_up() {
            let known = images(config)
                .filter_map(|image| Some((image.image.clone(), *digests.get(&image.name)?)));
            contents.extend(known);
        }
        let inspected = self.inspected.iter();
        contents.extend(
            inspected
                .map(|(reference, it)| (reference.clone(), Content::of(&it.digest.to_string()))),
        );
        contents
    }

    /// Takes in what was answered.
    pub fn note(&mut self, answers: &Answers) {
        for (name, reference) in &answers.question.images {
            let digest = answers.digests.get(name).cloned().map(Ok);
            let no_answer = || answers.unanswered.get(name).cloned().map(Err);
            if let Some(answer) = digest.or_else(no_answer) {
                self.answers.insert(reference.clone(), answer);
            }
        }
        self.bad_secrets = answers.bad_secrets.clone();
    }

    /// Takes in what a reference is.
    pub fn note_inspected(&mut self, reference: String, inspected: Inspected) {
        let is_new = self.inspected.get(&reference) != Some(&inspected);
        self.inspected.insert(reference, inspected);
        self.is_behind |= is_new;
    }

    /// Takes in that a reference is no image.
    pub fn note_no_image(&mut self, reference: String, no: NoAnswer) {
        self.answers.insert(reference, Err(no));
    }

    /// Sums up, where all of the list is known and something is new; whether there is a new sum. `content` is the list's
    /// hash.
    pub fn sum_up(&mut self, config: &Config, content: &str) -> bool {
        let is_of_list = self.sum.as_ref().is_some_and(|sum| sum.content == content);
        if is_of_list && !self.is_behind {
            return false;
        }
        self.is_behind = true;
        let (all, unknown): (Vec<&Image>, Vec<&Image>) =
            images(config).partition(|image| self.inspected.contains_key(&image.image));
        // What a registry does not tell is not waited for.
        let is_refused = |image: &&Image| matches!(self.of(&image.image), Some(Err(_)));
        if !unknown.iter().all(is_refused) || all.is_empty() {
            return false;
        }
        let all = all
            .into_iter()
            .filter_map(|image| Some((image, self.inspected.get(&image.image)?)));
        let all: Vec<(&Image, &Inspected)> = all.collect();
        let footprint = Footprint::of(all.iter().map(|(_, inspected)| *inspected));
        let bytes =
            Architecture::ALL.map(|architecture| (architecture, footprint.node(architecture)));
        let lacks = all
            .iter()
            .map(|(image, inspected)| (image.image.clone(), absent(inspected)));
        self.sum = Some(Sum {
            content: content.to_owned(),
            bytes: bytes.into(),
            absent: lacks.filter(|(_, absent)| !absent.is_empty()).collect(),
            unknown: unknown.iter().map(|image| image.image.clone()).collect(),
        });
        self.is_behind = false;
        true
    }

    /// Takes in what a daemon before has written down of this list, where nothing is known yet.
    pub fn restore(&mut self, text: &str, content: &str) {
        if self.sum.is_some() || !self.inspected.is_empty() {
            return;
        }
        let sum: Option<Sum> = serde_json::from_str(text).ok();
        self.sum = sum.filter(|sum| sum.content == content);
    }

    /// What is not in the configuration any more is forgotten.
    pub fn keep_only(&mut self, config: &Config) {
        let references: BTreeSet<&str> = images(config).map(|image| image.image.as_str()).collect();
        let secrets = config.groups.iter().flat_map(|group| &group.pull_secrets);
        let secrets: BTreeSet<&str> = secrets.map(String::as_str).collect();
        let is_image = |reference: &str| references.contains(reference);
        // What was refused may be given now: to other credentials, or in another way.
        self.answers
            .retain(|reference, answer| is_image(reference) && answer.is_ok());
        self.inspected.retain(|reference, _| is_image(reference));
        let answers = &self.answers;
        self.asked
            .retain(|text| answers.contains_key(text) || secrets.contains(text.as_str()));
        self.bad_secrets.clear();
    }

    /// What had no answer may be asked for again, and all secrets but these may be read again: somebody may have mended
    /// them.
    pub fn forget_failures(&mut self, secrets: &[String]) {
        let answers = &self.answers;
        let is_answered = |text: &String| answers.get(text).is_some_and(Result::is_ok);
        self.asked
            .retain(|text| is_answered(text) || secrets.contains(text));
    }

    /// Whether it was not asked for yet; from now on it was.
    pub fn is_new(&mut self, reference_or_secret: &str) -> bool {
        self.asked.insert(reference_or_secret.to_owned())
    }
}

fn absent(inspected: &Inspected) -> BTreeSet<Architecture> {
    let lacks = |architecture: &Architecture| *inspected.fit(*architecture) == Fit::Absent;
    Architecture::ALL.into_iter().filter(lacks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Question;
    use crate::inspect::Layer;
    use crate::settings::Settings;

    fn config(images: &str) -> Config {
        let vars = [("IMAGES".to_owned(), images.to_owned())];
        Config::from_settings(&Settings::from_vars(vars).unwrap()).unwrap()
    }

    fn digest(letter: char) -> kip_image::Digest {
        let hex: String = std::iter::repeat_n(letter, 64).collect();
        kip_image::Digest::parse(&format!("sha256:{hex}")).unwrap()
    }

    fn image(letter: char, amd64: u64) -> Inspected {
        let layer = Layer {
            digest: digest(letter),
            size: amd64,
        };
        Inspected::new(
            digest(letter),
            [Fit::Runs(vec![layer]), Fit::Absent],
            Vec::new(),
        )
    }

    const LIST: &str = "a=r.example/a:1;b=r.example/b:1";

    fn learnt() -> Known {
        let mut known = Known::default();
        known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
        known.note_inspected("r.example/b:1".to_owned(), image('b', 7));
        known.sum_up(&config(LIST), "list");
        known
    }

    #[test]
    fn a_list_is_summed_up_when_all_of_it_is_known_and_again_when_something_changes() {
        let mut known = Known::default();
        known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
        known.sum_up(&config(LIST), "list");
        assert!(!known.is_summed_up() && known.sum().is_none());
        let mut known = learnt();
        assert_eq!(known.sum().unwrap().bytes[&Architecture::Amd64], 12);
        known.note_inspected("r.example/b:1".to_owned(), image('c', 8));
        assert!(!known.is_summed_up());
        known.sum_up(&config(LIST), "list");
        assert_eq!(known.sum().unwrap().bytes[&Architecture::Amd64], 13);
        known.sum_up(&config("a=r.example/a:1;new=r.example/new:1"), "other");
        assert!(
            !known.is_summed_up(),
            "of the new list one image is not known"
        );
    }

    #[test]
    fn an_image_that_no_registry_tells_of_is_not_counted_and_not_waited_for() {
        let mut known = Known::default();
        known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
        let no = NoAnswer {
            why: Why::Credentials,
            words: String::new(),
        };
        known.note_no_image("r.example/b:1".to_owned(), no);
        assert!(known.sum_up(&config(LIST), "list"));
        let sum = known.sum().unwrap();
        assert_eq!(sum.bytes[&Architecture::Amd64], 5);
        assert_eq!(sum.unknown, BTreeSet::from(["r.example/b:1".to_owned()]));
        assert_eq!(known.lacks("r.example/b:1", Some("list")), None);
        let text = serde_json::to_string(sum).unwrap();
        let mut after_a_restart = Known::default();
        after_a_restart.restore(&text, "list");
        assert!(after_a_restart.is_summed_up(), "nobody is asked again");
        // When it can be had it is counted.
        known.note_inspected("r.example/b:1".to_owned(), image('b', 7));
        assert!(known.sum_up(&config(LIST), "list"));
        assert_eq!(known.sum().unwrap().bytes[&Architecture::Amd64], 12);
    }

    #[test]
    fn what_was_written_down_is_read_again_for_the_same_list_alone() {
        let text = serde_json::to_string(learnt().sum().unwrap()).unwrap();
        let mut known = Known::default();
        known.restore(&text, "list");
        assert_eq!(known.sum(), learnt().sum());
        let lacks = known.absent("r.example/a:1");
        assert_eq!(lacks, BTreeSet::from([Architecture::Arm64]));
        for (text, content) in [(text.as_str(), "other"), ("{", "list"), ("[]", "list")] {
            let mut known = Known::default();
            known.restore(text, content);
            assert_eq!(known.sum(), None, "{text} of {content}");
        }
    }

    #[test]
    fn what_was_said_of_another_list_is_not_known_of_this_one() {
        let text = serde_json::to_string(learnt().sum().unwrap()).unwrap();
        let mut known = Known::default();
        assert_eq!(known.lacks("r.example/a:1", Some("list")), None);
        known.restore(&text, "list");
        let arm64 = Some(BTreeSet::from([Architecture::Arm64]));
        assert_eq!(known.lacks("r.example/a:1", Some("list")), arm64);
        assert_eq!(known.lacks("r.example/a:1", Some("other")), None);
        known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
        assert_eq!(known.lacks("r.example/a:1", Some("other")), arm64);
    }

    #[test]
    fn what_stands_for_the_same_as_before_the_restart_is_not_looked_into_again() {
        let config = config(LIST);
        let digests = BTreeMap::from([("a".to_owned(), Content(1))]);
        let mut known = Known::default();
        assert!(known.contents(&config, &digests).is_empty());
        let text = serde_json::to_string(learnt().sum().unwrap()).unwrap();
        known.restore(&text, "list");
        let expected = BTreeMap::from([("r.example/a:1".to_owned(), Content(1))]);
        assert_eq!(known.contents(&config, &digests), expected);
        // What is learnt now counts more than what was known then.
        known.note_inspected("r.example/a:1".to_owned(), image('a', 6));
        let now = known.contents(&config, &digests);
        assert_eq!(now["r.example/a:1"], Content(0xaaaa_aaaa_aaaa_aaaa));
    }

    #[test]
    fn what_failed_may_be_asked_again_and_what_left_the_list_is_forgotten() {
        let mut known = Known::default();
        let images = [("a", "r.example/a:1"), ("b", "r.example/b:1")];
        let no = NoAnswer {
            why: Why::NotFound,
            words: String::new(),
        };
        for (_, reference) in images {
            assert!(known.is_new(reference) && !known.is_new(reference));
        }
        known.note(&Answers {
            question: Question {
                content: String::new(),
                request: None,
                due: None,
                images: images
                    .map(|(name, reference)| (name.to_owned(), reference.to_owned()))
                    .into(),
            },
            digests: BTreeMap::from([("a".to_owned(), "sha256:a".to_owned())]),
            unanswered: BTreeMap::from([("b".to_owned(), no)]),
            bad_secrets: BTreeMap::new(),
        });
        let counts = BTreeMap::from([(None, 1), (Some(Why::NotFound), 1)]);
        assert_eq!(known.counts(), counts);
        assert!(known.is_new("secret"));
        known.forget_failures(&["secret".to_owned()]);
        assert!(known.is_new("r.example/b:1") && !known.is_new("r.example/a:1"));
        assert!(!known.is_new("secret"));
        // A new configuration may be what mends it.
        known.keep_only(&config(LIST));
        assert!(known.of("r.example/b:1").is_none() && known.is_new("r.example/b:1"));
        known.keep_only(&config("b=r.example/b:1"));
        assert!(known.of("r.example/a:1").is_none() && known.is_new("r.example/a:1"));
    }
}
