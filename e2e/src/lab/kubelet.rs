//! Kubelet of the [`FakeNodes`]: reports what a test has it report, in the order in which kubelet does.
//!
//! It is a harsh one: an image that no container uses is gone from its node at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Error, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::nodes::FakeNodes;
use super::space::Space;

/// What comes of asking for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// The content of this number.
    Content(u32),
    /// The registry does not have it, or cannot be reached.
    Fails,
    /// No answer so far. Nothing is reported of the pod's containers: kubelet does it for all of them at once.
    Slow,
}

/// How a node's kubelet is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// It works.
    #[default]
    Works,
    /// It does nothing at all.
    Silent,
    /// It evicts each fetcher that it sees.
    Evicts,
    /// It starts fetchers, and no pods of the `DaemonSet`.
    OnlyFetches,
}

/// All of them in one task; they end when this is dropped.
pub struct Kubelet {
    shared: Arc<Shared>,
    working: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<Script>,
    changed: Notify,
}

#[derive(Default)]
struct Script {
    registry: BTreeMap<String, Pull>,
    exceptions: BTreeMap<(String, String), Pull>,
    moods: BTreeMap<String, Mood>,
    /// Node and image of each request that the registry has answered with a content.
    answered: Vec<(String, String)>,
}

impl Script {
    fn ask(&mut self, node: &str, image: &str) -> Pull {
        let key = (node.to_owned(), image.to_owned());
        let usual = || self.registry.get(image).copied();
        let pull = self.exceptions.get(&key).copied().or_else(usual);
        if let Some(Pull::Content(_)) = pull {
            self.answered.push(key);
        }
        pull.unwrap_or(Pull::Fails)
    }
}

impl Kubelet {
    /// Starts them for the pods of a namespace on these nodes; the pods of other nodes are none of their business.
    pub fn start(space: &Space, nodes: &FakeNodes) -> Self {
        let shared = Arc::<Shared>::default();
        let work = Work {
            api: space.api(),
            nodes: nodes
                .architectures()
                .map(|(node, architecture)| (node.to_owned(), architecture))
                .collect(),
            pods: BTreeMap::new(),
            containers: BTreeMap::new(),
            tags: BTreeMap::new(),
            shared: shared.clone(),
        };
        Self {
            shared,
            working: tokio::spawn(work.run()),
        }
    }

    /// What comes of asking for the image, wherever nothing else was said. What was not named fails.
    pub fn registry(&self, image: &str, pull: Pull) {
        self.change(|script| script.registry.insert(image.to_owned(), pull));
    }

    /// What comes of asking for the image on this node; `None`: as everywhere.
    pub fn on(&self, node: &str, image: &str, pull: Option<Pull>) {
        let key = (node.to_owned(), image.to_owned());
        self.change(|script| match pull {
            Some(pull) => script.exceptions.insert(key, pull),
            None => script.exceptions.remove(&key),
        });
    }

    /// How this node's kubelet is from now on.
    pub fn mood(&self, node: &str, mood: Mood) {
        self.change(|script| script.moods.insert(node.to_owned(), mood));
    }

    /// How often the registry was asked, and had an answer.
    pub fn answered(&self) -> usize {
        self.shared.script().answered.len()
    }

    /// How often the registry was asked for this image, and had an answer.
    pub fn answered_for(&self, image: &str) -> usize {
        let script = self.shared.script();
        let of_image = script.answered.iter().filter(|(_, it)| it == image);
        of_image.count()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Script) -> T) {
        change(&mut self.shared.script());
        self.shared.changed.notify_one();
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.working.abort();
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Work {
    api: Api<Pod>,
    /// With their architectures.
    nodes: BTreeMap<String, &'static str>,
    /// By name.
    pods: BTreeMap<String, Pod>,
    /// The content of each container that runs, by the pod's uid and the container's name.
    containers: BTreeMap<(String, String), u32>,
    /// What a reference stands for on a node, since it was last pulled there.
    tags: BTreeMap<(String, String), u32>,
    shared: Arc<Shared>,
}

impl Work {
    async fn run(mut self) {
        let mut stream = watcher(self.api.clone(), watcher::Config::default()).boxed();
        let shared = self.shared.clone();
        loop {
            tokio::select! {
                event = stream.next() => match event {
                    Some(Ok(Event::InitApply(pod) | Event::Apply(pod))) => self.seen(pod).await,
                    Some(Ok(Event::Delete(pod))) => self.gone(&pod),
                    Some(Ok(Event::Init | Event::InitDone)) => {}
                    Some(Err(error)) => eprintln!("kubelet's watch: {error}"),
                    None => return,
                },
                // A pull is tried again when there is a reason to.
                () = shared.changed.notified() => {
                    for pod in self.pods.clone().into_values() {
                        self.seen(pod).await;
                    }
                }
            }
        }
    }

    async fn seen(&mut self, pod: Pod) {
        if !self.nodes.contains_key(node_of(&pod)) {
            return;
        }
        let name = pod.name_any();
        let done = self.sync(&pod).await;
        self.pods.insert(name.clone(), pod);
        match done {
            Ok(()) => {}
            // It has changed or gone: the watch brings that.
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => eprintln!("kubelet, pod {name}: {error}"),
        }
    }

    fn gone(&mut self, pod: &Pod) {
        self.pods.remove(&pod.name_any());
        let uid = pod.uid().unwrap_or_default();
        self.containers.retain(|(of, _), _| *of != uid);
    }

    async fn sync(&mut self, pod: &Pod) -> Result<(), Error> {
        let node = node_of(pod);
        let is_fetcher = pod
            .labels()
            .get("app.kubernetes.io/component")
            .is_some_and(|duty| duty == "fetcher");
        let mood = self.shared.script().moods.get(node).copied();
        let mood = mood.unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        if mood == Mood::Silent {
            return Ok(());
        }
        if pod.metadata.deletion_timestamp.is_some() {
            return self.finish(pod).await;
        }
        if status.phase.as_deref() == Some("Failed") {
            return Ok(());
        }
        if mood == Mood::Evicts && is_fetcher {
            let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "the node was low on resource"});
            return self.report(pod, evicted).await;
        }
        if status.start_time.is_none() {
            return self.report(pod, taken_up(pod)).await;
        }
        if mood == Mood::OnlyFetches && !is_fetcher {
            return Ok(());
        }
        let Some(started) = self.started(pod) else {
            return Ok(());
        };
        let is_told = status.container_statuses.iter().flatten().all(|known| {
            let has = known.state.as_ref().is_some_and(|state| {
                let waits = state.waiting.as_ref().and_then(|w| w.reason.as_deref());
                state.running.is_some() || waits == Some("ErrImagePull")
            });
            has && known.image_id == image_id(&known.image, started.get(&known.name).copied())
        });
        if is_told {
            return Ok(());
        }
        let architecture = self.nodes.get(node).copied().unwrap_or_default();
        self.report(pod, running(pod, &started, architecture)).await
    }

    /// Starts what can be started: the containers with their contents. `None` while a pull has no answer.
    fn started(&mut self, pod: &Pod) -> Option<BTreeMap<String, u32>> {
        let uid = pod.uid().unwrap_or_default();
        let mut started = BTreeMap::new();
        for container in containers(pod) {
            let key = (uid.clone(), container.name.clone());
            let known = self.containers.get(&key).copied();
            let pull = known.map_or_else(|| self.pull(node_of(pod), container), Pull::Content);
            match pull {
                Pull::Slow => return None,
                Pull::Fails => {}
                Pull::Content(content) => {
                    self.containers.insert(key, content);
                    started.insert(container.name.clone(), content);
                }
            }
        }
        Some(started)
    }

    /// From the node where the pull policy lets it, else from the registry.
    fn pull(&mut self, node: &str, container: &Container) -> Pull {
        let image = container.image.clone().unwrap_or_default();
        let key = (node.to_owned(), image.clone());
        let is_asked = container.image_pull_policy.as_deref() == Some("Always");
        if let Some(content) = self.tags.get(&key).copied().filter(|_| !is_asked)
            && self.is_used(node, content)
        {
            return Pull::Content(content);
        }
        let pull = self.shared.script().ask(node, &image);
        if let Pull::Content(content) = pull {
            self.tags.insert(key, content);
        }
        pull
    }

    /// Whether a container on the node has this content.
    fn is_used(&self, node: &str, content: u32) -> bool {
        let there = self.pods.values().filter(|pod| node_of(pod) == node);
        let there: BTreeSet<String> = there.filter_map(kube::ResourceExt::uid).collect();
        self.containers
            .iter()
            .any(|((uid, _), used)| *used == content && there.contains(uid))
    }

    async fn finish(&mut self, pod: &Pod) -> Result<(), Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: pod.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default().grace_period(0)
        };
        self.api.delete(&pod.name_any(), &params).await.map(drop)
    }

    async fn report(&self, pod: &Pod, status: Value) -> Result<(), Error> {
        let patch = Patch::Strategic(json!({"metadata": {"uid": pod.uid()}, "status": status}));
        let params = PatchParams::default();
        self.api
            .patch_status(&pod.name_any(), &params, &patch)
            .await
            .map(drop)
    }
}

fn node_of(pod: &Pod) -> &str {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .unwrap_or_default()
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| &spec.containers)
}

/// `repository@sha256:…`, as containerd's kubelet has it.
fn image_id(image: &str, content: Option<u32>) -> String {
    let repository = image.rsplit_once(':').map_or(image, |(name, _)| name);
    content.map_or_else(String::new, |content| {
        // The daemon tells digests apart by their beginnings.
        format!("{repository}@sha256:{content:016x}{:048}", 0)
    })
}

fn taken_up(pod: &Pod) -> Value {
    let waiting = |container: &Container| {
        json!({"name": container.name, "image": container.image, "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "PodInitializing"}}})
    };
    let init = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    json!({
        "phase": "Pending",
        "startTime": Timestamp::now().to_string(),
        "initContainerStatuses": init.map(waiting).collect::<Vec<_>>(),
        "containerStatuses": containers(pod).map(waiting).collect::<Vec<_>>(),
    })
}

fn running(pod: &Pod, started: &BTreeMap<String, u32>, architecture: &str) -> Value {
    let now = Timestamp::now().to_string();
    let is_ready = containers(pod).all(|container| started.contains_key(&container.name));
    let init = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    let ended = init.map(|container| {
        json!({"name": container.name, "image": container.image, "imageID": image_id("kip", Some(0)), "ready": true,
            "restartCount": 0, "state": {"terminated": {"reason": "Completed", "exitCode": 0, "startedAt": now,
            "finishedAt": now, "message": format!("{architecture} 107374182400")}}})
    });
    let statuses = containers(pod).map(|container| {
        let image = container.image.clone().unwrap_or_default();
        let content = started.get(&container.name).copied();
        let state = if content.is_some() {
            json!({"running": {"startedAt": now}})
        } else {
            json!({"waiting": {"reason": "ErrImagePull", "message": format!("{image}: not found")}})
        };
        json!({"name": container.name, "image": image, "imageID": image_id(&image, content),
            "ready": content.is_some(), "restartCount": 0, "state": state})
    });
    json!({
        "phase": if started.is_empty() { "Pending" } else { "Running" },
        "initContainerStatuses": ended.collect::<Vec<_>>(),
        "containerStatuses": statuses.collect::<Vec<_>>(),
        "conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "False" }}],
    })
}
