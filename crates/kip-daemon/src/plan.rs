//! What to do now. Pure: no clock, no I/O; the same facts give the same plan.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::jiff::Timestamp;

use crate::cluster::{Cluster, DeploymentFacts, Live, Seen};
use crate::config::Config;
use crate::config::startup::Identity;
use crate::desired::{Surroundings, content_hash_of, daemon_set};
use crate::rollout::{Facts, Next, next};

/// The next step. After it was carried out the facts are new, and so is the plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Nothing can be done now; another fact will come.
    Wait(Why),
    /// The `DaemonSet` of this uid is the Go image puller's: it is deleted, and its pods are left.
    Adopt(String),
    /// The `DaemonSet` is not there, is not as it should be, or may not be.
    Apply(Box<DaemonSet>),
    /// The `DaemonSet` is as it should be: its pods are brought to it, as far as they are not.
    Roll(Box<Next>),
}

/// A pod as it was seen: which of those that had its name, and in which state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodName {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its state: another one may hold something that it did not when it was seen.
    pub resource_version: String,
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
    /// Its generation: it tells of the spec.
    pub generation: i64,
    /// What came back of our metadata. It may be less than what was sent, where a policy changes it: to apply it again
    /// would not help then.
    metadata: OurMetadata,
}

/// Our keys of an object's metadata with the values that it has; others may come and go.
#[derive(Debug, Clone, PartialEq)]
struct OurMetadata {
    labels: BTreeMap<String, Option<String>>,
    annotations: BTreeMap<String, Option<String>>,
    has_owners: bool,
}

impl OurMetadata {
    fn of(live: &Live, desired: &DaemonSet) -> Self {
        let meta = &desired.metadata;
        let ours = |want: &Option<BTreeMap<String, String>>, have: &BTreeMap<String, String>| {
            let keys = want.iter().flat_map(BTreeMap::keys);
            keys.map(|key| (key.clone(), have.get(key).cloned()))
                .collect()
        };
        let mut owners = meta.owner_references.iter().flatten();
        Self {
            labels: ours(&meta.labels, &live.labels),
            annotations: ours(&meta.annotations, &live.annotations),
            has_owners: owners.all(|owner| live.owners.contains(&owner.uid)),
        }
    }
}

impl Applied {
    /// What was sent, and what came back.
    pub fn new(desired: DaemonSet, live: &Live) -> Self {
        Self {
            uid: live.uid.clone(),
            generation: live.generation,
            metadata: OurMetadata::of(live, &desired),
            desired,
        }
    }

    /// What of our metadata did not come back as it was sent.
    pub fn not_kept(&self) -> Vec<&str> {
        let meta = &self.desired.metadata;
        let mut lost = Vec::new();
        for (want, have) in [
            (&meta.labels, &self.metadata.labels),
            (&meta.annotations, &self.metadata.annotations),
        ] {
            let changed = want
                .iter()
                .flatten()
                .filter(|(key, value)| have.get(*key) != Some(&Some((*value).clone())));
            lost.extend(changed.map(|(key, _)| key.as_str()));
        }
        if !self.metadata.has_owners {
            lost.push("ownerReferences");
        }
        lost
    }

    /// Whether nobody has touched what is ours since.
    fn is_intact(&self, live: &Live) -> bool {
        live.uid == self.uid
            && live.generation <= self.generation
            && OurMetadata::of(live, &self.desired) == self.metadata
    }
}

/// Decides on the next step.
pub fn plan(
    identity: &Identity,
    config: &Config,
    cluster: &Cluster,
    applied: Option<&Applied>,
    now: Timestamp,
) -> Plan {
    let surroundings = match surroundings(identity, config, cluster) {
        Ok(surroundings) => surroundings,
        Err(why) => return Plan::Wait(why),
    };
    let desired = Box::new(daemon_set(identity, config, &surroundings));
    let live = match &cluster.live {
        Seen::Unknown => return Plan::Wait(Why::Unseen),
        Seen::Absent => return Plan::Apply(desired),
        Seen::Present(live) => live,
    };
    if live.terminating {
        return Plan::Wait(Why::Dying);
    }
    if live.is_of_original {
        return Plan::Adopt(live.uid.clone());
    }
    if !has_selector_of(live, &desired) {
        return Plan::Wait(Why::ForeignSelector);
    }
    let is_in_force =
        applied.is_some_and(|applied| applied.desired == *desired && applied.is_intact(live));
    let Some(content) = content_hash_of(&desired).filter(|_| is_in_force) else {
        return Plan::Apply(desired);
    };
    if !cluster.pods_listed {
        return Plan::Wait(Why::Unseen);
    }
    Plan::Roll(Box::new(next(&Facts {
        config,
        content,
        live,
        answers: cluster.answers.as_ref(),
        pods: &cluster.pods,
        refused_nodes: &cluster.refused_nodes,
        placement: &cluster.placement,
        now,
    })))
}

/// What the cluster contributes, once it is known.
fn surroundings(
    identity: &Identity,
    config: &Config,
    cluster: &Cluster,
) -> Result<Surroundings, Why> {
    let flavour = cluster.flavour.ok_or(Why::Unseen)?;
    let deployment = deployment(identity, cluster)?;
    let (sleep_image, sleep_pull_secrets) = match (&config.sleep_image, deployment) {
        (Some(image), _) => (image.clone(), Vec::new()),
        (
            None,
            Some(DeploymentFacts {
                image: Some(image),
                pull_secrets,
                ..
            }),
        ) => (image.clone(), pull_secrets.clone()),
        (None, _) => (crate::DEFAULT_IMAGE.to_owned(), Vec::new()),
    };
    Ok(Surroundings {
        flavour,
        sleep_image,
        sleep_pull_secrets,
        owner: deployment
            .filter(|_| identity.is_owned())
            .map(|deployment| deployment.owner.clone()),
        placement: cluster.placement.clone(),
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

#[cfg(test)]
mod tests;
