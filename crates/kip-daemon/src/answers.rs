//! What registries are asked, and what they answer. Pure.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use kip_registry::Kind;

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

impl Answers {
    /// Whether some registry has decided something, were it that there is no such image; or nobody was to be asked.
    pub fn is_decided(&self) -> bool {
        let mut unanswered = self.unanswered.values();
        self.question.images.is_empty() || unanswered.any(|no| no.why == Why::NotFound)
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
