//! A namespace for one test: made before it, removed after it, explained when it fails.

mod daemon;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, ContainerStatus, Namespace, Node, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{
    Api, DeleteParams, ListParams, LogParams, ObjectMeta, Patch, PatchParams, PostParams,
};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::release::NAME;
use super::turn::beside;
use super::wait::{DEADLINE, eventually, eventually_within};

/// A namespace that enforces the Pod Security level `restricted`.
pub struct Space {
    /// The cluster it is in.
    pub cluster: Cluster,
    /// Its name.
    pub name: String,
}

/// Runs a test in a namespace of its own, and removes it in the end; beside other tests, unless it is
/// [`alone`](super::alone): then not before the pods of earlier tests are gone. Where the test fails, the namespace's
/// objects are printed first; with `KIP_E2E_KEEP` set it stays.
///
/// # Panics
/// When the test does, or when the cluster cannot be had.
pub async fn within(test: &str, body: impl AsyncFnOnce(&Space)) {
    let turn = beside();
    let cluster = Cluster::from_env().await.expect("the tests need a cluster");
    if turn.is_alone() {
        cluster.at_rest().await;
    }
    let name = format!("{test}-{}", cluster.unique());
    let space = Space { cluster, name };
    space.create().await.expect("the namespace can be made");
    let result = AssertUnwindSafe(body(&space)).catch_unwind().await;
    if result.is_err() {
        space.explain().await;
    }
    if result.is_ok() || std::env::var_os("KIP_E2E_KEEP").is_none() {
        space.remove().await;
    }
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

impl Space {
    /// The namespaced API of a kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client.clone(), &self.name)
    }

    /// Another namespace of the same test. Whoever makes it removes it.
    ///
    /// # Errors
    /// The API server's.
    pub async fn another(&self, suffix: &str) -> Result<Self> {
        let space = Self {
            cluster: self.cluster.clone(),
            name: format!("{}-{suffix}", self.name),
        };
        space.create().await?;
        Ok(space)
    }

    /// Removes the namespace, or says why it stays. Its pods are told to end at once: the namespace's controller gets to them
    /// after five seconds, in which a daemon works on.
    pub async fn remove(&self) {
        let namespaces = Api::<Namespace>::all(self.cluster.client.clone());
        let (gone, all) = (DeleteParams::default(), ListParams::default());
        if let Err(error) = namespaces.delete(&self.name, &gone).await {
            eprintln!("namespace {} stays: {error}", self.name);
        } else if let Err(error) = self.api::<Pod>().delete_collection(&gone, &all).await {
            eprintln!(
                "namespace {}: its pods stay for some seconds: {error}",
                self.name
            );
        }
    }

    async fn create(&self) -> Result<()> {
        let labels = BTreeMap::from([(
            "pod-security.kubernetes.io/enforce".to_owned(),
            "restricted".to_owned(),
        )]);
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            labels: Some(labels),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        Api::all(self.cluster.client.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        Ok(())
    }

    /// The `DaemonSet` of the chart's default name.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn daemonset(&self) -> Result<DaemonSet> {
        Ok(self.api::<DaemonSet>().get(NAME).await?)
    }

    /// The holder's pods that are not being deleted.
    ///
    /// # Errors
    /// The API server's.
    pub async fn holder_pods(&self) -> Result<Vec<Pod>> {
        let params = ListParams::default().labels("app.kubernetes.io/component=holder");
        let list = self.api::<Pod>().list(&params).await?;
        Ok(list
            .items
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect())
    }

    /// What identifies the holder's pods and says whether any of their containers was started again.
    ///
    /// # Errors
    /// The API server's.
    pub async fn fingerprints(&self) -> Result<BTreeMap<String, i32>> {
        let pods = self.holder_pods().await?;
        Ok(pods
            .iter()
            .map(|pod| (pod.uid().unwrap_or_default(), restarts(pod)))
            .collect())
    }

    /// Waits until each of these images is held on every node: exactly one pod on each node, its container of that
    /// name running, made from that image. Gives the pods.
    ///
    /// # Panics
    /// When the deadline is over.
    pub async fn all_held(&self, images: &[(String, String)]) -> Vec<Pod> {
        eventually("all images are held on all nodes", async || {
            self.held(images).await
        })
        .await
    }

    /// See [`Space::all_held`].
    ///
    /// # Errors
    /// Says what is missing.
    pub async fn held(&self, images: &[(String, String)]) -> Result<Vec<Pod>> {
        let nodes = self.cluster.nodes().await?;
        let pods = self.holder_pods().await?;
        let mut on: Vec<&str> = pods
            .iter()
            .filter_map(|pod| pod.spec.as_ref()?.node_name.as_deref())
            .collect();
        on.sort_unstable();
        ensure!(on == nodes, "pods are on {on:?}, nodes are {nodes:?}");
        for pod in &pods {
            for (name, image) in images {
                holds(pod, name, image).with_context(|| pod.name_any())?;
            }
            let count = pod.spec.as_ref().map_or(0, |spec| spec.containers.len());
            ensure!(
                count == images.len(),
                "{} has {count} containers",
                pod.name_any()
            );
        }
        Ok(pods)
    }

    /// Changes keys of the chart's `ConfigMap`, as `kubectl edit` does.
    ///
    /// # Errors
    /// The API server's.
    pub async fn edit_config(&self, data: Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "data": data }));
        self.api::<ConfigMap>()
            .patch("k8s-image-puller", &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// Waits for an Event on the Deployment whose reason and text say this.
    ///
    /// # Panics
    /// When the deadline is over.
    pub async fn event_says(&self, reason: &str, words: &str) {
        self.event_says_within(DEADLINE, reason, words).await;
    }

    /// As [`Space::event_says`], with a deadline of its own.
    ///
    /// # Panics
    /// When the deadline is over.
    pub async fn event_says_within(&self, deadline: Duration, reason: &str, words: &str) {
        eventually_within(
            deadline,
            &format!("an Event {reason}: {words}"),
            async || {
                let events = self
                    .api::<Event>()
                    .list(&ListParams::default())
                    .await?
                    .items;
                let notes: Vec<String> = events
                    .iter()
                    .filter(|event| event.reason.as_deref() == Some(reason))
                    .filter(|event| {
                        event
                            .regarding
                            .as_ref()
                            .and_then(|object| object.kind.as_deref())
                            == Some("Deployment")
                    })
                    .filter_map(|event| event.note.clone())
                    .collect();
                ensure!(
                    notes.iter().any(|note| note.contains(words)),
                    "notes: {notes:#?}"
                );
                Ok(())
            },
        )
        .await;
    }

    /// Deletes a pod.
    ///
    /// # Errors
    /// The API server's.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<()> {
        let name = pod.name_any();
        let gone = DeleteParams::default();
        self.api::<Pod>().delete(&name, &gone).await?;
        Ok(())
    }

    /// What a pod of one container has logged.
    ///
    /// # Errors
    /// The API server's.
    pub async fn log_of(&self, pod: &Pod) -> Result<String> {
        let pods = self.api::<Pod>();
        Ok(pods.logs(&pod.name_any(), &LogParams::default()).await?)
    }

    /// Changes an annotation that means nothing: whoever looks after the object looks at it at once, and not when its next turn comes.
    ///
    /// # Errors
    /// The API server's.
    pub async fn nudge<K>(&self, name: &str) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let annotations = json!({"test/nudge": self.cluster.unique()});
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let params = PatchParams::default();
        self.api::<K>().patch(name, &params, &patch).await?;
        Ok(())
    }

    /// Prints the pods as they are.
    pub(super) async fn explain_pods(&self) {
        print_all(&self.api::<Pod>(), |p| {
            serde_json::to_value((&p.metadata, &p.status))
        })
        .await;
    }

    /// Prints what is in the namespace, and what keeps pods off the nodes.
    pub(super) async fn explain(&self) {
        eprintln!("---- namespace {}", self.name);
        print_all(&Api::<Node>::all(self.cluster.client.clone()), |node| {
            let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
            serde_json::to_value(taints)
        })
        .await;
        print_all(&self.api::<Deployment>(), |d| {
            serde_json::to_value(&d.status)
        })
        .await;
        print_all(&self.api::<DaemonSet>(), |d| serde_json::to_value(d)).await;
        print_all(&self.api::<ConfigMap>(), |c| serde_json::to_value(&c.data)).await;
        self.explain_pods().await;
        if let Ok(pod) = self.daemon_pod().await {
            self.print_log(&pod).await;
        }
    }

    /// Prints what a pod has logged, or why that cannot be had.
    pub(super) async fn print_log(&self, pod: &Pod) {
        let log = self.log_of(pod).await;
        let log = log.unwrap_or_else(|error| format!("{error:#}"));
        eprintln!("---- log of {}\n{log}", pod.name_any());
    }
}

async fn print_all<K>(api: &Api<K>, show: impl Fn(&K) -> serde_json::Result<Value>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    for mut object in api.list(&ListParams::default()).await.into_iter().flatten() {
        // Who wrote which field is longer than all the rest.
        object.managed_fields_mut().clear();
        let shown = show(&object).map_or_else(|error| error.to_string(), |value| value.to_string());
        eprintln!("{} {}: {shown}", K::kind(&()), object.name_any());
    }
}

/// How often the pod's containers were started again.
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).sum()
}

/// Whether the pod is ready.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// What kubelet says of one of the pod's containers.
///
/// # Errors
/// When it says nothing of it yet.
pub fn container_status<'a>(pod: &'a Pod, name: &str) -> Result<&'a ContainerStatus> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .into_iter()
        .find(|status| status.name == name)
        .with_context(|| format!("no status of {name}"))
}

fn holds(pod: &Pod, name: &str, image: &str) -> Result<()> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let spec = containers
        .into_iter()
        .find(|container| container.name == name)
        .context("no such container")?;
    ensure!(
        spec.image.as_deref() == Some(image),
        "{name} is of {:?}",
        spec.image
    );
    let status = container_status(pod, name)?;
    let is_running = status
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some());
    ensure!(
        is_running && !status.image_id.is_empty(),
        "{name}: {:?}",
        status.state
    );
    Ok(())
}
