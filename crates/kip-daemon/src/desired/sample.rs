//! A pod as the `DaemonSet`'s controller would make it: to ask the API server what it says of one, not to be made.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

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
                api_version: "apps/v1".to_owned(),
                kind: "DaemonSet".to_owned(),
                name: daemonset,
                uid: uid.to_owned(),
                controller: Some(true),
                // It would need a right on the object's finalizers.
                block_owner_deletion: None,
            }]),
            ..meta
        },
        spec: template.spec,
        status: None,
    }
}
