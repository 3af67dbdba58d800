//! Waits for the helper pod, and says why it does not come.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::{CONTAINER, Helper};
use crate::cluster::within_limit;
use crate::failure::{Status, failure};
use crate::rights::explain;

const PAUSE: Duration = Duration::from_millis(150);

/// How often is looked what the cluster says of a pod that does not come.
const EVENTS: Duration = Duration::from_secs(3);

/// What kubelet says of a folder that is not there. It goes on trying.
const NO_FOLDER: &str = "hostPath type check failed";

/// Reasons for which a container waits and will go on waiting.
const HOPELESS: &[&str] = &[
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// Those that are about its image: another one may do.
const NO_IMAGE: &[&str] = &["ErrImageNeverPull", "ImageInspectError", "InvalidImageName"];

/// The node has not got the helper pod's image, or the pod may not use it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoImage(String);

/// What the pod is at.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Running,
    Waiting(String),
    Failed(String),
    NoImage(String),
}

/// Waits until it runs, and gives it.
pub(super) async fn until_running(
    client: &Client,
    helper: &Helper,
    timeout: Duration,
) -> Result<Pod> {
    let namespace = &helper.namespace;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let selector =
        ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", helper.name));
    let began = Instant::now();
    let mut asked = began;
    loop {
        let found = within_limit("list pods", pods.list(&selector)).await?;
        let found = found.map_err(|error| explain(error, "list", "pods", namespace))?;
        let pod = found.items.into_iter().next();
        let last = match pod.map(|pod| (pod.name_any(), state(&pod), pod)) {
            Some((_, State::Running, pod)) => return Ok(pod),
            Some((_, State::NoImage(why), _)) => {
                let text = format!("node {} cannot run {}: {why}", helper.node, helper.image);
                return Err(NoImage(text).into());
            }
            Some((name, State::Failed(why), _)) => {
                bail!(
                    "the helper pod {name} does not run on node {}: {why}",
                    helper.node
                )
            }
            Some((name, State::Waiting(why), _)) => format!("the pod {name} waits: {why}"),
            None => "its Job has made no pod".to_owned(),
        };
        let is_late = began.elapsed() > timeout;
        if is_late || asked.elapsed() > EVENTS {
            asked = Instant::now();
            let events = events(client, helper).await;
            if events.contains(NO_FOLDER) {
                bail!(
                    "the helper pod does not run on node {}: {last}{events} (--host-path)",
                    helper.node
                );
            }
            if !is_late {
                continue;
            }
            let text = format!(
                "the helper pod does not run on node {} after {} s (--helper-timeout): {last}{events}",
                helper.node,
                timeout.as_secs()
            );
            return Err(failure(Status::Other, text));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the kubelet calls the image of its container.
pub(super) fn image_id(pod: &Pod) -> String {
    container(pod)
        .map(|it| it.image_id.clone())
        .unwrap_or_default()
}

/// Ours: a webhook may have put others beside it.
fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|it| it.name == CONTAINER)
}

fn state(pod: &Pod) -> State {
    let status = pod.status.as_ref();
    let phase = status
        .and_then(|it| it.phase.as_deref())
        .unwrap_or_default();
    let said = status.and_then(|it| it.message.clone().or_else(|| it.reason.clone()));
    let container = container(pod).and_then(|it| it.state.as_ref());
    if let Some(waiting) = container.and_then(|it| it.waiting.as_ref()) {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let text = match &waiting.message {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        };
        return match reason {
            _ if HOPELESS.contains(&reason) => State::Failed(text),
            _ if NO_IMAGE.contains(&reason) => State::NoImage(text),
            _ => State::Waiting(text),
        };
    }
    if let Some(ended) = container.and_then(|it| it.terminated.as_ref()) {
        let message = ended
            .message
            .as_deref()
            .or(ended.reason.as_deref())
            .unwrap_or_default();
        return State::Failed(format!(
            "it ended with status {}: {message}",
            ended.exit_code
        ));
    }
    match phase {
        "Running" => State::Running,
        "Failed" | "Succeeded" => State::Failed(said.unwrap_or_else(|| phase.to_owned())),
        _ => State::Waiting(said.unwrap_or_else(|| "it has not begun".to_owned())),
    }
}

/// What the cluster says of the Job and its pod. Nothing, where events may not be read.
async fn events(client: &Client, helper: &Helper) -> String {
    let api: Api<Event> = Api::namespaced(client.clone(), &helper.namespace);
    let selector = ListParams::default().fields("type=Warning");
    let found = within_limit("list events", api.list(&selector)).await;
    let ours = found.into_iter().flatten().flatten().filter(|event| {
        let name = event.involved_object.name.as_deref().unwrap_or_default();
        name.starts_with(&helper.name)
    });
    let texts: Vec<_> = ours.filter_map(|event| event.message).collect();
    let mut texts: Vec<_> = texts.into_iter().map(|text| format!("; {text}")).collect();
    texts.dedup();
    texts.concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

    fn in_state(state: &serde_json::Value) -> Pod {
        let container = json!({"name": "agent", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        pod(&json!({"phase": "Pending", "containerStatuses": [container]}))
    }

    #[test]
    fn what_will_not_pass_is_not_waited_for() {
        let reason = |reason: &str| {
            state(&in_state(
                &json!({"waiting": {"reason": reason, "message": "m"}}),
            ))
        };
        assert_eq!(
            reason("ContainerCreating"),
            State::Waiting("ContainerCreating: m".to_owned())
        );
        assert_eq!(
            reason("ErrImageNeverPull"),
            State::NoImage("ErrImageNeverPull: m".to_owned())
        );
        let ended = in_state(&json!({"terminated": {"exitCode": 1, "message": "m"}}));
        assert_eq!(
            state(&ended),
            State::Failed("it ended with status 1: m".to_owned())
        );
        assert_eq!(state(&pod(&json!({"phase": "Running"}))), State::Running);
        let evicted = pod(&json!({"phase": "Failed", "reason": "Evicted"}));
        assert_eq!(state(&evicted), State::Failed("Evicted".to_owned()));
    }
}
