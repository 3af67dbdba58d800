//! Labels: all from closed sets or from the configuration.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

/// How an apply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ApplyResult {
    /// The `DaemonSet` was made.
    #[allow(non_camel_case_types, reason = "the word of the metric")]
    created,
    /// The `DaemonSet` was changed.
    #[allow(non_camel_case_types, reason = "the word of the metric")]
    changed,
    /// The `DaemonSet` was as it should be.
    #[allow(non_camel_case_types, reason = "the word of the metric")]
    unchanged,
    /// The API server did not do it.
    #[allow(non_camel_case_types, reason = "the word of the metric")]
    failed,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RoundResult {
    /// On every node.
    #[allow(non_camel_case_types, reason = "the word of the metric")]
    done,
    /// Some nodes were left out.
    #[allow(non_camel_case_types, reason = "the word of the metric")]
    unfinished,
    /// At its first node.
    #[allow(non_camel_case_types, reason = "the word of the metric")]
    stopped,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RoundLabels {
    pub(super) kind: &'static str,
    pub(super) result: RoundResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AnswerLabel {
    pub(super) answer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CostLabels {
    pub(super) architecture: &'static str,
    /// `pulled` or `on_disk`
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ArchitectureLabel {
    pub(super) architecture: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabel {
    pub(super) result: ApplyResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CategoryLabel {
    pub(super) category: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VariableLabel {
    pub(super) variable: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabel {
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ImageLabels {
    pub(super) image: String,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ImageLabel {
    pub(super) image: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VersionLabel {
    pub(super) version: &'static str,
}
