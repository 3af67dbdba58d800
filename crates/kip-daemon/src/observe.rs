//! Looks at the cluster, and sends what it sees to the controller.
//!
//! Each function below is a task that never ends: an error is logged, counted and tried again after a pause.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::answers::{Answers, NoAnswer, Question};
use crate::api_error::{Category, Pauses, advice, bounded, chain};
use crate::architecture::Architecture;
use crate::cluster::{DeploymentFacts, Live, PodFacts, PodList};
use crate::config::startup::Identity;
use crate::desired::Flavour;
use crate::desired::names::pod_selector;
use crate::inspect::Inspected;
use crate::metrics::Metrics;
use crate::parts::{Order, Report};
use crate::pods::{Interner, LeanPod};

/// Something that was seen.
#[derive(Debug)]
pub enum Observation {
    /// The `DaemonSet`, or its absence.
    Live(Option<Live>),
    /// The daemon's own Deployment, or its absence.
    Deployment(Option<DeploymentFacts>),
    /// The data of the `ConfigMap`, or its absence.
    ConfigMap(Option<BTreeMap<String, String>>),
    /// A pod was added or changed.
    Pod(String, Box<PodFacts>),
    /// A pod is gone.
    PodGone(PodList, String),
    /// A list has ended: pods of any other name are gone.
    Pods(PodList, HashSet<String>),
    /// The kind of cluster.
    Flavour(Flavour),
    /// The interval is over.
    Tick,
    /// What the registries have answered.
    Answers(Answers),
    /// What a reference of the list is, by its registry.
    Inspected(String, Result<Box<Inspected>, NoAnswer>),
    /// To a part: what it is to do.
    Order(Order),
    /// From a part: where it stands.
    Part(Architecture, Box<Report>),
    /// From a part: what registries are to be asked for it.
    Ask(Question),
    /// The `DaemonSet` of a part is there, with images of these references.
    FoundPart(Architecture, BTreeSet<String>),
}

/// Where observations go: observers --see--> controller.
pub type Sender = mpsc::Sender<Observation>;

/// The server ends each watch after so long, and the client's read time-out is a little longer: a connection
/// that was silently cut is noticed within it.
const WATCH_SECONDS: u32 = 60;
/// How long a connection may be silent: a little longer than a watch.
pub const READ_TIMEOUT: Duration = Duration::from_secs(65);
/// Pods of a page while listing; a page is held in memory as a whole.
const PAGE: u32 = 25;

/// Watches one object by its name.
pub async fn one<K, T>(
    api: Api<K>,
    name: String,
    observed: fn(Option<T>) -> Observation,
    tx: Sender,
    metrics: Metrics,
) -> Infallible
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    T: for<'a> From<&'a K>,
{
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    let mut stream = pin!(watcher(api, config));
    let mut pauses = Pauses::default();
    let mut is_seen = false;
    loop {
        let seen = match stream.next().await {
            Some(Ok(event)) => {
                pauses.reset();
                match event {
                    Event::Init => {
                        is_seen = false;
                        continue;
                    }
                    Event::InitApply(object) => {
                        is_seen = true;
                        Some(T::from(&object))
                    }
                    Event::InitDone if is_seen => continue,
                    Event::Apply(object) => Some(T::from(&object)),
                    Event::InitDone | Event::Delete(_) => None,
                }
            }
            failed => {
                pause(
                    failed.and_then(Result::err),
                    &K::kind(&()),
                    &mut pauses,
                    &metrics,
                )
                .await;
                continue;
            }
        };
        send(&tx, observed(seen)).await;
    }
}

/// Watches the pods that a label selector names.
pub async fn pods(
    api: Api<LeanPod>,
    list: PodList,
    selector: String,
    tx: Sender,
    metrics: Metrics,
) -> Infallible {
    let config = watcher::Config::default()
        .labels(&selector)
        .timeout(WATCH_SECONDS)
        .page_size(PAGE);
    let mut stream = pin!(watcher(api, config));
    let mut pauses = Pauses::default();
    let mut listed = HashSet::new();
    let mut interner = Interner::default();
    loop {
        let observation = match stream.next().await {
            Some(Ok(event)) => {
                pauses.reset();
                match event {
                    Event::Init => {
                        listed.clear();
                        continue;
                    }
                    Event::InitApply(pod) => {
                        listed.insert(pod.name_any());
                        pod_seen(list, pod, &mut interner)
                    }
                    Event::InitDone => Observation::Pods(list, std::mem::take(&mut listed)),
                    Event::Apply(pod) => pod_seen(list, pod, &mut interner),
                    Event::Delete(pod) => Observation::PodGone(list, pod.name_any()),
                }
            }
            failed => {
                pause(failed.and_then(Result::err), "Pod", &mut pauses, &metrics).await;
                continue;
            }
        };
        send(&tx, observation).await;
    }
}

fn pod_seen(list: PodList, pod: LeanPod, interner: &mut Interner) -> Observation {
    // A pod that has an owner is not ours to look at. It may have been an orphan before.
    if list == PodList::Leftovers && !pod.is_leftover() {
        return Observation::PodGone(list, pod.name_any());
    }
    let (name, facts) = pod.into_facts(interner, Timestamp::now());
    Observation::Pod(name, Box::new(facts))
}

/// The API group of security context constraints. A Route API alone does not make an OpenShift.
const SCC_GROUP: &str = "security.openshift.io";
/// How often discovery is repeated: the kind of a cluster hardly ever changes.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Asks which kind of cluster it is.
pub async fn flavour(client: Client, tx: Sender, metrics: Metrics) -> Infallible {
    let mut pauses = Pauses::default();
    loop {
        match bounded(client.list_api_groups()).await {
            Ok(groups) => {
                pauses.reset();
                let has_scc = groups.groups.iter().any(|group| group.name == SCC_GROUP);
                let flavour = if has_scc {
                    Flavour::OpenShift
                } else {
                    Flavour::Kubernetes
                };
                send(&tx, Observation::Flavour(flavour)).await;
                tokio::time::sleep(DISCOVERY_INTERVAL).await;
            }
            Err(error) => {
                metrics.api_error(error.category());
                let pause = pauses.after(error.category());
                warn!(
                    error = chain(&error),
                    ?pause,
                    "asking for the API groups failed"
                );
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Watches a `DaemonSet`, its pods and its fetchers.
pub fn daemon_set(
    client: &Client,
    identity: &Identity,
    tx: &Sender,
    metrics: &Metrics,
    tasks: &mut JoinSet<()>,
) {
    let daemonsets = Api::<DaemonSet>::namespaced(client.clone(), &identity.namespace);
    let name = identity.daemonset.clone();
    let watch = one(
        daemonsets,
        name,
        Observation::Live,
        tx.clone(),
        metrics.clone(),
    );
    tasks.spawn(async { match watch.await {} });
    let selector = pod_selector(&identity.daemonset);
    let api = Api::namespaced(client.clone(), &identity.namespace);
    let watch = pods(api, PodList::Ours, selector, tx.clone(), metrics.clone());
    tasks.spawn(async { match watch.await {} });
}

async fn pause(error: Option<watcher::Error>, kind: &str, pauses: &mut Pauses, metrics: &Metrics) {
    let Some(error) = error else {
        // The stream of a watch has no end; if it had one, trying again is all there is to do.
        tokio::time::sleep(pauses.after(Category::Unreachable)).await;
        return;
    };
    let category = Category::of_watch(&error);
    metrics.api_error(category);
    let pause = pauses.after(category);
    if category == Category::Refused {
        // A watch whose version has become too old goes on by itself.
        debug!(kind, error = chain(&error), ?pause, "watch begins again");
    } else {
        let error = chain(&error);
        warn!(kind, error, ?pause, advice = advice(&error), "watch failed");
    }
    tokio::time::sleep(pause).await;
}

async fn send(tx: &Sender, observation: Observation) {
    if tx.send(observation).await.is_err() {
        // The controller has ended, and the process is about to.
        std::future::pending::<()>().await;
    }
}
