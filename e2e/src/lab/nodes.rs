//! Nodes without machines: Node objects that the scheduler and the controllers take for nodes, kept alive by their
//! Leases. What runs on them says [`Kubelet`](super::kubelet::Kubelet).

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use futures::future::try_join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::space::Space;
use super::wait::eventually;

/// Label and taint of these nodes; the value is the namespace of the test that made them.
pub(super) const FAKE: &str = "kubernetes-image-puller.example/fake-node";
/// Kubelet's interval; after 40 s and more without it a node counts as lost.
const RENEWAL: Duration = Duration::from_secs(10);
const LEASES: &str = "kube-node-lease";

/// Nodes that only the API knows.
pub struct FakeNodes {
    client: Client,
    owner: String,
    names: Vec<String>,
    /// In the order of the names.
    architectures: Vec<&'static str>,
    renewing: JoinHandle<()>,
}

/// Runs a test with nodes of its own, and removes them in the end, with what is left of their pods; also when the
/// test fails.
///
/// # Panics
/// When the test does, or when the nodes cannot be made.
pub async fn within(space: &Space, count: usize, body: impl AsyncFnOnce(&FakeNodes)) {
    within_mixed(space, vec!["amd64"; count], body).await;
}

/// The same with a node of each of these architectures.
///
/// # Panics
/// When the test does, or when the nodes cannot be made.
pub async fn within_mixed(
    space: &Space,
    architectures: Vec<&'static str>,
    body: impl AsyncFnOnce(&FakeNodes),
) {
    let client = space.cluster.client.clone();
    let names = (0..architectures.len())
        .map(|number| format!("{}-{number:02}", space.name))
        .collect();
    let nodes = FakeNodes {
        renewing: tokio::spawn(renew(client.clone(), space.name.clone())),
        client,
        owner: space.name.clone(),
        names,
        architectures,
    };
    let made = nodes.make().await;
    let result = AssertUnwindSafe(async {
        made.expect("the nodes can be made");
        nodes.untainted().await;
        body(&nodes).await;
    })
    .catch_unwind()
    .await;
    if result.is_err() {
        // With the nodes the pods go.
        space.explain_pods().await;
    }
    if let Err(error) = nodes.end(space).await {
        eprintln!("nodes {FAKE}={} stay: {error:#}", nodes.owner);
    }
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

impl FakeNodes {
    /// Their names, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Names and architectures.
    pub fn architectures(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let architectures = self.architectures.iter().copied();
        self.names.iter().map(String::as_str).zip(architectures)
    }

    /// The setting `NODE_SELECTOR` that names them and no others.
    pub fn selector(&self) -> String {
        json!({FAKE: self.owner}).to_string()
    }

    /// The setting `TOLERATIONS` without which nothing is placed on them.
    pub fn tolerations() -> String {
        json!([{"key": FAKE, "operator": "Exists"}]).to_string()
    }

    /// As `kubectl cordon` and `kubectl uncordon` do.
    ///
    /// # Errors
    /// The API server's.
    pub async fn cordon(&self, node: &str, is_cordoned: bool) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"unschedulable": is_cordoned}}));
        self.api::<Node>()
            .patch(node, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// The node leaves the cluster, and nobody ends its pods.
    ///
    /// # Errors
    /// The API server's.
    pub async fn vanish(&self, node: &str) -> Result<()> {
        self.api::<Node>()
            .delete(node, &DeleteParams::default())
            .await?;
        Ok(())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    async fn make(&self) -> Result<()> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), LEASES);
        try_join_all(self.architectures().map(async |(name, architecture)| {
            create(&self.api::<Node>(), node(name, &self.owner, architecture)).await?;
            create(&leases, lease(name, &self.owner)).await
        }))
        .await?;
        Ok(())
    }

    /// The API server taints each new node until the controller has seen that it is ready.
    async fn untainted(&self) {
        eventually("the nodes are without foreign taints", async || {
            for name in &self.names {
                let node = self.api::<Node>().get(name).await?;
                let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
                ensure!(taints.iter().all(|t| t.key == FAKE), "{name}: {taints:?}");
            }
            Ok(())
        })
        .await;
    }

    async fn end(&self, space: &Space) -> Result<()> {
        remove(&self.client, &format!("{FAKE}={}", self.owner)).await?;
        let at_once = DeleteParams::default().grace_period(0);
        let all = ListParams::default();
        space.api::<Pod>().delete_collection(&at_once, &all).await?;
        Ok(())
    }
}

impl Drop for FakeNodes {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

fn node(name: &str, owner: &str, architecture: &str) -> Value {
    let now = Timestamp::now().to_string();
    let resources =
        json!({"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "Fake", "message": "",
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            FAKE: owner, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
        }},
        "spec": {"taints": [{"key": FAKE, "value": owner, "effect": "NoSchedule"}]},
        "status": {"capacity": resources, "allocatable": resources, "conditions": [
            condition("Ready", "True"),
            condition("MemoryPressure", "False"),
            condition("DiskPressure", "False"),
            condition("PIDPressure", "False"),
        ]},
    })
}

fn lease(name: &str, owner: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASES, "labels": {FAKE: owner}},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micro_now()},
    })
}

/// The time as a `MicroTime` is written.
fn micro_now() -> String {
    format!("{:.6}", Timestamp::now())
}

/// Renews the Leases for ever; one that fails has three more tries before its node counts as lost.
async fn renew(client: Client, owner: String) {
    let leases = Api::<Lease>::namespaced(client, LEASES);
    let ours = ListParams::default().labels(&format!("{FAKE}={owner}"));
    loop {
        tokio::time::sleep(RENEWAL).await;
        for lease in leases.list_metadata(&ours).await.into_iter().flatten() {
            let patch = Patch::Merge(json!({"spec": {"renewTime": micro_now()}}));
            let name = lease.metadata.name.unwrap_or_default();
            if let Err(error) = leases.patch(&name, &PatchParams::default(), &patch).await {
                eprintln!("Lease of {name}: {error}");
            }
        }
    }
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(())
}

async fn remove(client: &Client, selector: &str) -> Result<()> {
    let ours = ListParams::default().labels(selector);
    let params = DeleteParams::default();
    Api::<Node>::all(client.clone())
        .delete_collection(&params, &ours)
        .await?;
    Api::<Lease>::namespaced(client.clone(), LEASES)
        .delete_collection(&params, &ours)
        .await?;
    Ok(())
}
