//! Pods as they come from the API, read into no more than is needed, and turned into facts.
//!
//! A pod of 40 containers is 57 kB of JSON; of that a few hundred bytes matter here, so the types below leave out
//! the rest while it is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::Deserialize;

use crate::cluster::{ContainerState, Failure, FailureKind, PodFacts};
use crate::desired::names::{CONTENT_HASH, POD_TEMPLATE_GENERATION};

/// A pod, as far as it is read.
#[derive(Debug, Clone, Deserialize)]
pub struct LeanPod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: LeanSpec,
    #[serde(default)]
    status: LeanStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanSpec {
    node_name: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanStatus {
    #[serde(default)]
    init_container_statuses: Vec<LeanContainer>,
    #[serde(default)]
    container_statuses: Vec<LeanContainer>,
    #[serde(default)]
    conditions: Vec<LeanCondition>,
}

#[derive(Debug, Clone, Deserialize)]
struct LeanCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Clone, Deserialize)]
struct LeanContainer {
    name: String,
    #[serde(default)]
    state: LeanState,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct LeanState {
    running: Option<serde::de::IgnoredAny>,
    waiting: Option<Reason>,
    terminated: Option<Reason>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl Resource for LeanPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl LeanPod {
    /// Name and facts.
    pub fn into_facts(self) -> (String, PodFacts) {
        let Self {
            metadata,
            spec,
            status,
        } = self;
        let take = |map: &Option<BTreeMap<String, String>>, key| map.as_ref()?.get(key).cloned();
        let controller = metadata
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| owner.uid.clone());
        let init_failure =
            status
                .init_container_statuses
                .into_iter()
                .find_map(|init| match init.state.judge() {
                    ContainerState::Failed(failure) => Some(failure),
                    ContainerState::Waiting | ContainerState::Running => None,
                });
        let mut conditions = status.conditions.into_iter();
        let unplaced = conditions.find(|c| c.type_ == "PodScheduled" && c.status == "False");
        let facts = PodFacts {
            uid: metadata.uid.unwrap_or_default(),
            created: metadata.creation_timestamp.map(|time| time.0),
            unplaced: unplaced.map(|condition| condition.message.chars().take(MESSAGE).collect()),
            node: spec.node_name.unwrap_or_default(),
            controller,
            content_hash: take(&metadata.annotations, CONTENT_HASH),
            template_generation: take(&metadata.labels, POD_TEMPLATE_GENERATION),
            terminating: metadata.deletion_timestamp.is_some(),
            containers: status
                .container_statuses
                .into_iter()
                .map(|container| (container.name, container.state.judge()))
                .collect(),
            init_failure,
        };
        (metadata.name.unwrap_or_default(), facts)
    }
}

/// Reasons by which kubelet says that a container's turn has not come.
const NOT_YET: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];
/// Reasons by which kubelet says that it cannot have the image: `pkg/kubelet/images/types.go` of Kubernetes.
const NO_IMAGE: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// Kubelet's words are kept up to this many characters.
const MESSAGE: usize = 300;

impl LeanState {
    fn judge(self) -> ContainerState {
        if self.running.is_some() {
            return ContainerState::Running;
        }
        let Some(Reason { reason, message }) = self
            .waiting
            .or_else(|| self.terminated.filter(|t| t.reason != "Completed"))
        else {
            return ContainerState::Waiting;
        };
        if NOT_YET.contains(&reason.as_str()) {
            return ContainerState::Waiting;
        }
        let kind = if NO_IMAGE.contains(&reason.as_str()) {
            FailureKind::Pull
        } else {
            FailureKind::Start
        };
        let message = message.chars().take(MESSAGE).collect();
        ContainerState::Failed(Failure {
            kind,
            reason,
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kubelets_report_becomes_facts() {
        let pod: LeanPod = serde_json::from_value(json!({
            "metadata": {"name": "p", "uid": "u", "labels": {"pod-template-generation": "3"},
                "annotations": {"kubernetes-image-puller/content-hash": "h"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d1", "controller": true}]},
            "spec": {"nodeName": "n", "containers": [{"name": "a"}]},
            "status": {
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}],
                "initContainerStatuses": [{"name": "copy-sleep", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}],
                "containerStatuses": [
                    {"name": "a", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
                    {"name": "b", "state": {"waiting": {"reason": "ContainerCreating"}}},
                    {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "x".repeat(1000)}}},
                    {"name": "d", "state": {"waiting": {"reason": "CreateContainerError"}}},
                    {"name": "e", "state": {}},
                ]},
        }))
        .unwrap();
        let (name, facts) = pod.into_facts();
        assert_eq!((name.as_str(), facts.node.as_str()), ("p", "n"));
        assert_eq!(facts.controller.as_deref(), Some("d1"));
        assert_eq!(facts.content_hash.as_deref(), Some("h"));
        assert_eq!(facts.template_generation.as_deref(), Some("3"));
        assert_eq!(facts.init_failure, None);
        assert_eq!(facts.unplaced.as_deref(), Some("0/2 nodes are available"));
        assert_eq!(facts.containers["a"], ContainerState::Running);
        assert_eq!(facts.containers["b"], ContainerState::Waiting);
        assert_eq!(facts.containers["e"], ContainerState::Waiting);
        assert!(
            matches!(&facts.containers["c"], ContainerState::Failed(f) if f.kind == FailureKind::Pull && f.message.len() == MESSAGE)
        );
        assert!(
            matches!(&facts.containers["d"], ContainerState::Failed(f) if f.kind == FailureKind::Start)
        );
    }
}
