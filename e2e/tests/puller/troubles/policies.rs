//! Admission policies of the cluster, for as long as a test needs them.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::lab::Space;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use super::from;

fn api(space: &Space, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    Api::all_with(space.cluster.client.clone(), &ApiResource::from_gvk(&kind))
}

/// Makes a policy and its binding, both of this name, and removes them when the body has ended, also by a panic.
pub(super) async fn within(
    space: &Space,
    name: &str,
    objects: [(&str, Value); 2],
    body: impl AsyncFnOnce(),
) {
    let kinds = objects.each_ref().map(|(kind, _)| *kind);
    for (kind, object) in objects {
        api(space, kind)
            .create(&PostParams::default(), &from(object))
            .await
            .expect("Kubernetes 1.36 or newer is needed");
    }
    let result = AssertUnwindSafe(body()).catch_unwind().await;
    for kind in kinds.into_iter().rev() {
        let gone = DeleteParams::default();
        api(space, kind).delete(name, &gone).await.unwrap();
    }
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// What the API server makes of a pod with these annotations that meets the namespace's level; none is made.
pub(super) async fn probe(space: &Space, annotations: Value) -> kube::Result<Pod> {
    let security = json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"}, "capabilities": {"drop": ["ALL"]}});
    let pod: Pod = from(
        json!({"metadata": {"name": "probe", "annotations": annotations}, "spec": {"containers": [
        {"name": "a", "image": "registry.invalid/a:1", "securityContext": security}]}}),
    );
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    space.api::<Pod>().create(&dry_run, &pod).await
}
