//! The types of what has pods.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ReplicationController, Service};
use kube::core::ApiResource;

/// Types of what has pods, and of pods, where nothing is typed of the type.
pub(crate) const TYPES: &[&str] = &[
    "pod/",
    "deployment/",
    "daemonset/",
    "statefulset/",
    "replicaset/",
    "job/",
    "replicationcontroller/",
    "service/",
];

/// Type and name of `POD` or `TYPE/NAME`.
pub(crate) fn split(named: &str) -> (&str, &str) {
    named.split_once('/').unwrap_or(("pod", named))
}

/// The type of this name, of those in which a pod is looked for.
pub(crate) fn resource(kind: &str) -> Option<ApiResource> {
    Some(match kind.to_ascii_lowercase().as_str() {
        "po" | "pod" | "pods" => ApiResource::erase::<Pod>(&()),
        "deploy" | "deployment" | "deployments" | "deployments.apps" => {
            ApiResource::erase::<Deployment>(&())
        }
        "ds" | "daemonset" | "daemonsets" | "daemonsets.apps" => {
            ApiResource::erase::<DaemonSet>(&())
        }
        "sts" | "statefulset" | "statefulsets" | "statefulsets.apps" => {
            ApiResource::erase::<StatefulSet>(&())
        }
        "rs" | "replicaset" | "replicasets" | "replicasets.apps" => {
            ApiResource::erase::<ReplicaSet>(&())
        }
        "job" | "jobs" | "jobs.batch" => ApiResource::erase::<Job>(&()),
        "rc" | "replicationcontroller" | "replicationcontrollers" => {
            ApiResource::erase::<ReplicationController>(&())
        }
        "svc" | "service" | "services" => ApiResource::erase::<Service>(&()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_that_is_offered_is_known() {
        for it in TYPES {
            let known = resource(it.trim_end_matches('/')).unwrap();
            assert_eq!(format!("{}/", known.kind.to_lowercase()), *it);
        }
    }
}
