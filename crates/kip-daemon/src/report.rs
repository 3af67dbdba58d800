//! Tells people where things stand: metrics, and an Event for each image that fails.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use tracing::{info, warn};

use crate::answers::{NoAnswer, Why};
use crate::architecture::Architecture;
use crate::cluster::{Cluster, Failure, FailureKind};
use crate::config::Config;
use crate::desired::content_hash_of;
use crate::desired::names::COPY_SLEEP;
use crate::events::{Notices, Reason};
use crate::footprint::{TOO_MUCH, bytes, on_disk_factor};
use crate::known::{Cost, Known};
use crate::metrics::Metrics;
use crate::status::{ImageState, Status, summarize};
use crate::trouble::Trouble;

/// Remembers what was told, so that it is told once.
pub struct Reporter {
    metrics: Metrics,
    notices: Notices,
    /// Image (or init container) to the reason that was told.
    told: BTreeMap<String, String>,
    complete: Option<(usize, usize)>,
}

/// What images are kept off.
#[derive(Debug, Default)]
pub struct KeptOff {
    /// How many nodes, by the image's name.
    pub nodes: BTreeMap<String, usize>,
    /// Nodes that no `DaemonSet` counts, since there is nothing of the list for them.
    pub uncounted: usize,
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

    /// Sums up and tells what is new. Gives back where the `DaemonSet` stands, and where it stands with its parts.
    pub fn report(
        &mut self,
        config: &Config,
        desired: &DaemonSet,
        cluster: &Cluster,
        known: &Known,
        parts: &[Status],
        kept_off: &KeptOff,
    ) -> (Status, Status) {
        let (Some(content_hash), Some(group)) = (content_hash_of(desired), config.groups.first())
        else {
            return Default::default();
        };
        let status = summarize(group, content_hash, cluster);
        let mut total = status.clone();
        for part in parts {
            total.add(part);
        }
        self.metrics.status(&total);
        let costs = known.costs(&total);
        self.metrics.costs(&costs);
        let complete = (total.complete_nodes, total.wanted_nodes);
        let is_new = self.complete.replace(complete) != Some(complete);
        if is_new && complete.1 > 0 && complete.0 == complete.1 {
            info!(
                nodes = complete.1,
                images = group.images.len(),
                "every image is on every node"
            );
        }
        let told = self.tell_failures(config, desired, &status);
        let told = self.tell_unavailable(config, &total, known, told);
        let told = self.tell_useless(config, &total, kept_off, told);
        self.told = self.tell_disk_share(costs, told);
        (status, total)
    }

    /// What a registry has said it does not have, or does not give, while some node waits for it. Gives back what is told
    /// now, added to `still`.
    fn tell_unavailable(
        &self,
        config: &Config,
        status: &Status,
        known: &Known,
        mut still: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        for entry in config.images() {
            let Some(Err(NoAnswer { why, words })) = known.of(&entry.image) else {
                continue;
            };
            let nodes = status.missing_on(&entry.name);
            // Where some node has got it, nodes are told otherwise.
            let is_given_to_nodes = *why == Why::Credentials && nodes < status.wanted_nodes;
            if !why.is_decided() || nodes == 0 || is_given_to_nodes {
                continue;
            }
            let key = format!("registry: {}", entry.name);
            let (name, image, why) = (entry.name.as_str(), &entry.image, why.as_str());
            if self.told.get(&key).map(String::as_str) != Some(why) {
                warn!(
                    name,
                    image, nodes, why, "the registry does not have it, or does not give it"
                );
                let text = format!(
                    "{name}: {words} (so the daemon was told; {nodes} node(s) do not have the image. Nodes that have \
                     credentials of their own, as for ECR, GCR and ACR, may be told otherwise)"
                );
                let subject = format!("{name} {image} {why}");
                self.notices.tell(Reason::ImageUnavailable, subject, text);
            }
            still.insert(key, why.to_owned());
        }
        still
    }

    /// What has nothing for any node: most often a mistake. Gives back what is told now, added to `still`.
    fn tell_useless(
        &self,
        config: &Config,
        status: &Status,
        kept_off: &KeptOff,
        mut still: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        for entry in config.images() {
            let nodes = kept_off.nodes.get(&entry.name).copied().unwrap_or(0);
            if nodes == 0 || nodes < status.wanted_nodes + kept_off.uncounted {
                continue;
            }
            let key = format!("useless: {}", entry.name);
            let (name, image) = (entry.name.as_str(), &entry.image);
            if self.told.get(&key) != Some(image) {
                warn!(name, image, nodes, "the image has nothing for any node");
                let text = format!(
                    "{name} ({image}) is not there for the architecture of any node: it is kept off all {nodes}"
                );
                let subject = format!("{name} {image} any");
                self.notices.tell(Reason::ImageUnavailable, subject, text);
            }
            still.insert(key, image.clone());
        }
        still
    }

    /// Where the list takes much of a node's disk. Gives back what is told now, added to `still`.
    fn tell_disk_share(
        &self,
        costs: BTreeMap<Architecture, Cost>,
        mut still: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        for (architecture, cost) in costs {
            if !cost.is_too_much() {
                continue;
            }
            let key = format!("disk: {architecture}");
            if !self.told.contains_key(&key) {
                let (taken, node) = (bytes(cost.on_disk), cost.node);
                let disk = cost.smallest_disk.map(bytes).unwrap_or_default();
                warn!(taken, node, disk, "the list takes much of a node's disk");
                let text = format!(
                    "the images take about {taken} of the {disk} of the disk of node {node}, more than {TOO_MUCH} %: kubelet \
                     cannot remove images that are held; make the list shorter, or the disk larger (an estimate: {} times \
                     what is pulled)",
                    on_disk_factor()
                );
                self.notices.tell(Reason::DiskShare, key.as_str(), text);
            }
            still.insert(key, String::new());
        }
        still
    }

    /// What kubelet says. Gives back what is told now.
    fn tell_failures(
        &self,
        config: &Config,
        desired: &DaemonSet,
        status: &Status,
    ) -> BTreeMap<String, String> {
        let references: BTreeMap<&str, &str> = config
            .images()
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
            let kind = kind(failure);
            // Kubelet swings between the error and its back-off, which may say less; that is no news.
            let known = self.told.get(name);
            let known = known.filter(|known| known.starts_with(&kind)).cloned();
            if known.is_none() {
                let image = references.get(name).copied();
                let hint = hint(failure, desired);
                self.tell(name, image, nodes, node, failure, &hint);
            }
            still.insert(name.to_owned(), known.unwrap_or(kind));
        }
        if let Some(nodes) = status.troubles.get(&Trouble::AlwaysPull) {
            let name = Trouble::AlwaysPull.as_str();
            if !self.told.contains_key(name) {
                let meaning = Trouble::AlwaysPull.meaning();
                warn!(
                    nodes,
                    "a policy makes sleepers ask the registry at each start"
                );
                let text = format!("on {nodes} node(s) {meaning}");
                self.notices.tell(Reason::AlwaysPulled, "", text);
            }
            still.insert(name.to_owned(), String::new());
        }
        still
    }

    fn tell(
        &self,
        name: &str,
        image: Option<&str>,
        nodes: usize,
        node: &str,
        failure: &Failure,
        hint: &str,
    ) {
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
            "{name} ({image}) fails on {nodes} node(s), for example {node}: {reason}: {message}{hint}"
        );
        let subject = format!("{name} {image} {}", kind(failure));
        self.notices.tell(Reason::ImageFailed, subject, text);
    }
}

/// What is told once: a failure for another reason is a new one.
fn kind(failure: &Failure) -> String {
    let trouble = Trouble::of_pull(&failure.message).map_or("", Trouble::as_str);
    format!("{:?} {trouble}", failure.kind)
}

/// What the pods' pull secrets may have to do with it: the daemon has no right to look at a Secret, kubelet's words
/// seldom name one, and who reads them thinks of the registry first.
fn hint(failure: &Failure, desired: &DaemonSet) -> String {
    if failure.kind != FailureKind::Pull {
        return String::new();
    }
    let spec = desired
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let secrets = spec.and_then(|spec| spec.image_pull_secrets.as_deref());
    let secrets: Vec<&str> = secrets
        .iter()
        .copied()
        .flatten()
        .map(|it| it.name.as_str())
        .collect();
    let namespace = desired.metadata.namespace.as_deref().unwrap_or_default();
    let names = secrets.join(", ");
    match Trouble::of_pull(&failure.message) {
        Some(Trouble::Credentials) if secrets.is_empty() => {
            " (the pods have no pull secret: IMAGE_PULL_SECRETS)".to_owned()
        }
        Some(Trouble::Credentials) => format!(
            " (pull secrets of the pods: {names}; each must be in the namespace {namespace}, and one must be for this \
             registry)"
        ),
        Some(Trouble::Registry) if !secrets.is_empty() => format!(
            " (is the image on the node already? kubelet 1.35 or newer asks the registry again when a pull secret was \
             made anew with other content: {names} in the namespace {namespace})"
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Notice;

    /// Where the disk of a node of amd64 has this many bytes, and the list is 1000 bytes to pull.
    fn told(disk: u64) -> Option<String> {
        let (notices, mut told) = Notices::channel();
        let (metrics, _) = Metrics::new();
        let reporter = Reporter::new(metrics, notices);
        let mut known = Known::default();
        known.restore(
            r#"{"content": "list", "bytes": {"amd64": 1000, "arm64": 9000000}}"#,
            "list",
        );
        let status = Status {
            disks: BTreeMap::from([(Architecture::Amd64, (disk, "n1".to_owned()))]),
            ..Status::default()
        };
        let still = reporter.tell_disk_share(known.costs(&status), BTreeMap::new());
        let text = told.try_recv().ok().map(|notice| match notice {
            Notice::Tell { text, .. } => text,
            Notice::About(_) => String::new(),
        });
        assert_eq!(still.is_empty(), text.is_none());
        text
    }

    #[test]
    fn a_list_that_takes_more_than_a_quarter_of_a_disk_is_told_with_the_node() {
        // 4.5 times what is pulled.
        assert_eq!(told(18_000), None);
        let text = told(17_999).expect("it is told");
        assert!(
            text.contains("4.4Ki of the 17.6Ki of the disk of node n1"),
            "{text}"
        );
    }
}
