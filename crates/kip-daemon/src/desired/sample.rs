//! A pod as the `DaemonSet`'s controller would make it: to ask the API server what it says of one, not to be made.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::owner_reference;

/// The next pod of this object.
pub fn sample(desired: &DaemonSet, uid: &str) -> Pod {
    let template = desired.spec.as_ref().map(|spec| spec.template.clone());
    let template = template.unwrap_or_default();
    let daemonset = desired.metadata.name.clone().unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{daemonset}-")),
            namespace: desired.metadata.namespace.clone(),
            owner_references: Some(vec![OwnerReference {
                controller: Some(true),
                ..owner_reference("DaemonSet", &daemonset, uid)
            }]),
            ..meta
        },
        spec: template.spec,
        status: None,
    }
}
