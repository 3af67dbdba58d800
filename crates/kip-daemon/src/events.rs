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

/// What an Event is about: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A configuration was refused; the last good one stays in force.
    InvalidConfiguration,
    /// A configuration is in force.
    ConfigurationApplied,
    /// The `DaemonSet` was made, or made again.
    DaemonSetCreated,
    /// The `DaemonSet` cannot be brought to what it should be.
    ApplyFailed,
    /// Somebody else keeps changing the `DaemonSet`.
    Contended,
    /// An image cannot be had, or its container does not start.
    ImageFailed,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfiguration => "InvalidConfiguration",
            Self::ConfigurationApplied => "ConfigurationApplied",
            Self::DaemonSetCreated => "DaemonSetCreated",
            Self::ApplyFailed => "ApplyFailed",
            Self::Contended => "Contended",
            Self::ImageFailed => "ImageFailed",
        }
    }

    /// Whether it is found again at every try: then the same words are told only after a while. The others are told
    /// when something happens, and each time counts.
    fn is_repeated(self) -> bool {
        match self {
            Self::ApplyFailed | Self::Contended | Self::ImageFailed => true,
            Self::InvalidConfiguration | Self::ConfigurationApplied | Self::DaemonSetCreated => {
                false
            }
        }
    }

    fn type_(self) -> &'static str {
        match self {
            Self::ConfigurationApplied | Self::DaemonSetCreated => "Normal",
            Self::InvalidConfiguration
            | Self::ApplyFailed
            | Self::Contended
            | Self::ImageFailed => "Warning",
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
        /// Which of several things of this reason, for example an image's name; empty where there is one only.
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

/// What was told of the repeated kind, and when.
#[derive(Default)]
struct Told(HashMap<(Reason, String), (Instant, String)>);

/// The same words about the same subject are told again after this time: Events live for an hour.
const TELL_AGAIN: Duration = Duration::from_secs(10 * 60);

impl Told {
    fn is_news(&mut self, reason: Reason, subject: String, text: &str, now: Instant) -> bool {
        if !reason.is_repeated() {
            return true;
        }
        self.0
            .retain(|_, (at, _)| now.duration_since(*at) < TELL_AGAIN);
        let key = (reason, subject);
        if self.0.get(&key).is_some_and(|(_, told)| told == text) {
            return false;
        }
        self.0.insert(key, (now, text.to_owned()));
        true
    }
}

/// Writes Events, as a task that never ends.
pub async fn write(
    client: Client,
    identity: Identity,
    instance: String,
    mut rx: mpsc::Receiver<Notice>,
) -> Infallible {
    let api: Api<Event> = Api::namespaced(client, &identity.own_namespace);
    let mut owner: Option<Owner> = None;
    let mut told = Told::default();
    let mut waiting: Vec<(Reason, String)> = Vec::new();
    loop {
        match rx.recv().await {
            None => std::future::pending().await,
            Some(Notice::About(about)) => owner = Some(about),
            Some(Notice::Tell {
                reason,
                subject,
                text,
            }) => {
                if told.is_news(reason, subject, &text, Instant::now()) {
                    waiting.push((reason, text));
                    waiting.truncate(QUEUE);
                }
            }
        }
        let Some(owner) = &owner else {
            continue;
        };
        for (reason, text) in waiting.drain(..) {
            let event = event(&identity.own_namespace, owner, &instance, reason, &text);
            // An Event that cannot be written is not worth more than a line: nothing depends on it.
            if let Err(error) = bounded(api.create(&PostParams::default(), &event)).await {
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
    fn what_happens_is_told_each_time_and_what_lasts_only_after_a_while() {
        let mut told = Told::default();
        let start = Instant::now();
        let mut news = |reason, subject: &str, text, seconds| {
            told.is_news(
                reason,
                subject.to_owned(),
                text,
                start + Duration::from_secs(seconds),
            )
        };
        assert!(news(Reason::ConfigurationApplied, "", "2 images", 0));
        assert!(news(Reason::ConfigurationApplied, "", "2 images", 1));
        assert!(news(Reason::ImageFailed, "a", "not found", 0));
        assert!(!news(Reason::ImageFailed, "a", "not found", 1));
        assert!(news(Reason::ImageFailed, "b", "not found", 1));
        assert!(news(Reason::ImageFailed, "a", "not allowed", 2));
        assert!(news(Reason::ImageFailed, "a", "not found", 3));
        assert!(news(Reason::ImageFailed, "a", "not found", 3 + 10 * 60));
    }
}
