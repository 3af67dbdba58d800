//! `POD_TEMPLATE`: a part of a pod template that is laid over the daemon's own, and what it may not touch.
//!
//! The pods hold every image of the list and run the sleep program, and nothing else: so no container is added, and
//! none runs another program. What the cluster's admission forbids is for the cluster to say.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use serde_json::{Map, Value};

use super::images::Image;
use super::problem::{Findings, Problem};
use super::{metadata, names, scheduling, structured};
use crate::desired::names::{COPY_SLEEP, MOUNT, VOLUME};
use crate::desired::overlay::merge_key;

const VARIABLE: &str = "POD_TEMPLATE";

/// A part of a pod template that has been checked; empty, it changes nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overlay(Map<String, Value>);

impl Overlay {
    /// The document, as it is merged.
    pub fn document(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Fields of the pod that are not a user's to set, and why.
const FIXED_IN_POD: &[(&str, &str)] = &[
    (
        "nodeName",
        "cannot be set: the DaemonSet's controller chooses it; NODE_SELECTOR and AFFINITY say which nodes cache",
    ),
    (
        "restartPolicy",
        "cannot be set: the pods of a DaemonSet are always started again",
    ),
    (
        "activeDeadlineSeconds",
        "cannot be set: the pods would end, and let go of the images",
    ),
    (
        "schedulingGates",
        "cannot be set: nobody would open the gates",
    ),
    (
        "ephemeralContainers",
        "cannot be set: a pod gets them while it runs",
    ),
    (
        "hostPID",
        "cannot be set: it would show a sleeping container all processes of its node, and serves nothing",
    ),
    (
        "hostIPC",
        "cannot be set: it would show a sleeping container the shared memory of its node, and serves nothing",
    ),
    ("os", "cannot be set: the sleep program is made for linux"),
    ("serviceAccount", "is out of use: write serviceAccountName"),
];

/// Fields of a container that are not a user's to set, and why.
const FIXED_IN_CONTAINER: &[(&str, &str)] = &[
    ("image", "cannot be set: IMAGES and KIP_IMAGE give it"),
    ("command", RUNS_SLEEP),
    ("args", RUNS_SLEEP),
    ("lifecycle", RUNS_SLEEP),
    ("livenessProbe", RUNS_SLEEP),
    ("readinessProbe", RUNS_SLEEP),
    ("startupProbe", RUNS_SLEEP),
    (
        "imagePullPolicy",
        "cannot be set: a pod starts again without a registry",
    ),
    (
        "restartPolicy",
        "cannot be set: the order of the start depends on it",
    ),
];
const RUNS_SLEEP: &str =
    "cannot be set: no program of an image is run, only the sleep program, which serves nothing";

/// What the template has and needs: null would delete it.
const NEEDED: [&str; 6] = [
    "labels",
    "annotations",
    "containers",
    "initContainers",
    "volumes",
    "volumeMounts",
];

/// Maps of text, in which the API's types have no place for null; here it deletes an entry.
const TEXT_MAPS: [&str; 6] = [
    "labels",
    "annotations",
    "nodeSelector",
    "limits",
    "requests",
    "overhead",
];

/// Reads and checks the setting.
pub(super) fn parse(
    text: Option<&str>,
    images: Option<&[Image]>,
    findings: &mut Findings,
) -> Overlay {
    let problem = |wrong: String| Problem::new(VARIABLE, text.unwrap_or_default(), wrong);
    let mut document = match structured::value(VARIABLE, text) {
        Ok(Value::Null) => Map::new(),
        Ok(Value::Object(document)) => document,
        Ok(_) => {
            findings.add(problem(
                "is not a map with the keys metadata and spec".to_owned(),
            ));
            Map::new()
        }
        Err(wrong) => {
            findings.add(wrong);
            Map::new()
        }
    };
    let mut wrong = Vec::new();
    match structured::typed(&without_deletions(&document)) {
        Ok(template) => check(&document, &template, images, &mut wrong),
        Err(error) => wrong.push(error),
    }
    for wrong in wrong {
        findings.add(problem(wrong));
    }
    // What says nothing must make no pod outdated.
    document.retain(|_, part| part.as_object().is_none_or(|part| !part.is_empty()));
    Overlay(document)
}

/// The document as the API's types can read it.
fn without_deletions(document: &Map<String, Value>) -> Value {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if let (true, Value::Object(texts)) =
                        (TEXT_MAPS.contains(&key.as_str()), &mut *value)
                    {
                        texts.retain(|_, text| !text.is_null());
                    }
                    clean(value);
                }
            }
            Value::Array(list) => list.iter_mut().for_each(clean),
            _ => {}
        }
    }
    let mut value = Value::Object(document.clone());
    clean(&mut value);
    value
}

fn check(
    document: &Map<String, Value>,
    template: &PodTemplateSpec,
    images: Option<&[Image]>,
    wrong: &mut Vec<String>,
) {
    for (part, value) in document {
        if value.is_null() {
            wrong.push(format!("{part} is needed and cannot be deleted"));
        }
    }
    check_lists("", &Value::Object(document.clone()), wrong);
    if let Some(metadata) = document.get("metadata").and_then(Value::as_object) {
        check_metadata(metadata, wrong);
    }
    let Some(spec) = document.get("spec").and_then(Value::as_object) else {
        return;
    };
    check_fixed("spec", spec, FIXED_IN_POD, wrong);
    let copy_sleep = |name: &str| {
        let known = name == COPY_SLEEP;
        (!known).then(|| format!("is none of the daemon's; {COPY_SLEEP} is the only one"))
    };
    let sleeper = |name: &str| {
        let known = images.is_none_or(|images| images.iter().any(|image| image.name == name));
        (!known).then(|| {
            "is none of IMAGES: the pods hold every image of the list, and nothing else".to_owned()
        })
    };
    check_containers("initContainers", spec, copy_sleep, wrong);
    check_containers("containers", spec, sleeper, wrong);
    if names_of(spec, "volumes", "name").any(|name| name == VOLUME) {
        wrong.push(format!(
            "spec.volumes[{VOLUME}] cannot be changed: it brings the sleep program"
        ));
    }
    let selector = spec.get("nodeSelector");
    let os = selector.and_then(|selector| selector.get(scheduling::OS));
    // Null in place of the whole selector would delete it as well.
    let is_deleted = selector.is_some_and(Value::is_null);
    if is_deleted || os.is_some_and(|os| *os != scheduling::LINUX) {
        wrong.push(format!(
            "spec.nodeSelector[{}] must stay {}: the sleep program is made for it",
            scheduling::OS,
            scheduling::LINUX
        ));
    }
    if let Some(spec) = &template.spec {
        check_values(spec, wrong);
    }
}

fn check_metadata(metadata: &Map<String, Value>, wrong: &mut Vec<String>) {
    for (field, entries) in metadata {
        let is_label = field == "labels";
        if !is_label && field != "annotations" {
            wrong.push(format!(
                "metadata.{field} cannot be set: a pod gets labels and annotations from its template"
            ));
            continue;
        }
        for (key, value) in entries.as_object().into_iter().flatten() {
            let found = if is_label {
                metadata::pod_label(key)
                    .and_then(|()| names::label_value(value.as_str().unwrap_or_default()))
            } else {
                metadata::annotation(key)
            };
            if let Err(found) = found {
                wrong.push(format!("metadata.{field}[{key}] {found}"));
            }
        }
    }
}

fn check_fixed(
    path: &str,
    part: &Map<String, Value>,
    fixed: &[(&str, &str)],
    wrong: &mut Vec<String>,
) {
    for (field, why) in fixed {
        if part.contains_key(*field) {
            wrong.push(format!("{path}.{field} {why}"));
        }
    }
}

fn check_containers(
    list: &str,
    spec: &Map<String, Value>,
    unknown: impl Fn(&str) -> Option<String>,
    wrong: &mut Vec<String>,
) {
    let containers = spec.get(list).and_then(Value::as_array);
    for container in containers
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
    {
        let Some(name) = container.get("name").and_then(Value::as_str) else {
            continue;
        };
        let path = format!("spec.{list}[{name}]");
        if let Some(why) = unknown(name) {
            wrong.push(format!("{path} {why}"));
        }
        check_fixed(&path, container, FIXED_IN_CONTAINER, wrong);
        if names_of(container, "volumeMounts", "name").any(|name| name == VOLUME) {
            wrong.push(format!(
                "{path}.volumeMounts mounts {VOLUME}, which is mounted already"
            ));
        }
        for place in
            names_of(container, "volumeMounts", "mountPath").filter(|path| hides_sleep(path))
        {
            wrong.push(format!(
                "{path}.volumeMounts[{place}] would hide {MOUNT}, where the sleep program is"
            ));
        }
    }
}

/// Values of a key in the maps of a list.
fn names_of<'a>(
    part: &'a Map<String, Value>,
    list: &str,
    key: &'a str,
) -> impl Iterator<Item = &'a str> {
    let list = part.get(list).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(move |item| item[key].as_str())
}

/// Whether a mount at this place lies at, in or over the sleep program's folder, however it is written.
fn hides_sleep(path: &str) -> bool {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.first().is_none_or(|first| *first == VOLUME)
}

/// Items of a list that is merged need the key that tells them apart; what is needed cannot be deleted.
fn check_lists(path: &str, value: &Value, wrong: &mut Vec<String>) {
    for (field, value) in value.as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            field.clone()
        } else {
            format!("{path}.{field}")
        };
        if value.is_null() && NEEDED.contains(&field.as_str()) {
            wrong.push(format!("{path} is needed and cannot be deleted"));
        }
        let Some((items, key)) = value.as_array().zip(merge_key(field)) else {
            check_lists(&path, value, wrong);
            continue;
        };
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let name = item[key].as_str().unwrap_or_default();
            if name.is_empty() {
                wrong.push(format!("{path}[{index}] has no {key}"));
            } else if !seen.insert(name) {
                wrong.push(format!("{path}[{name}] comes twice"));
            }
            check_lists(&format!("{path}[{name}]"), item, wrong);
        }
    }
}

/// What the API server would refuse, as far as the other settings are checked for it as well.
fn check_values(spec: &PodSpec, wrong: &mut Vec<String>) {
    let names = [
        ("priorityClassName", &spec.priority_class_name),
        ("runtimeClassName", &spec.runtime_class_name),
        ("serviceAccountName", &spec.service_account_name),
    ];
    for (field, name) in names {
        if let Some(Err(found)) = name.as_deref().map(names::dns_subdomain) {
            wrong.push(format!("spec.{field} {found}"));
        }
    }
    let selector = spec.node_selector.iter().flat_map(scheduling::check_labels);
    let affinity = spec.affinity.iter().flat_map(scheduling::check_affinity);
    let tolerations = spec.tolerations.iter().flatten();
    let tolerations =
        tolerations.filter_map(|toleration| scheduling::check_toleration(toleration).err());
    wrong.extend(selector.map(|found| format!("spec.nodeSelector: {found}")));
    wrong.extend(affinity.map(|found| format!("spec.affinity: {found}")));
    wrong.extend(tolerations.map(|found| format!("spec.tolerations: one {found}")));
}

#[cfg(test)]
mod tests;
