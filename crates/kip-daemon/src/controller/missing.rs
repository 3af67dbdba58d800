//! Nodes without a pod: why there is none.
//!
//! The controller of the `DaemonSet` writes the reason into an Event, and to read Events the daemon has no right. But it
//! may make pods: what the API server says of one that is only tried (`dryRun`) is the same reason, in the same words.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Controller, Memory};
use crate::api_error::{ApiError, advice};
use crate::cluster::Seen;
use crate::desired::sample;
use crate::events::Reason;
use crate::status::Status;
use crate::trouble::Trouble;

/// Pods need so long at most to be made and placed; what is missing then will not come by itself.
const PLACING: Duration = Duration::from_secs(30);
/// The API server is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What is known of the missing pods.
#[derive(Debug, Default)]
pub(super) struct Missing {
    since: Option<Instant>,
    asked: Option<Instant>,
    answer: Answer,
}

/// What the API server says of one more pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Answer {
    /// It was not asked, or did not answer.
    #[default]
    Unknown,
    /// It would take one.
    Accepted,
    /// It refuses one, in these words.
    Refused(Trouble, String),
}

impl Missing {
    /// Takes in where things stand.
    pub(super) fn note(&mut self, status: &Status, now: Instant) {
        if status.empty_nodes == 0 {
            *self = Self::default();
        } else {
            self.since.get_or_insert(now);
        }
    }

    /// What keeps the pods from being made, once the API server has said so.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self.answer {
            Answer::Refused(trouble, _) => Some(trouble),
            Answer::Unknown | Answer::Accepted => None,
        }
    }
}

impl Controller {
    /// Called at each heartbeat.
    pub(super) async fn tell_of_missing_pods(&self, memory: &mut Memory) {
        let now = Instant::now();
        let Seen::Present(live) = &memory.cluster.live else {
            return;
        };
        let since = memory.missing.since;
        let is_long = since.is_some_and(|since| now.duration_since(since) >= PLACING);
        if !is_long || live.terminating {
            return;
        }
        let nodes = memory.status.empty_nodes;
        if let Some(why) = &memory.status.unplaced {
            memory.missing.answer = Answer::Unknown;
            debug!(nodes, why, "nodes have no pod");
            let text = format!("{nodes} node(s) have no pod: {why}");
            self.notices.tell(Reason::PodsMissing, "", text);
            return;
        }
        let asked = memory.missing.asked;
        if asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN) {
            memory.missing.asked = Some(now);
            let uid = live.uid.clone();
            memory.missing.answer = self.ask_for_a_pod(&uid, memory).await;
            memory.status_due.get_or_insert(now);
        }
        let text = match &memory.missing.answer {
            Answer::Refused(trouble, words) => {
                let meaning = trouble.meaning();
                let mut text = format!(
                    "{nodes} node(s) have no pod, the API server refuses one: {words} ({meaning})"
                );
                if let Some(advice) = advice(words) {
                    text = format!("{text}; {advice}");
                }
                text
            }
            Answer::Accepted => format!(
                "{nodes} node(s) have no pod, though the API server would take one now; the DaemonSet controller tries \
                 again within minutes: `kubectl describe daemonset` tells what it met"
            ),
            Answer::Unknown => format!(
                "{nodes} node(s) have no pod, and the DaemonSet controller could not make one (quota, limits, \
                 admission?): `kubectl describe daemonset` tells why"
            ),
        };
        debug!(nodes, "nodes have no pod");
        let subject = memory.missing.trouble().map_or("", Trouble::as_str);
        self.notices.tell(Reason::PodsMissing, subject, text);
    }

    async fn ask_for_a_pod(&self, uid: &str, memory: &Memory) -> Answer {
        let Some(applied) = &memory.applied else {
            return Answer::Unknown;
        };
        match self.writer.try_pod(&sample(&applied.desired, uid)).await {
            Ok(()) => Answer::Accepted,
            Err(error) => {
                self.metrics.api_error(error.category());
                let Some((trouble, words)) = refusal(&error) else {
                    return Answer::Unknown;
                };
                let reason = trouble.as_str();
                warn!(reason, detail = words, "pods are refused");
                Answer::Refused(trouble, words)
            }
        }
    }
}

/// What the API server has refused a pod for, where it was there and said so.
pub(super) fn refusal(error: &ApiError) -> Option<(Trouble, String)> {
    error.category().is_refusal().then(|| {
        let words = error.detail();
        (Trouble::of_refusal(&words), words)
    })
}
