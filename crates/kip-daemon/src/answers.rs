//! What registries are asked, and what they answer. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use kip_image::Reference;
use kip_registry::Kind;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;

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
    /// For images that are new in the list.
    pub fn of_new(images: BTreeMap<String, String>) -> Self {
        Self {
            content: String::new(),
            request: None,
            due: None,
            images,
        }
    }

    /// The same, a question for each registry; one where there is no image.
    pub fn by_registry(self) -> Vec<Self> {
        let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (name, image) in &self.images {
            let reference = Reference::parse(image).ok();
            let registry = reference.map(|it| it.registry().to_owned());
            let of_registry = all.entry(registry.unwrap_or_default()).or_default();
            of_registry.insert(name.clone(), image.clone());
        }
        if all.is_empty() {
            return vec![self];
        }
        let of = |images| Self {
            images,
            ..self.clone()
        };
        all.into_values().map(of).collect()
    }

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
    /// What nodes cannot use of it.
    pub unfit: Unfit,
    /// Pull secrets that could not be used, by their names, and why.
    pub bad_secrets: BTreeMap<String, String>,
}

impl Answers {
    /// Whether some registry has decided something, were it that there is no such image; or nobody was to be asked.
    pub fn is_decided(&self) -> bool {
        let mut unanswered = self.unanswered.values();
        self.question.images.is_empty() || unanswered.any(|no| no.why == Why::NotFound)
    }
}

/// Architectures that what a reference stands for now has nothing for, by the image's name: all of them where it is no image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unfit(pub BTreeMap<String, BTreeSet<Architecture>>);

impl Unfit {
    /// Whether nodes of this architecture must not ask for the image: they would put what they cannot use into the place of
    /// what they have. A node whose architecture is not known asks for what is for some.
    pub fn has(&self, name: &str, architecture: Option<Architecture>) -> bool {
        let unfit = self.0.get(name).filter(|unfit| !unfit.is_empty());
        let is_for_nobody = |unfit: &BTreeSet<_>| unfit.len() == Architecture::ALL.len();
        unfit.is_some_and(|unfit| match architecture {
            Some(architecture) => unfit.contains(&architecture),
            None => is_for_nobody(unfit),
        })
    }

    /// The same without the images that are for all.
    #[must_use]
    pub fn of_some(&self) -> Self {
        let mut some = self.0.clone();
        some.retain(|_, unfit| !unfit.is_empty());
        Self(some)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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
    /// What it has by that name is no image.
    NoImage,
    /// It was asked too often.
    RateLimited,
    /// There is no way to it, or it fails.
    Unreachable,
    /// Anything else.
    Failed,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NotFound,
        Self::Credentials,
        Self::NoImage,
        Self::RateLimited,
        Self::Unreachable,
        Self::Failed,
    ];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Credentials => "credentials",
            Self::NoImage => "no_image",
            Self::RateLimited => "rate_limited",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        }
    }

    /// Whether the registry has decided: the same question gets the same answer until somebody changes something.
    pub fn is_decided(self) -> bool {
        matches!(self, Self::NotFound | Self::Credentials | Self::NoImage)
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
