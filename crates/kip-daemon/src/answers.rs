//! What registries are asked, and what they answer. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use kip_registry::Kind;

use crate::config::Config;

/// What is to be asked, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The content hash of the list, for a refresh.
    pub content: String,
    /// The request, where people have asked for the refresh.
    pub request: Option<String>,
    /// When the refresh was due, where its time has come.
    pub due: Option<Timestamp>,
    /// The images: name and reference.
    pub images: BTreeMap<String, String>,
}

impl Question {
    /// Whether it is for a refresh; else it is asked because images are new.
    pub fn is_of_refresh(&self) -> bool {
        self.request.is_some() || self.due.is_some()
    }
}

/// What the registries have answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// To what.
    pub question: Question,
    /// The digests that the references stand for, `sha256:…`, by the image's name.
    pub digests: BTreeMap<String, String>,
    /// Why there is none, by the name of each other image.
    pub unanswered: BTreeMap<String, NoAnswer>,
    /// Pull secrets that could not be used, by their names, and why.
    pub bad_secrets: BTreeMap<String, String>,
}

/// Why a registry does not tell what a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// What kind of reason.
    pub why: Why,
    /// In words, with what can be done.
    pub words: String,
}

/// A closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It says that there is no such image.
    NotFound,
    /// It does not give it to who asks.
    Credentials,
    /// It was asked too often.
    RateLimited,
    /// There is no way to it, or it fails.
    Unreachable,
    /// Anything else.
    Failed,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NotFound,
        Self::Credentials,
        Self::RateLimited,
        Self::Unreachable,
        Self::Failed,
    ];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Credentials => "credentials",
            Self::RateLimited => "rate_limited",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        }
    }

    /// Whether the registry has decided: the same question gets the same answer until somebody changes something.
    pub fn is_decided(self) -> bool {
        matches!(self, Self::NotFound | Self::Credentials)
    }
}

impl From<&Kind> for Why {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::NotFound => Self::NotFound,
            Kind::Unauthorized { .. } | Kind::Denied { .. } => Self::Credentials,
            Kind::RateLimited { .. } => Self::RateLimited,
            Kind::Unreachable(_) | Kind::Server { .. } => Self::Unreachable,
            _ => Self::Failed,
        }
    }
}

/// What registries have said last of the images of the list, by reference.
#[derive(Debug, Default)]
pub struct Known {
    answers: BTreeMap<String, Result<String, NoAnswer>>,
    /// References that were asked for, and secrets that were read, since they came into the configuration.
    asked: BTreeSet<String>,
    bad_secrets: BTreeMap<String, String>,
}

impl Known {
    /// What a reference was answered with: a digest, or why there is none.
    pub fn of(&self, reference: &str) -> Option<&Result<String, NoAnswer>> {
        self.answers.get(reference)
    }

    /// Pull secrets that could not be used, and why.
    pub fn bad_secrets(&self) -> &BTreeMap<String, String> {
        &self.bad_secrets
    }

    /// How many references were answered with a digest (`None`) and how many were not, and why.
    pub fn counts(&self) -> BTreeMap<Option<Why>, usize> {
        let mut counts = BTreeMap::new();
        for answer in self.answers.values() {
            *counts
                .entry(answer.as_ref().err().map(|no| no.why))
                .or_default() += 1;
        }
        counts
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

    /// What is not in the configuration any more is forgotten.
    pub fn keep_only(&mut self, config: &Config) {
        let groups = || config.groups.iter();
        let images: BTreeSet<&str> = groups()
            .flat_map(|group| &group.images)
            .map(|image| image.image.as_str())
            .collect();
        let secrets: BTreeSet<&str> = groups()
            .flat_map(|group| &group.pull_secrets)
            .map(String::as_str)
            .collect();
        self.answers
            .retain(|reference, _| images.contains(reference.as_str()));
        self.asked
            .retain(|text| images.contains(text.as_str()) || secrets.contains(text.as_str()));
        self.bad_secrets.clear();
    }

    /// What had no answer may be asked for again.
    pub fn forget_failures(&mut self) {
        for (reference, answer) in &self.answers {
            if answer.is_err() {
                self.asked.remove(reference);
            }
        }
    }

    /// Whether it was not asked for yet; from now on it was.
    pub fn is_new(&mut self, reference_or_secret: &str) -> bool {
        self.asked.insert(reference_or_secret.to_owned())
    }
}
