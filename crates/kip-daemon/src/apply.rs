//! Carries a plan out.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{
    Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::api_error::{ApiError, Category, bounded};
use crate::cluster::{Live, PodFacts};
use crate::config::startup::Identity;
use crate::desired::names::{MANAGER, PART_OF};
use crate::ownership;
use crate::plan::PodName;
use crate::pods::{Interner, LeanPod};

/// How often a write that met a conflict is tried again before the controller pauses.
const TRIES: usize = 5;

/// Writes to the cluster.
#[derive(Clone)]
pub struct Writer {
    daemonsets: Api<DaemonSet>,
    deployments: Api<Deployment>,
    pods: Api<Pod>,
    daemonset: String,
}

/// What became of an apply.
#[derive(Debug)]
pub enum Outcome {
    /// The object as it is now.
    Applied(Box<DaemonSet>),
    /// The object is being deleted: an apply now would be lost.
    Dying,
    /// The owner is gone, nothing was made.
    OwnerGone,
}

impl Writer {
    /// Writes as the identity says.
    pub fn new(client: &Client, identity: &Identity) -> Self {
        Self {
            daemonsets: Api::namespaced(client.clone(), &identity.namespace),
            deployments: Api::namespaced(client.clone(), &identity.own_namespace),
            pods: Api::namespaced(client.clone(), &identity.namespace),
            daemonset: identity.daemonset.clone(),
        }
    }

    /// Brings the `DaemonSet` to what is desired: takes foreign ownership of its spec over, then applies. One that is
    /// not there is made, unless the Deployment that owns it is gone: an uninstall would never end.
    ///
    /// # Errors
    /// The API server's.
    pub async fn apply(&self, desired: &DaemonSet) -> Result<Outcome, ApiError> {
        for _ in 0..TRIES {
            let live = bounded(self.daemonsets.get_opt(&self.daemonset)).await?;
            let taken = match &live {
                None if !self.is_owner_alive(desired).await? => return Ok(Outcome::OwnerGone),
                None => Ok(()),
                Some(live) if live.metadata.deletion_timestamp.is_some() => {
                    return Ok(Outcome::Dying);
                }
                Some(live) => self.take_over(live).await,
            };
            match taken {
                Err(error) if error.category() == Category::Conflict => continue,
                other => other?,
            }
            let applied = self.server_side_apply(desired).await?;
            // An object whose entries were wiped has them made anew while we apply, and keeps what was added to it.
            if !ownership::is_shared(applied.managed_fields()) {
                return Ok(Outcome::Applied(Box::new(applied)));
            }
        }
        Err(ApiError::Contended)
    }

    /// The references of the images that the part's `DaemonSet` has; `None` where there is none, or not of this main one.
    ///
    /// # Errors
    /// The API server's.
    pub async fn images(&self, main: &str) -> Result<Option<BTreeSet<String>>, ApiError> {
        let found = bounded(self.daemonsets.get_opt(&self.daemonset)).await?;
        let is_part = |it: &DaemonSet| {
            let of = it.annotations().get(PART_OF);
            of.is_some_and(|of| of == main) && it.metadata.deletion_timestamp.is_none()
        };
        let spec = found.filter(is_part).and_then(|it| it.spec);
        let pod = spec.and_then(|spec| spec.template.spec);
        Ok(pod.map(|pod| {
            let images = pod.containers.into_iter().filter_map(|it| it.image);
            images.collect()
        }))
    }

    async fn is_owner_alive(&self, desired: &DaemonSet) -> Result<bool, ApiError> {
        for owner in desired.owner_references() {
            let found = bounded(self.deployments.get_opt(&owner.name)).await?;
            let alive = found.is_some_and(|deployment| {
                deployment.uid().as_deref() == Some(owner.uid.as_str())
                    && deployment.metadata.deletion_timestamp.is_none()
            });
            if !alive {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn take_over(&self, live: &DaemonSet) -> Result<(), ApiError> {
        let Some(entries) = ownership::take_over(live.managed_fields()) else {
            return Ok(());
        };
        // The resourceVersion makes the write fail if anybody wrote since: their entry would be lost.
        let patch = json!({"metadata": {
            "managedFields": entries,
            "resourceVersion": live.resource_version(),
            "uid": live.uid(),
        }});
        self.merge(patch).await.map(drop)
    }

    async fn server_side_apply(&self, desired: &DaemonSet) -> Result<DaemonSet, ApiError> {
        let params = PatchParams::apply(MANAGER).force().validation_strict();
        let patch = Patch::Apply(desired);
        bounded(self.daemonsets.patch(&self.daemonset, &params, &patch)).await
    }

    /// Sets annotations of the `DaemonSet` if it is still as it was seen; else nothing is written. Tells which, and
    /// how it is now.
    ///
    /// # Errors
    /// The API server's.
    pub async fn annotate(
        &self,
        seen: &Live,
        annotations: &BTreeMap<&str, String>,
    ) -> Result<(bool, Live), ApiError> {
        let patch = json!({"metadata": {
            "annotations": annotations,
            "resourceVersion": seen.resource_version,
            "uid": seen.uid,
        }});
        match self.merge(patch).await {
            Ok(object) => Ok((true, Live::from(&object))),
            Err(error) if error.category() == Category::Conflict => {
                let object = bounded(self.daemonsets.get(&self.daemonset)).await?;
                Ok((false, Live::from(&object)))
            }
            Err(error) => Err(error),
        }
    }

    async fn merge(&self, patch: serde_json::Value) -> Result<DaemonSet, ApiError> {
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        bounded(self.daemonsets.patch(&self.daemonset, &params, &patch)).await
    }

    /// Makes a pod, if there is none of its name. Gives back the name and the facts of the one that there is now.
    ///
    /// # Errors
    /// The API server's.
    pub async fn create_pod(&self, pod: &Pod) -> Result<(String, PodFacts), ApiError> {
        let made = match self.post(pod, false).await {
            Err(ApiError::Request(kube::Error::Api(status))) if status.is_already_exists() => {
                let there = bounded(self.pods.get_opt(&pod.name_any())).await?;
                // It has gone meanwhile.
                there.ok_or(ApiError::Contended)?
            }
            made => made?,
        };
        Ok(LeanPod::from(made).into_facts(&mut Interner::default(), Timestamp::now()))
    }

    /// Asks whether a pod would be made; none is.
    ///
    /// # Errors
    /// Why not, in the API server's words.
    pub async fn try_pod(&self, pod: &Pod) -> Result<(), ApiError> {
        self.post(pod, true).await.map(drop)
    }

    async fn post(&self, pod: &Pod, dry_run: bool) -> Result<Pod, ApiError> {
        let params = PostParams {
            dry_run,
            field_manager: Some(MANAGER.to_owned()),
        };
        bounded(self.pods.create(&params, pod)).await
    }

    /// Whether a pod is still as it was seen, and not being deleted.
    ///
    /// # Errors
    /// The API server's; a pod that is gone or another by now is none.
    pub async fn is_as_seen(&self, pod: &PodName) -> Result<bool, ApiError> {
        let found = bounded(self.pods.get_metadata_opt(&pod.name)).await?;
        Ok(found.is_some_and(|found| {
            let meta = found.metadata;
            meta.uid.as_ref() == Some(&pod.uid)
                && meta.resource_version.as_ref() == Some(&pod.resource_version)
                && meta.deletion_timestamp.is_none()
        }))
    }

    /// Deletes a pod, if it is still as it was seen. Tells whether it was.
    ///
    /// # Errors
    /// The API server's; a pod that is gone, another or changed by now is none.
    pub async fn delete_pod(&self, pod: &PodName) -> Result<bool, ApiError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(pod.uid.clone()),
                resource_version: Some(pod.resource_version.clone()),
            }),
            ..DeleteParams::default()
        };
        deleted(bounded(self.pods.delete(&pod.name, &params)).await)
    }

    /// Deletes the `DaemonSet` of this uid and, in the background, its pods.
    ///
    /// # Errors
    /// The API server's; one that is gone or another by now is none.
    pub async fn delete_daemonset(&self, uid: &str) -> Result<(), ApiError> {
        let how = PropagationPolicy::Background;
        self.delete(uid, how).await.map(drop)
    }

    /// Deletes the `DaemonSet` of this uid, and leaves its pods. Tells whether it was there.
    ///
    /// # Errors
    /// As with [`Writer::delete_daemonset`].
    pub async fn orphan_pods(&self, uid: &str) -> Result<bool, ApiError> {
        self.delete(uid, PropagationPolicy::Orphan).await
    }

    async fn delete(&self, uid: &str, how: PropagationPolicy) -> Result<bool, ApiError> {
        let params = DeleteParams {
            propagation_policy: Some(how),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        deleted(bounded(self.daemonsets.delete(&self.daemonset, &params)).await)
    }
}

/// Whether it was deleted; `false` where the object that was meant is not there any more.
fn deleted<T>(result: Result<T, ApiError>) -> Result<bool, ApiError> {
    match result {
        Err(ApiError::Request(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {
            Ok(false)
        }
        result => result.map(|_| true),
    }
}
