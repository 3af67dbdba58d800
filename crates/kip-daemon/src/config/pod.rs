//! What every sleeping pod gets beside its images: labels, annotations, classes, and an overlay on the template.

use std::collections::BTreeMap;

use super::images::Image;
use super::overlay::{self, Overlay};
use super::problem::{Findings, Problem};
use super::{metadata, names};
use crate::settings::Settings;

/// The additions to the pods; by default there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Additions {
    /// Labels beside the daemon's own.
    pub labels: BTreeMap<String, String>,
    /// Annotations beside the daemon's own.
    pub annotations: BTreeMap<String, String>,
    /// Name of a `PriorityClass`.
    pub priority_class: Option<String>,
    /// Name of a `RuntimeClass`.
    pub runtime_class: Option<String>,
    /// What is laid over the template in the end.
    pub overlay: Overlay,
}

/// Reads and checks the settings. Without `images`, since they are wrong themselves, the names of containers are not
/// looked up among them.
pub(super) fn parse(
    settings: &Settings,
    images: Option<&[Image]>,
    findings: &mut Findings,
) -> Additions {
    Additions {
        labels: metadata::pod_labels("POD_LABELS", settings.pod_labels.as_deref(), findings),
        annotations: metadata::annotations(
            "POD_ANNOTATIONS",
            settings.pod_annotations.as_deref(),
            findings,
        ),
        priority_class: findings.take(class(
            "POD_PRIORITY_CLASS",
            settings.pod_priority_class.as_deref(),
        )),
        runtime_class: findings.take(class(
            "POD_RUNTIME_CLASS",
            settings.pod_runtime_class.as_deref(),
        )),
        overlay: overlay::parse(settings.pod_template.as_deref(), images, findings),
    }
}

fn class(variable: &'static str, text: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    names::dns_subdomain(text)
        .map(|()| Some(text.to_owned()))
        .map_err(|wrong| Problem::new(variable, text, wrong))
}
