//! What the Go image puller leaves in a cluster: its chart and templates, as written down from their documentation in
//! `e2e/fixtures/original`, and the `DaemonSet` that its program makes. The program itself is not here: a sleeper stands
//! in its place.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::release::NAME;
use super::space::{Space, is_ready};
use super::wait::eventually;

/// Repository of our own image, which stands for the original's.
pub const REPOSITORY: &str = "kubernetes-image-puller";
/// Its tag.
pub const TAG: &str = env!("CARGO_PKG_VERSION");

/// The labels that every version gives to its pods.
const LABEL: &str = "test=daemonset-test";

/// Its version: they differ in the selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Only the label `test`.
    Older,
    /// The label `app.kubernetes.io/name` as well.
    Newer,
}

/// A file of the fixtures.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/original")
        .join(name)
}

/// Its pods are refused where Pod Security is `restricted`: they set no user.
///
/// # Errors
/// The API server's.
pub async fn admit(space: &Space) -> Result<()> {
    let labels =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    Api::<Namespace>::all(space.cluster.client.clone())
        .patch(&space.name, &PatchParams::default(), &Patch::Merge(labels))
        .await?;
    Ok(())
}

/// Makes its `DaemonSet`, as its program does, and waits until it is ready on every node.
///
/// # Errors
/// The API server's.
///
/// # Panics
/// When it is not ready in time.
pub async fn make_daemonset(
    space: &Space,
    version: Version,
    entries: &[(String, String)],
) -> Result<DaemonSet> {
    let deployment = space.api::<Deployment>().get(NAME).await?;
    let daemonset = serde_json::from_value(daemonset(&deployment, version, entries))?;
    let api = space.api::<DaemonSet>();
    api.create(&PostParams::default(), &daemonset).await?;
    let made = eventually("the original's pods run", async || {
        let pods = pods(space).await?;
        let nodes = space.cluster.nodes().await?.len();
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        ensure!(ready == nodes, "{ready} of {nodes}");
        anyhow::Ok(api.get(NAME).await?)
    });
    Ok(made.await)
}

fn daemonset(deployment: &Deployment, version: Version, entries: &[(String, String)]) -> Value {
    let mut labels = json!({"test": "daemonset-test"});
    if version == Version::Newer {
        labels["app.kubernetes.io/name"] = json!("image-puller");
    }
    let resources = json!({"requests": {"cpu": ".05", "memory": "10Mi"}, "limits": {"cpu": ".2", "memory": "20Mi"}});
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true, "seccompProfile": {"type": "RuntimeDefault"}});
    let mounts = json!([{"name": "kip", "mountPath": "/kip"}]);
    let container = |(name, image): &(String, String)| {
        json!({"name": name, "image": image, "command": ["/kip/sleep"], "args": ["720h"],
            "imagePullPolicy": "Always", "resources": resources, "securityContext": security,
            "volumeMounts": mounts})
    };
    let containers: Vec<Value> = entries.iter().map(container).collect();
    json!({
        "metadata": {"name": NAME, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME, "uid": deployment.uid()}]},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"name": "test-po", "labels": labels},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "volumes": [{"name": "kip", "emptyDir": {"sizeLimit": "50Mi"}}],
                // The original's has a shell that copies a file.
                "initContainers": [{"name": "copy-sleep", "image": format!("{REPOSITORY}:{TAG}"),
                    "command": ["/kip-sleep", "install", "/kip/sleep"], "imagePullPolicy": "Always",
                    "resources": resources, "securityContext": security, "volumeMounts": mounts}],
                "containers": containers,
            }}},
    })
}

/// Its pods, also those that are being deleted.
///
/// # Errors
/// The API server's.
pub async fn pods(space: &Space) -> Result<Vec<Pod>> {
    let params = ListParams::default().labels(LABEL);
    Ok(space.api::<Pod>().list(&params).await?.items)
}

/// Waits until none of its pods is left.
///
/// # Panics
/// When the deadline is over.
pub async fn no_pod_is_left(space: &Space) {
    eventually("no pod of the original is left", async || {
        let left = pods(space).await?;
        let names: Vec<String> = left.iter().map(kube::ResourceExt::name_any).collect();
        ensure!(names.is_empty(), "{names:?}");
        anyhow::Ok(())
    })
    .await;
}

/// Deletes its `DaemonSet` as its program does when it is asked to end: in the foreground.
///
/// # Errors
/// The API server's.
pub async fn delete_daemonset(space: &Space) -> Result<()> {
    let api = space.api::<DaemonSet>();
    api.delete(NAME, &DeleteParams::foreground()).await?;
    Ok(())
}
