//! Pods as they come from the API, read into no more than is needed, and turned into facts.
//!
//! A pod of 40 containers is 57 kB of JSON; of that a few hundred bytes matter here, so the types below leave out
//! the rest while it is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, LocalObjectReference, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::Deserialize;

use crate::cluster::{
    ContainerFacts, ContainerState, Content, Duty, Failure, FailureKind, PodFacts,
};
use crate::desired::names::{
    COMPONENT, CONTENT_HASH, COPY_SLEEP, FETCHER, HOLDER_UID, NODE, POD_TEMPLATE_GENERATION,
    RESTARTED_AT, ROUND,
};
use crate::node_report::NodeReport;
use crate::original;

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
    #[serde(default)]
    containers: Vec<LeanSleeper>,
    #[serde(default)]
    image_pull_secrets: Vec<LocalObjectReference>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanSleeper {
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    image_pull_policy: String,
    #[serde(default)]
    command: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanStatus {
    #[serde(default)]
    phase: String,
    start_time: Option<serde::de::IgnoredAny>,
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
#[serde(rename_all = "camelCase")]
struct LeanContainer {
    name: String,
    #[serde(default, rename = "imageID")]
    image_id: String,
    #[serde(default)]
    state: LeanState,
    #[serde(default)]
    last_state: LeanState,
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

/// Texts that occur in every pod are kept once.
#[derive(Debug, Default)]
pub struct Interner(HashSet<Arc<str>>);

/// More texts than this are looked through for those that nobody uses any more.
const INTERNED: usize = 10_000;

impl Interner {
    fn text(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.0.get(text.as_str()) {
            return known.clone();
        }
        if self.0.len() >= INTERNED {
            self.0.retain(|text| Arc::strong_count(text) > 1);
        }
        let text: Arc<str> = text.into();
        self.0.insert(text.clone());
        text
    }
}

/// As the API server answers a request that makes one.
impl From<Pod> for LeanPod {
    fn from(pod: Pod) -> Self {
        let sleeper = |container: Container| LeanSleeper {
            name: container.name,
            image: container.image.unwrap_or_default(),
            image_pull_policy: container.image_pull_policy.unwrap_or_default(),
            command: container.command.unwrap_or_default(),
        };
        let spec = pod.spec.unwrap_or_default();
        Self {
            metadata: pod.metadata,
            spec: LeanSpec {
                node_name: spec.node_name,
                containers: spec.containers.into_iter().map(sleeper).collect(),
                image_pull_secrets: spec.image_pull_secrets.unwrap_or_default(),
            },
            // Kubelet has not seen it.
            status: LeanStatus::default(),
        }
    }
}

impl LeanPod {
    /// Whether the Go image puller has left it: it has made it, and nothing owns it any more.
    pub fn is_leftover(&self) -> bool {
        let mut owners = self.metadata.owner_references.iter().flatten();
        original::has_labelled(self.metadata.labels.as_ref())
            && !owners.any(|owner| owner.controller == Some(true))
            && !self.spec.containers.is_empty()
            && self
                .spec
                .containers
                .iter()
                .all(|sleeper| original::is_sleep(&sleeper.command))
    }

    /// Name and facts; it is seen now.
    pub fn into_facts(self, interner: &mut Interner, now: Timestamp) -> (String, PodFacts) {
        let is_leftover = self.is_leftover();
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
        let node_report = node_report(&status.init_container_statuses);
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
        let annotation = |key| take(&metadata.annotations, key);
        let is_fetcher = take(&metadata.labels, COMPONENT).as_deref() == Some(FETCHER);
        let duty = if is_fetcher {
            Duty::Fetch {
                // A number that cannot be read is that of no round: such a pod is removed.
                round: annotation(ROUND).and_then(|n| n.parse().ok()).unwrap_or(0),
                holder: annotation(HOLDER_UID).unwrap_or_default(),
            }
        } else if is_leftover {
            Duty::Leftover
        } else {
            Duty::Hold
        };
        let meant_for = annotation(NODE).filter(|_| is_fetcher);
        let facts = PodFacts {
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            created: metadata.creation_timestamp.map(|time| time.0),
            first_seen: now,
            duty,
            unplaced: unplaced.map(|condition| condition.message.chars().take(MESSAGE).collect()),
            node: spec.node_name.or(meant_for).unwrap_or_default(),
            taken_up: status.start_time.is_some(),
            ended: matches!(status.phase.as_str(), "Failed" | "Succeeded"),
            controller,
            content_hash: annotation(CONTENT_HASH),
            restarted_at: annotation(RESTARTED_AT),
            template_generation: take(&metadata.labels, POD_TEMPLATE_GENERATION),
            terminating: metadata.deletion_timestamp.is_some(),
            pull_secrets: spec
                .image_pull_secrets
                .into_iter()
                .map(|secret| interner.text(secret.name))
                .collect(),
            containers: containers(spec.containers, status.container_statuses, interner),
            init_failure,
            node_report,
        };
        (metadata.name.unwrap_or_default(), facts)
    }
}

/// What the init container that copies the sleep program has told, in this run of it or in the one before.
fn node_report(inits: &[LeanContainer]) -> Option<NodeReport> {
    let copy_sleep = inits.iter().find(|init| init.name == COPY_SLEEP)?;
    [&copy_sleep.state, &copy_sleep.last_state]
        .into_iter()
        .find_map(|state| NodeReport::parse(&state.terminated.as_ref()?.message))
}

fn containers(
    sleepers: Vec<LeanSleeper>,
    statuses: Vec<LeanContainer>,
    interner: &mut Interner,
) -> Vec<ContainerFacts> {
    let mut statuses: HashMap<String, LeanContainer> = statuses
        .into_iter()
        .map(|status| (status.name.clone(), status))
        .collect();
    let mut facts = |sleeper: LeanSleeper| {
        let status = statuses.remove(&sleeper.name);
        let has_run = status
            .as_ref()
            .is_some_and(|status| status.last_state.terminated.is_some());
        let (content, state) = status.map_or((None, ContainerState::Waiting), |status| {
            (content(&status.image_id), status.state.judge())
        });
        ContainerFacts {
            name: interner.text(sleeper.name),
            image: interner.text(sleeper.image),
            asks: sleeper.image_pull_policy == "Always",
            content,
            has_run,
            state,
        }
    };
    sleepers.into_iter().map(&mut facts).collect()
}

/// The digest part of an `imageID`: `repository@sha256:…`, `sha256:…`, or any other text.
fn content(image_id: &str) -> Option<Content> {
    if image_id.is_empty() {
        return None;
    }
    let digest = image_id
        .rsplit_once('@')
        .map_or(image_id, |(_, digest)| digest);
    Some(Content::of(digest))
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
mod tests;
