//! What registries have said of the images of the list. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::answers::{Answers, NoAnswer, Why};
use crate::architecture::Architecture;
use crate::cluster::Content;
use crate::config::Config;
use crate::config::images::Image;
use crate::footprint::{Footprint, is_too_much, on_disk};
use crate::inspect::Inspected;
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
    /// What each reference stood for, in the order of the references: a tag may have moved since.
    #[serde(default)]
    pub digests: Vec<Content>,
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
        let disk = self.smallest_disk;
        disk.is_some_and(|disk| is_too_much(self.on_disk, disk))
    }
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

    /// The architectures whose nodes find nothing to pull of this reference, as far as it is known of any list.
    pub fn absent(&self, reference: &str) -> BTreeSet<Architecture> {
        let content = self.sum.as_ref().map(|sum| sum.content.as_str());
        self.lacks(reference, content).unwrap_or_default()
    }

    /// The architectures whose nodes find nothing to pull of this reference; `None` while no registry has said it of the
    /// list of this content hash.
    pub fn lacks(&self, reference: &str, content: Option<&str>) -> Option<BTreeSet<Architecture>> {
        if let Some(inspected) = self.inspected.get(reference) {
            return Some(inspected.absent());
        }
        let sum = self.sum.as_ref();
        let sum = sum.filter(|sum| Some(sum.content.as_str()) == content)?;
        if sum.unknown.contains(reference) {
            return None;
        }
        Some(sum.absent.get(reference).cloned().unwrap_or_default())
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

    /// How many references were answered with a digest (`None`) and how many were not, and why.
    pub fn counts(&self) -> BTreeMap<Option<Why>, usize> {
        let mut counts = BTreeMap::new();
        for answer in self.answers.values() {
            let why = answer.as_ref().err().map(|no| no.why);
            *counts.entry(why).or_default() += 1;
        }
        counts
    }

    /// The contents of which all is known, by reference.
    pub fn contents(&self, config: &Config) -> BTreeMap<String, Content> {
        let mut contents: BTreeMap<String, Content> = BTreeMap::new();
        if let Some(sum) = self.sum.as_ref().filter(|_| self.is_summed_up()) {
            let known = references(config).into_iter().zip(&sum.digests);
            contents.extend(known.map(|(reference, digest)| (reference.to_owned(), *digest)));
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

    /// Adds to the answers which nodes cannot use what has not changed: it was looked into before. What that says is not
    /// true of another content.
    pub fn complete(&self, answers: &mut Answers, config: &Config) {
        let contents = self.contents(config);
        for (name, image) in &answers.question.images {
            let digest = answers.digests.get(name).map(|digest| Content::of(digest));
            if digest.is_some() && contents.get(image).copied() == digest {
                let unfit = answers.unfit.0.entry(name.clone());
                unfit.or_insert_with(|| self.absent(image));
            }
        }
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
        let (all, unknown): (Vec<&Image>, Vec<&Image>) = config
            .images()
            .partition(|image| self.inspected.contains_key(&image.image));
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
            .map(|(image, inspected)| (image.image.clone(), inspected.absent()));
        let digest = |reference: &str| {
            let inspected = self.inspected.get(reference);
            inspected.map_or(Content(0), |it| Content::of(&it.digest.to_string()))
        };
        self.sum = Some(Sum {
            content: content.to_owned(),
            digests: references(config).into_iter().map(digest).collect(),
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
        let references = references(config);
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

/// Each once, sorted: the same list in another order is the same list.
fn references(config: &Config) -> BTreeSet<&str> {
    config.images().map(|image| image.image.as_str()).collect()
}

#[cfg(test)]
mod tests;
