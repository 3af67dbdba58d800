//! Tells people where things stand: metrics, and an Event for each image that fails.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use tracing::{info, warn};

use crate::cluster::{Cluster, Failure};
use crate::config::Config;
use crate::desired::content_hash_of;
use crate::desired::names::COPY_SLEEP;
use crate::events::{Notices, Reason};
use crate::metrics::Metrics;
use crate::status::{ImageState, Status, summarize};

/// Remembers what was told, so that it is told once.
pub struct Reporter {
    metrics: Metrics,
    notices: Notices,
    /// Image (or init container) to the reason that was told.
    told: BTreeMap<String, String>,
    complete: Option<(usize, usize)>,
}

impl Reporter {
    /// Nothing was told yet.
    pub fn new(metrics: Metrics, notices: Notices) -> Self {
        Self {
            metrics,
            notices,
            told: BTreeMap::new(),
            complete: None,
        }
    }

    /// Everything may be told again: the list has changed.
    pub fn forget(&mut self) {
        self.told.clear();
        self.complete = None;
    }

    /// Tells again what lasts: Events live for an hour.
    pub fn remind(&mut self) {
        self.told.clear();
    }

    /// Sums up and tells what is new.
    pub fn report(&mut self, config: &Config, desired: &DaemonSet, cluster: &Cluster) -> Status {
        let (Some(content_hash), Some(group)) = (content_hash_of(desired), config.groups.first())
        else {
            return Status::default();
        };
        let status = summarize(group, content_hash, cluster);
        self.metrics.status(&status);
        let complete = (status.complete_nodes, status.wanted_nodes);
        let is_new = self.complete.replace(complete) != Some(complete);
        if is_new && complete.1 > 0 && complete.0 == complete.1 {
            info!(
                nodes = complete.1,
                images = group.images.len(),
                "every image is on every node"
            );
        }
        self.tell_failures(config, &status);
        status
    }

    fn tell_failures(&mut self, config: &Config, status: &Status) {
        let images = config.groups.iter().flat_map(|group| &group.images);
        let references: BTreeMap<&str, &str> = images
            .map(|image| (image.name.as_str(), image.image.as_str()))
            .collect();
        let init = status
            .init_failure
            .iter()
            .map(|(node, failure)| (COPY_SLEEP, 1, node, failure));
        let failing = status.images.iter().filter_map(|(name, image)| {
            let (node, failure) = image.failure.as_ref()?;
            let count = [ImageState::PullFailed, ImageState::StartFailed]
                .iter()
                .filter_map(|state| image.nodes.get(state))
                .sum();
            Some((name.as_str(), count, node, failure))
        });
        let mut still = BTreeMap::new();
        for (name, nodes, node, failure) in init.chain(failing) {
            // Kubelet swings between the error and its back-off; that is no news.
            let kind = format!("{:?}", failure.kind);
            if self.told.get(name) != Some(&kind) {
                self.tell(name, references.get(name).copied(), nodes, node, failure);
            }
            still.insert(name.to_owned(), kind);
        }
        self.told = still;
    }

    fn tell(&self, name: &str, image: Option<&str>, nodes: usize, node: &str, failure: &Failure) {
        let Failure {
            reason, message, ..
        } = failure;
        warn!(
            name,
            image,
            nodes,
            node,
            reason,
            detail = message,
            "an image fails"
        );
        let image = image.unwrap_or("the image of kip-sleep (KIP_IMAGE)");
        let text = format!(
            "{name} ({image}) fails on {nodes} node(s), for example {node}: {reason}: {message}"
        );
        let subject = format!("{name} {image} {:?}", failure.kind);
        self.notices.tell(Reason::ImageFailed, subject, text);
    }
}
