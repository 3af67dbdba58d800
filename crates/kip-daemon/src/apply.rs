//! Carries a plan out.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::api_error::{ApiError, Category, bounded};
use crate::config::startup::Identity;
use crate::desired::names::MANAGER;
use crate::ownership;
use crate::plan::PodName;

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

    /// Makes the `DaemonSet`, unless the Deployment that owns it is gone: an uninstall would never end.
    ///
    /// # Errors
    /// The API server's.
    pub async fn create(&self, desired: &DaemonSet) -> Result<Outcome, ApiError> {
        for owner in desired.owner_references() {
            let found = bounded(self.deployments.get_opt(&owner.name)).await?;
            let alive = found.is_some_and(|deployment| {
                deployment.uid().as_deref() == Some(owner.uid.as_str())
                    && deployment.metadata.deletion_timestamp.is_none()
            });
            if !alive {
                return Ok(Outcome::OwnerGone);
            }
        }
        self.server_side_apply(desired).await
    }

    /// Brings the `DaemonSet` to what is desired: takes foreign ownership of its spec over, then applies.
    ///
    /// # Errors
    /// The API server's.
    pub async fn apply(&self, desired: &DaemonSet) -> Result<Outcome, ApiError> {
        for _ in 0..TRIES {
            let Some(live) = bounded(self.daemonsets.get_opt(&self.daemonset)).await? else {
                return self.create(desired).await;
            };
            if live.metadata.deletion_timestamp.is_some() {
                return Ok(Outcome::Dying);
            }
            match self.take_over(&live).await {
                Err(error) if error.category() == Category::Conflict => {}
                Err(error) => return Err(error),
                Ok(()) => return self.server_side_apply(desired).await,
            }
        }
        Err(ApiError::Contended)
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
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        bounded(
            self.daemonsets
                .patch(&self.daemonset, &params, &Patch::Merge(patch)),
        )
        .await?;
        Ok(())
    }

    async fn server_side_apply(&self, desired: &DaemonSet) -> Result<Outcome, ApiError> {
        let params = PatchParams::apply(MANAGER).force().validation_strict();
        let patch = Patch::Apply(desired);
        let applied = bounded(self.daemonsets.patch(&self.daemonset, &params, &patch)).await?;
        Ok(Outcome::Applied(Box::new(applied)))
    }

    /// Deletes a pod, if it is still the one that was meant.
    ///
    /// # Errors
    /// The API server's; a pod that is gone or another by now is none.
    pub async fn delete_pod(&self, pod: &PodName) -> Result<(), ApiError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(pod.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match bounded(self.pods.delete(&pod.name, &params)).await {
            Err(ApiError::Request(kube::Error::Api(status)))
                if matches!(status.code, 404 | 409) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Deletes the `DaemonSet` and, in the background, its pods.
    ///
    /// # Errors
    /// The API server's; one that is already gone is none.
    pub async fn delete_daemonset(&self) -> Result<(), ApiError> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match bounded(self.daemonsets.delete(&self.daemonset, &params)).await {
            Err(ApiError::Request(kube::Error::Api(status))) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }
}
