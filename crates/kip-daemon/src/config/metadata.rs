//! Labels and annotations that a user may give, and those that belong to the daemon or to Kubernetes.

use std::collections::BTreeMap;

use super::names;
use super::problem::{Findings, Problem};
use super::structured;
use crate::desired::names::{
    COMPONENT, CONTROLLER_REVISION, INSTANCE, MANAGED_BY, NAME, POD_TEMPLATE_GENERATION, PREFIX,
    TEMPLATE_GENERATION,
};

/// Annotations of a `DaemonSet` that the API server or kubectl keep to themselves.
const OF_KUBERNETES: [&str; 2] = [
    TEMPLATE_GENERATION,
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// Labels of a pod by which the daemon finds it.
const OWN_LABELS: [&str; 4] = [INSTANCE, COMPONENT, NAME, MANAGED_BY];
/// Labels of a pod by which the `DaemonSet` controller tells the versions apart.
const LABELS_OF_KUBERNETES: [&str; 2] = [POD_TEMPLATE_GENERATION, CONTROLLER_REVISION];

/// Reads annotations, of the `DaemonSet` or of its pods.
pub(super) fn annotations(
    variable: &'static str,
    text: Option<&str>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let annotations: BTreeMap<String, String> = findings.take(structured::parse(variable, text));
    for key in annotations.keys() {
        if let Err(wrong) = annotation(key) {
            let wrong = format!("the key {key:?} {wrong}");
            findings.add(Problem::new(variable, text.unwrap_or_default(), wrong));
        }
    }
    annotations
}

/// Reads labels of the pods.
pub(super) fn pod_labels(
    variable: &'static str,
    text: Option<&str>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let labels: BTreeMap<String, String> = findings.take(structured::parse(variable, text));
    for (key, value) in &labels {
        let key = pod_label(key).map_err(|wrong| format!("the key {key:?} {wrong}"));
        let value =
            names::label_value(value).map_err(|wrong| format!("the value {value:?} {wrong}"));
        for wrong in [key, value].into_iter().filter_map(Result::err) {
            findings.add(Problem::new(variable, text.unwrap_or_default(), wrong));
        }
    }
    labels
}

/// Checks the key of an annotation.
///
/// # Errors
/// Says why it cannot be given.
pub(super) fn annotation(key: &str) -> Result<(), String> {
    // Annotation keys are checked by the API server in lower case.
    names::qualified_name(&key.to_lowercase())?;
    if key.starts_with(PREFIX) {
        Err(format!("begins with {PREFIX:?}, which is the daemon's own"))
    } else if OF_KUBERNETES.contains(&key) {
        Err("is set by Kubernetes itself".to_owned())
    } else {
        Ok(())
    }
}

/// Checks the key of a pod's label.
///
/// # Errors
/// Says why it cannot be given.
pub(super) fn pod_label(key: &str) -> Result<(), String> {
    names::qualified_name(key)?;
    if OWN_LABELS.contains(&key) {
        Err("is the daemon's own: it finds its pods by it".to_owned())
    } else if LABELS_OF_KUBERNETES.contains(&key) {
        Err("is set by Kubernetes itself".to_owned())
    } else {
        Ok(())
    }
}
