//! Events on the daemon's own Deployment, so that `kubectl describe deployment` tells what is wrong.
//!
//! Not `kube::runtime::events::Recorder`: it counts Events of one reason together and keeps the first text, so that
//! the second bad edit of a `ConfigMap` would be reported with the first one's mistake.

use std::collections::HashMap;
use std::convert::Infallible;

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

    /// The reason that this one puts an end to: it may be told again with the same text.
    fn opposite(self) -> Option<Self> {
        match self {
            Self::InvalidConfiguration => Some(Self::ConfigurationApplied),
            Self::ConfigurationApplied => Some(Self::InvalidConfiguration),
            Self::DaemonSetCreated => Some(Self::ApplyFailed),
            Self::ApplyFailed => Some(Self::DaemonSetCreated),
            Self::Contended | Self::ImageFailed => None,
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
    /// A sender, and what [`write`] receives from.
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

/// Writes Events, as a task that never ends. The same text about the same subject is written once in a row.
pub async fn write(
    client: Client,
    identity: Identity,
    instance: String,
    mut rx: mpsc::Receiver<Notice>,
) -> Infallible {
    let api: Api<Event> = Api::namespaced(client, &identity.own_namespace);
    let mut owner: Option<Owner> = None;
    let mut last: HashMap<(Reason, String), String> = HashMap::new();
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
                if let Some(opposite) = reason.opposite() {
                    last.remove(&(opposite, subject.clone()));
                }
                let before = last.insert((reason, subject), text.clone());
                if before.as_ref() == Some(&text) {
                    continue;
                }
                waiting.push((reason, text));
                waiting.truncate(QUEUE);
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
