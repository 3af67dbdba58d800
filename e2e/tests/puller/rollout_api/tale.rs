//! What the history of the pods tells.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::lab::Change;
use kube::ResourceExt as _;
use serde_json::Value;

/// What has happened since some moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tale {
    /// How many fetchers each node has had.
    pub(super) fetched: BTreeMap<String, usize>,
    /// How often each node's pod was replaced.
    pub(super) replaced: BTreeMap<String, usize>,
    /// The most nodes at once whose fetchers were not through.
    pub(super) most: usize,
    /// As before, until the first of them was through.
    pub(super) most_before_first: usize,
}

impl Tale {
    /// Reads it from the changes; those before `mark` tell how it was before.
    pub(super) fn of(changes: &[Change<Pod>], mark: usize, except: &[&str]) -> Self {
        let mut tale = Self::default();
        let mut pods: BTreeMap<String, &Pod> = BTreeMap::new();
        let mut known = BTreeSet::new();
        let mut is_first_through = false;
        for (index, change) in changes.iter().enumerate() {
            let (Change::Now(pod) | Change::Gone(pod)) = change;
            let uid = pod.uid().unwrap_or_default();
            match change {
                Change::Now(pod) => drop(pods.insert(uid.clone(), pod)),
                Change::Gone(_) => drop(pods.remove(&uid)),
            }
            let is_new = known.insert(uid);
            if index < mark {
                continue;
            }
            if is_new {
                let counts = if is_fetcher(pod) {
                    &mut tale.fetched
                } else {
                    &mut tale.replaced
                };
                *counts.entry(meant_for(pod)).or_default() += 1;
            }
            let (busy, through) = waves(&pods, except);
            tale.most = tale.most.max(busy);
            is_first_through |= through > 0;
            if !is_first_through {
                tale.most_before_first = tale.most_before_first.max(busy);
            }
        }
        tale
    }

    /// Whether each of so many nodes had one fetcher and one new pod, in waves, after the first one alone.
    pub(super) fn assert_each_once(&self, nodes: usize, wave: usize) {
        assert_eq!(self.fetched.len(), nodes, "{self:#?}");
        assert_eq!(self.replaced.len(), nodes, "{self:#?}");
        let counts = self.fetched.values().chain(self.replaced.values());
        assert!(counts.into_iter().all(|count| *count == 1), "{self:#?}");
        assert_eq!((self.most_before_first, self.most), (1, wave), "{self:#?}");
    }

    /// How many fetchers there were, and how many new pods.
    pub(super) fn totals(&self) -> (usize, usize) {
        (self.fetched.values().sum(), self.replaced.values().sum())
    }
}

/// Nodes whose fetchers are not through, and those whose are.
fn waves(pods: &BTreeMap<String, &Pod>, except: &[&str]) -> (usize, usize) {
    let live = || pods.values().filter(|pod| is_live(pod));
    let holders: BTreeMap<String, &Pod> = live()
        .filter(|pod| !is_fetcher(pod))
        .map(|pod| (meant_for(pod), *pod))
        .collect();
    let mut busy = 0;
    let mut through = 0;
    for fetcher in live().filter(|pod| is_fetcher(pod)) {
        let node = meant_for(fetcher);
        if except.contains(&node.as_str()) {
            continue;
        }
        let runs = running(fetcher);
        let held = holders.get(&node).map(|holder| running(holder));
        // What cannot be had counts as well: no node is stopped by it for ever.
        let is_settled = statuses(fetcher).count() > 0 && statuses(fetcher).all(|status| status.1);
        let is_through = is_settled
            && held
                .is_some_and(|held| runs.iter().all(|(name, runs)| held.get(name) == Some(runs)));
        if is_through {
            through += 1;
        } else {
            busy += 1;
        }
    }
    (busy, through)
}

fn is_live(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && phase != Some("Failed")
}

pub(super) fn is_fetcher(pod: &Pod) -> bool {
    pod.labels()
        .get("app.kubernetes.io/component")
        .is_some_and(|duty| duty == "fetcher")
}

/// The node of a pod, also before it is placed there.
pub(super) fn meant_for(pod: &Pod) -> String {
    let spec = pod.spec.as_ref();
    let terms = spec.and_then(|spec| {
        let node = spec.affinity.as_ref()?.node_affinity.as_ref()?;
        node.required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    let fields = terms.and_then(|terms| terms.node_selector_terms.first()?.match_fields.as_ref());
    let named = fields.and_then(|fields| fields.first()?.values.as_ref()?.first().cloned());
    named.unwrap_or_default()
}

/// Images that the pod's containers run, and what they stand for there.
pub(super) fn running(pod: &Pod) -> BTreeMap<String, (String, String)> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .filter(|status| status.state.as_ref().is_some_and(|s| s.running.is_some()))
        .map(|status| {
            let content = (status.image.clone(), status.image_id.clone());
            (status.name.clone(), content)
        })
        .collect()
}

/// Each container's name, and whether kubelet has decided on it.
fn statuses(pod: &Pod) -> impl Iterator<Item = (&str, bool)> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| {
        let waiting = status.state.as_ref().and_then(|s| s.waiting.as_ref());
        let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
        (status.name.as_str(), reason != Some("PodInitializing"))
    })
}

/// Whether it is a fetcher that kubelet has taken up, and has no answer for.
pub(super) fn is_asking(pod: &Pod) -> bool {
    is_fetcher(pod) && is_live(pod) && statuses(pod).any(|(_, is_decided)| !is_decided)
}

/// Whether each node has one pod of the template in force that holds all of it, and nothing else is there.
pub(super) fn is_quiet(set: &DaemonSet, pods: &BTreeMap<String, Pod>, nodes: usize) -> Result<()> {
    const HASH: &str = "kubernetes-image-puller/content-hash";
    let template = set.spec.as_ref().map(|spec| &spec.template);
    let template = template.context("no template")?;
    let wanted = template
        .metadata
        .as_ref()
        .and_then(|m| m.annotations.as_ref());
    let wanted = wanted.and_then(|a| a.get(HASH));
    let count = template
        .spec
        .as_ref()
        .map_or(0, |spec| spec.containers.len());
    ensure!(pods.len() == nodes, "{} pods", pods.len());
    let mut on = BTreeSet::new();
    for (name, pod) in pods {
        ensure!(
            !is_fetcher(pod) && is_live(pod),
            "{name} is a fetcher, or going"
        );
        ensure!(pod.annotations().get(HASH) == wanted, "{name} is outdated");
        ensure!(running(pod).len() == count, "{name} does not hold all");
        ensure!(on.insert(meant_for(pod)), "two pods on a node");
    }
    Ok(())
}

/// The rounds as they were written down, each in all its states.
pub(super) fn rounds(changes: &[Change<DaemonSet>]) -> Vec<Value> {
    let text = |change: &Change<DaemonSet>| {
        let (Change::Now(set) | Change::Gone(set)) = change;
        let text = set.annotations().get("kubernetes-image-puller/round")?;
        serde_json::from_str(text).ok()
    };
    changes.iter().filter_map(text).collect()
}
