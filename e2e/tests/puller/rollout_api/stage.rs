//! What each scenario begins with: nodes without machines, their kubelet, the daemon's settings, and what is watched.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Daemon, FakeNodes, History, Kubelet, Pull, Space, eventually, nodes, space};
use kube::Resource;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::tale::{self, Tale};
use crate::setup;

/// As many as there are, for the tests.
pub(super) const NODES: usize = 20;
/// Nodes at once, by the daemon's settings.
pub(super) const WAVE: usize = 3;

/// Everything that a scenario needs.
pub(super) struct Stage<'a> {
    pub(super) space: &'a Space,
    pub(super) nodes: &'a FakeNodes,
    pub(super) kubelet: Kubelet,
    pub(super) pods: History<Pod>,
    pub(super) daemonsets: History<DaemonSet>,
}

/// Runs a scenario on twenty nodes of its own, with the images a, b and c on each.
pub(super) async fn play(name: &str, deadline: &str, scenario: impl AsyncFnOnce(&Stage<'_>)) {
    space::within(name, async |space| {
        nodes::within(space, NODES, async |nodes| {
            let stage = Stage {
                space,
                nodes,
                kubelet: Kubelet::start(space, nodes),
                pods: History::start(space.api())
                    .await
                    .expect("pods can be watched"),
                daemonsets: History::start(space.api())
                    .await
                    .expect("DaemonSets can be watched"),
            };
            let images = ["a:1", "b:1", "c:1", "a:2", "b:2", "d:1"];
            for (image, content) in images.into_iter().zip(1..) {
                stage
                    .kubelet
                    .registry(&reference(image), Pull::Content(content));
            }
            stage.create::<Deployment>(deployment()).await;
            stage.create::<ConfigMap>(config_map(nodes, deadline)).await;
            scenario(&stage).await;
        })
        .await;
    })
    .await;
}

/// The image in the tests' registry, which nobody asks: kubelet knows what it would answer.
pub(super) fn reference(image: &str) -> String {
    format!("registry.invalid/{image}")
}

/// The setting `IMAGES`: each is named by what it is called without its tag.
pub(super) fn list(images: &[&str]) -> Value {
    let entry = |image: &&str| {
        let name = image.split(':').next().unwrap_or_default();
        format!("{name}={}", reference(image))
    };
    Value::String(images.iter().map(entry).collect::<Vec<_>>().join(";"))
}

fn config_map(nodes: &FakeNodes, deadline: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "k8s-image-puller"},
        "data": {
            "IMAGES": list(&["a:1", "b:1", "c:1"]),
            "NODE_SELECTOR": nodes.selector(),
            "TOLERATIONS": FakeNodes::tolerations(),
            "MAX_NODES_AT_ONCE": WAVE.to_string(),
            "SETTLE_DEADLINE": deadline,
            "CACHING_INTERVAL_HOURS": "0",
            "REFRESH": "always",
            "KIP_IMAGE": reference("kip:1"),
        },
    })
}

/// What the daemon's Events are about, and who its pods belong to. It has no pods of its own.
fn deployment() -> Value {
    let labels = json!({"app": NAME});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": NAME, "image": reference("kip:1")}]},
        }},
    })
}

impl Stage<'_> {
    async fn create<K>(&self, object: Value)
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object).expect("it is such an object");
        let api: Api<K> = self.space.api();
        api.create(&PostParams::default(), &object)
            .await
            .expect("it can be made");
    }

    /// Starts the daemon.
    pub(super) fn daemon(&self) -> Daemon {
        self.daemon_with(&[])
    }

    /// Starts the daemon with more in its environment.
    pub(super) fn daemon_with(&self, more: &[(&str, &str)]) -> Daemon {
        let own = [
            ("POD_NAMESPACE", self.space.name.as_str()),
            ("CONFIG_MAP_NAME", "k8s-image-puller"),
            ("DEPLOYMENT_NAME", NAME),
        ];
        setup::lone_daemon(self.space, &[&own, more].concat())
    }

    /// Starts the daemon, and waits until each node holds the first list.
    pub(super) async fn installed(&self) -> Daemon {
        let daemon = self.daemon();
        self.quiet(NODES).await;
        daemon
    }

    /// The name of the node of this number.
    pub(super) fn node(&self, number: usize) -> &str {
        &self.nodes.names()[number]
    }

    /// Changes the daemon's settings.
    pub(super) async fn edit(&self, data: Value) {
        self.space
            .edit_config(data)
            .await
            .expect("the ConfigMap can be edited");
    }

    /// Changes the `DaemonSet` as people do.
    pub(super) async fn patch(&self, patch: Value) {
        let api = self.space.api::<DaemonSet>();
        let patch = Patch::Merge(patch);
        api.patch(NAME, &PatchParams::default(), &patch)
            .await
            .expect("the DaemonSet can be edited");
    }

    /// Asks for a refresh.
    pub(super) async fn refresh(&self, request: &str) {
        let annotations = json!({"kubernetes-image-puller/refresh": request});
        self.patch(json!({"metadata": {"annotations": annotations}}))
            .await;
    }

    /// Waits for the end of the round of this number: as it was written down then, before anything else was.
    pub(super) async fn ended(&self, number: u64) -> Value {
        eventually(&format!("round {number} ends"), async || {
            let rounds = self.daemonsets.read(tale::rounds);
            rounds
                .iter()
                .find(|round| round["number"] == number && round["ended"].is_string())
                .cloned()
                .ok_or(format!("last: {:?}", rounds.last()))
        })
        .await
    }

    /// Waits until so many nodes have one pod each, of the list in force, and nothing else is there.
    pub(super) async fn quiet(&self, nodes: usize) {
        eventually("every node holds the list in force", async || {
            let set = self.space.daemonset().await?;
            self.pods.caught_up().await;
            tale::is_quiet(&set, &self.pods.now(), nodes)
        })
        .await;
    }

    /// From here on, for [`Stage::since`].
    pub(super) async fn mark(&self) -> usize {
        self.pods.caught_up().await;
        self.pods.len()
    }

    /// What has happened since, but for the waves at these nodes.
    pub(super) async fn since(&self, mark: usize, except: &[&str]) -> Tale {
        self.pods.caught_up().await;
        self.pods.read(|changes| Tale::of(changes, mark, except))
    }
}

/// Waits until the daemon's metric has this value.
pub(super) async fn metric_is(daemon: &Daemon, name: &str, value: u64) {
    eventually(&format!("{name} {value}"), async || {
        let found = metric(daemon, name);
        if found == Some(value) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

/// The daemon's metric.
pub(super) fn metric(daemon: &Daemon, name: &str) -> Option<u64> {
    let (_, text) = daemon.get("/metrics")?;
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value)
}
