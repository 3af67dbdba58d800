//! What to do now. Pure: no clock, no I/O; the same facts give the same plan.

use k8s_openapi::api::apps::v1::DaemonSet;

use crate::cluster::{Cluster, DeploymentFacts, Live, PodFacts, Seen};
use crate::config::Config;
use crate::config::startup::Identity;
use crate::desired::names::CONTENT_HASH;
use crate::desired::{Surroundings, daemon_set};

/// The next step. After it was carried out the facts are new, and so is the plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Everything is as it should be.
    Nothing,
    /// Nothing can be done now; another fact will come.
    Wait(Why),
    /// The `DaemonSet` is not there: make it, if its owner is still alive.
    Create(Box<DaemonSet>),
    /// The `DaemonSet` is not as it should be, or may not be.
    Apply(Box<DaemonSet>),
    /// Pods that hold something else, and that nobody else replaces.
    Replace(Vec<PodName>),
}

/// A pod, and which of the pods that had its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodName {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// Why nothing can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// A watch or discovery has not answered yet.
    Unseen,
    /// The `DaemonSet` is being deleted; it is made again when it is gone.
    Dying,
    /// The daemon's own Deployment is not there, or going: this is an uninstall.
    OwnerGone,
    /// A `DaemonSet` of this name with another selector is there: it is somebody else's.
    ForeignSelector,
}

impl Why {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unseen => "the cluster has not been seen yet",
            Self::Dying => "the DaemonSet is being deleted, it is made again when it is gone",
            Self::OwnerGone => {
                "the daemon's own Deployment (DEPLOYMENT_NAME) is not there or is being deleted, so nothing is made"
            }
            Self::ForeignSelector => {
                "a DaemonSet of this name (DAEMONSET_NAME) exists with another selector; delete it or use another name"
            }
        }
    }
}

/// What was applied last, to tell somebody else's change from the echo of our own.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// What was sent.
    pub desired: DaemonSet,
    /// The object that came back.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
}

/// Decides on the next step.
pub fn plan(
    identity: &Identity,
    config: &Config,
    cluster: &Cluster,
    applied: Option<&Applied>,
) -> Plan {
    let surroundings = match surroundings(identity, config, cluster) {
        Ok(surroundings) => surroundings,
        Err(why) => return Plan::Wait(why),
    };
    let desired = Box::new(daemon_set(identity, config, &surroundings));
    let live = match &cluster.live {
        Seen::Unknown => return Plan::Wait(Why::Unseen),
        Seen::Absent => return Plan::Create(desired),
        Seen::Present(live) => live,
    };
    if live.terminating {
        return Plan::Wait(Why::Dying);
    }
    if !has_selector_of(live, &desired) {
        return Plan::Wait(Why::ForeignSelector);
    }
    match applied {
        Some(applied) if applied.desired == *desired && is_intact(live, applied) => {
            let outdated = outdated_pods(cluster, live, &desired);
            if outdated.is_empty() {
                Plan::Nothing
            } else {
                Plan::Replace(outdated)
            }
        }
        _ => Plan::Apply(desired),
    }
}

/// What the cluster contributes, once it is known.
fn surroundings(
    identity: &Identity,
    config: &Config,
    cluster: &Cluster,
) -> Result<Surroundings, Why> {
    let flavour = cluster.flavour.ok_or(Why::Unseen)?;
    let deployment = deployment(identity, cluster)?;
    let own_image = || deployment.and_then(|deployment| deployment.image.clone());
    Ok(Surroundings {
        flavour,
        sleep_image: config
            .sleep_image
            .clone()
            .or_else(own_image)
            .unwrap_or_else(|| crate::DEFAULT_IMAGE.to_owned()),
        owner: deployment
            .filter(|_| identity.is_owned())
            .map(|deployment| deployment.owner.clone()),
    })
}

/// The daemon's own Deployment where there must be one; `None` on a workstation.
fn deployment<'a>(
    identity: &Identity,
    cluster: &'a Cluster,
) -> Result<Option<&'a DeploymentFacts>, Why> {
    if identity.deployment.is_none() {
        return Ok(None);
    }
    match &cluster.deployment {
        Seen::Unknown => Err(Why::Unseen),
        Seen::Absent => Err(Why::OwnerGone),
        Seen::Present(deployment) if deployment.terminating => Err(Why::OwnerGone),
        Seen::Present(deployment) => Ok(Some(deployment)),
    }
}

fn has_selector_of(live: &Live, desired: &DaemonSet) -> bool {
    let wanted = desired
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.as_ref());
    wanted == Some(&live.selector)
}

/// Whether nobody has touched what is ours since we applied it. The generation tells of the spec; of the metadata
/// only our own keys count, others may come and go.
fn is_intact(live: &Live, applied: &Applied) -> bool {
    let meta = &applied.desired.metadata;
    let has = |have: &std::collections::BTreeMap<String, String>, want: &Option<_>| {
        let want: Option<&std::collections::BTreeMap<String, String>> = want.as_ref();
        want.is_none_or(|want| want.iter().all(|(key, value)| have.get(key) == Some(value)))
    };
    live.uid == applied.uid
        && live.generation <= applied.generation
        && has(&live.labels, &meta.labels)
        && has(&live.annotations, &meta.annotations)
        && meta
            .owner_references
            .iter()
            .flatten()
            .all(|owner| live.owners.contains(&owner.uid))
}

/// Pods that hold something else and that the controller takes for current. It compares a number that begins at 1
/// again in a new `DaemonSet`, so pods that were left by a deletion with `--cascade=orphan` pass for those
/// of the new template, whatever they hold.
fn outdated_pods(cluster: &Cluster, live: &Live, desired: &DaemonSet) -> Vec<PodName> {
    let wanted = desired
        .spec
        .as_ref()
        .and_then(|spec| spec.template.metadata.as_ref())
        .and_then(|meta| meta.annotations.as_ref())
        .and_then(|annotations| annotations.get(CONTENT_HASH));
    let is_outdated = |pod: &PodFacts| {
        !pod.terminating
            && pod.controller.as_deref() == Some(live.uid.as_str())
            && pod.content_hash.as_ref() != wanted
            && pod.template_generation.as_deref() == live.template_generation()
    };
    // Before the controller has seen the new template, its numbers say nothing.
    if live.observed_generation < live.generation || live.template_generation().is_none() {
        return Vec::new();
    }
    cluster
        .pods
        .iter()
        .filter(|(_, pod)| is_outdated(pod))
        .map(|(name, pod)| PodName {
            name: name.clone(),
            uid: pod.uid.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
