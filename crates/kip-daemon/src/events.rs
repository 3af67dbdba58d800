//! Events on the daemon's own Deployment, so that `kubectl describe deployment` tells what is wrong.
//!
//! Not `kube::runtime::events::Recorder`: it counts Events of one reason together and keeps the first text, so that
//! the second bad edit of a `ConfigMap` would be reported with the first one's mistake.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;
use tracing::warn;

use crate::api_error::{bounded, chain};
use crate::config::startup::Identity;
use crate::desired::Owner;
use crate::desired::names::MANAGER;
use crate::metrics::Metrics;

/// What an Event is about: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A configuration was refused; the last good one stays in force.
    InvalidConfiguration,
    /// A configuration is in force.
    ConfigurationApplied,
    /// The `DaemonSet` was made, or made again.
    DaemonSetCreated,
    /// The `DaemonSet` of the Go image puller was taken over.
    DaemonSetAdopted,
    /// The `DaemonSet` cannot be brought to what it should be.
    ApplyFailed,
    /// Somebody else keeps changing the `DaemonSet`.
    Contended,
    /// An image cannot be had, or its container does not start.
    ImageFailed,
    /// A node that is to have the images has no pod.
    PodsMissing,
    /// A fetcher is not let in.
    FetchRefused,
    /// A policy makes sleepers ask the registry at each start.
    AlwaysPulled,
    /// The registry says that there is no such image, or does not give it.
    ImageUnavailable,
    /// An image has nothing for some nodes, and is kept off them.
    ImageKeptOff,
    /// Registries do not tell what tags stand for.
    RegistryUnanswered,
    /// A pull secret cannot be used to ask registries.
    PullSecretUnusable,
    /// The list takes much of a node's disk.
    DiskShare,
    /// A round got nowhere on its first node.
    RolloutStopped,
    /// A round could not be brought to its end on a node.
    NodeSkipped,
    /// Tags stood for something else than before, and the nodes have that now.
    ImagesRefreshed,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfiguration => "InvalidConfiguration",
            Self::ConfigurationApplied => "ConfigurationApplied",
            Self::DaemonSetCreated => "DaemonSetCreated",
            Self::DaemonSetAdopted => "DaemonSetAdopted",
            Self::ApplyFailed => "ApplyFailed",
            Self::Contended => "Contended",
            Self::ImageFailed => "ImageFailed",
            Self::PodsMissing => "PodsMissing",
            Self::FetchRefused => "FetchRefused",
            Self::AlwaysPulled => "AlwaysPulled",
            Self::ImageUnavailable => "ImageUnavailable",
            Self::ImageKeptOff => "ImageKeptOff",
            Self::RegistryUnanswered => "RegistryUnanswered",
            Self::PullSecretUnusable => "PullSecretUnusable",
            Self::DiskShare => "DiskShare",
            Self::RolloutStopped => "RolloutStopped",
            Self::NodeSkipped => "NodeSkipped",
            Self::ImagesRefreshed => "ImagesRefreshed",
        }
    }

    /// Whether something is wrong.
    fn is_warning(self) -> bool {
        match self {
            Self::ConfigurationApplied
            | Self::DaemonSetCreated
            | Self::DaemonSetAdopted
            | Self::ImageKeptOff
            | Self::ImagesRefreshed => false,
            Self::InvalidConfiguration
            | Self::ApplyFailed
            | Self::Contended
            | Self::ImageFailed
            | Self::FetchRefused
            | Self::AlwaysPulled
            | Self::ImageUnavailable
            | Self::RegistryUnanswered
            | Self::PullSecretUnusable
            | Self::DiskShare
            | Self::RolloutStopped
            | Self::NodeSkipped
            | Self::PodsMissing => true,
        }
    }

    /// Whether an edit may end it, or give it another cause.
    fn is_of_a_configuration(self) -> bool {
        matches!(
            self,
            Self::InvalidConfiguration
                | Self::ApplyFailed
                | Self::PodsMissing
                | Self::FetchRefused
                | Self::ImageUnavailable
                | Self::RegistryUnanswered
                | Self::PullSecretUnusable
                | Self::DiskShare
                | Self::RolloutStopped
        )
    }

    /// How long the same is not told again. What is found at every try, or at every deletion, would else drown
    /// everything; what somebody did is told each time.
    fn silence(self) -> Duration {
        if self.is_warning() {
            // Shorter than the reminder, so that each of those is told.
            Duration::from_secs(9 * 60)
        } else if self == Self::DaemonSetCreated {
            Duration::from_secs(60)
        } else {
            Duration::ZERO
        }
    }

    fn type_(self) -> &'static str {
        if self.is_warning() {
            "Warning"
        } else {
            "Normal"
        }
    }
}

/// What goes to the task that writes Events: controller --says--> events.
#[derive(Debug)]
pub enum Notice {
    /// The Deployment that the Events are about is known.
    About(Owner),
    /// Something to tell.
    Tell {
        /// What it is about.
        reason: Reason,
        /// Which of several things of this reason, for example an image's name; empty where there is one only. The
        /// same subject is not told again for a while, whatever the words.
        subject: String,
        /// In words.
        text: String,
    },
}

/// Where notices go.
#[derive(Debug, Clone)]
pub struct Notices(mpsc::Sender<Notice>);

/// Notices that wait for the API server; more are dropped, the log has them all.
const QUEUE: usize = 64;
/// The API server refuses longer notes, in bytes.
const NOTE: usize = 1024;

impl Notices {
    /// A sender, and what [`write()`] receives from.
    pub fn channel() -> (Self, mpsc::Receiver<Notice>) {
        let (tx, rx) = mpsc::channel(QUEUE);
        (Self(tx), rx)
    }

    /// Says which Deployment the Events are about.
    pub fn about(&self, owner: &Owner) {
        self.send(Notice::About(owner.clone()));
    }

    /// Tells something.
    pub fn tell(&self, reason: Reason, subject: impl Into<String>, text: impl Into<String>) {
        self.send(Notice::Tell {
            reason,
            subject: subject.into(),
            text: text.into(),
        });
    }

    fn send(&self, notice: Notice) {
        if let Err(error) = self.0.try_send(notice) {
            warn!(%error, "an Event is dropped");
        }
    }
}

/// What was told, and when.
#[derive(Default)]
struct Told {
    last: HashMap<(Reason, String), Instant>,
    lately: Vec<Instant>,
}

/// No more Events than this are written in [`BUDGET_TIME`]; the log has them all.
const BUDGET: usize = 20;
const BUDGET_TIME: Duration = Duration::from_secs(60);

impl Told {
    fn is_news(&mut self, reason: Reason, subject: &str, now: Instant) -> bool {
        if reason == Reason::ConfigurationApplied {
            // What goes wrong with another configuration is new, a mistake that is made again too.
            self.last
                .retain(|(told, _), _| !told.is_of_a_configuration());
        }
        self.last
            .retain(|(told, _), at| now.duration_since(*at) < told.silence());
        self.lately
            .retain(|at| now.duration_since(*at) < BUDGET_TIME);
        let key = (reason, subject.to_owned());
        if self.lately.len() >= BUDGET || self.last.contains_key(&key) {
            return false;
        }
        self.lately.push(now);
        self.last.insert(key, now);
        true
    }

    fn forget(&mut self, reason: Reason, subject: &str) {
        self.last.remove(&(reason, subject.to_owned()));
    }
}

/// Writes Events, as a task that never ends.
pub async fn write(
    client: Client,
    identity: Identity,
    instance: String,
    metrics: Metrics,
    mut rx: mpsc::Receiver<Notice>,
) -> Infallible {
    let api: Api<Event> = Api::namespaced(client, &identity.own_namespace);
    let mut owner: Option<Owner> = None;
    let mut told = Told::default();
    let mut waiting: Vec<(Reason, String, String)> = Vec::new();
    loop {
        match rx.recv().await {
            None => std::future::pending().await,
            Some(Notice::About(about)) => owner = Some(about),
            Some(Notice::Tell {
                reason,
                subject,
                text,
            }) => {
                if told.is_news(reason, &subject, Instant::now()) {
                    waiting.push((reason, subject, text));
                    waiting.truncate(QUEUE);
                }
            }
        }
        let Some(owner) = &owner else {
            continue;
        };
        for (reason, subject, text) in waiting.drain(..) {
            let event = event(&identity.own_namespace, owner, &instance, reason, &text);
            // An Event that cannot be written is not worth more than a line: nothing depends on it.
            if let Err(error) = bounded(api.create(&PostParams::default(), &event)).await {
                told.forget(reason, &subject);
                metrics.api_error(error.category());
                warn!(
                    reason = reason.as_str(),
                    error = chain(&error),
                    "an Event could not be written"
                );
            }
        }
    }
}

fn event(namespace: &str, owner: &Owner, instance: &str, reason: Reason, text: &str) -> Event {
    let now = Timestamp::now();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", owner.name, now.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(shorten(text)),
        reason: Some(reason.as_str().to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("apps/v1".to_owned()),
            kind: Some("Deployment".to_owned()),
            name: Some(owner.name.clone()),
            namespace: Some(namespace.to_owned()),
            uid: Some(owner.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(MANAGER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(reason.type_().to_owned()),
        ..Event::default()
    }
}

fn shorten(text: &str) -> String {
    if text.len() <= NOTE {
        return text.to_owned();
    }
    let mut end = NOTE - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_does_is_told_each_time_and_what_lasts_only_after_a_while() {
        let mut told = Told::default();
        let start = Instant::now();
        let mut news = |reason, subject: &str, seconds| {
            told.is_news(reason, subject, start + Duration::from_secs(seconds))
        };
        assert!(news(Reason::ConfigurationApplied, "", 0));
        assert!(news(Reason::ConfigurationApplied, "", 1));
        assert!(news(Reason::ImageFailed, "a", 0));
        assert!(!news(Reason::ImageFailed, "a", 1));
        assert!(news(Reason::ImageFailed, "b", 1));
        assert!(news(Reason::ImageFailed, "a", 9 * 60));
        assert!(news(Reason::InvalidConfiguration, "x", 700));
        assert!(!news(Reason::InvalidConfiguration, "x", 701));
        assert!(news(Reason::ConfigurationApplied, "", 702));
        assert!(
            news(Reason::InvalidConfiguration, "x", 703),
            "mended, and made again"
        );
    }

    #[test]
    fn what_another_configuration_runs_into_is_told_although_the_last_one_ran_into_the_same() {
        let mut told = Told::default();
        let now = Instant::now();
        let of_a_list = [
            Reason::ApplyFailed,
            Reason::PodsMissing,
            Reason::FetchRefused,
            Reason::RolloutStopped,
        ];
        for reason in of_a_list {
            assert!(told.is_news(reason, "quota", now));
            assert!(!told.is_news(reason, "quota", now));
        }
        assert!(told.is_news(Reason::ImageFailed, "nginx", now));
        assert!(told.is_news(Reason::ConfigurationApplied, "", now));
        for reason in of_a_list {
            assert!(told.is_news(reason, "quota", now), "{reason:?}");
        }
        assert!(
            !told.is_news(Reason::ImageFailed, "nginx", now),
            "the image is the same, and fails as before"
        );
    }

    #[test]
    fn a_flood_is_cut_off_and_ends() {
        let mut told = Told::default();
        let start = Instant::now();
        let written = |told: &mut Told, second: u64| {
            let now = start + Duration::from_secs(second);
            (0..100)
                .filter(|n| told.is_news(Reason::ImageFailed, &format!("{second}-{n}"), now))
                .count()
        };
        assert_eq!(written(&mut told, 0), BUDGET);
        assert_eq!(written(&mut told, 30), 0);
        assert_eq!(written(&mut told, 61), BUDGET);
    }
}
