//! A cluster in memory: nodes with an image store, a registry, a `DaemonSet` controller, kubelets, and a watch that
//! is behind. What happens next is drawn by lot, so every order of events comes up.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::jiff::Timestamp;
use kip_daemon::answers::Unfit;
use kip_daemon::cluster::{Cluster, ContainerState, Content, Duty, Live, PodFacts, Seen};
use kip_daemon::config::Config;
use kip_daemon::config::startup::Identity;
use kip_daemon::desired::names::TEMPLATE_GENERATION;
use kip_daemon::desired::{Flavour, Placement, Surroundings, content_hash_of, daemon_set};
use kip_daemon::pods::{Interner, LeanPod};
use kip_daemon::rollout::{News, Next};
use kip_daemon::settings::Settings;
use serde_json::json;

/// Numbers that look drawn by lot and are the same for the same seed.
pub(crate) struct Lots(u64);

impl Lots {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }
}

/// What the registry has under a name; `None` is an image that is not there.
pub(crate) type Registry = BTreeMap<String, u64>;

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a way of its own in which the world can be"
)]
pub(crate) struct World {
    pub(crate) lots: Lots,
    pub(crate) nodes: Vec<String>,
    pub(crate) now: Timestamp,
    pub(crate) registry: Registry,
    pub(crate) is_registry_down: bool,
    /// Nodes whose kubelet does nothing.
    pub(crate) silent: BTreeSet<String>,
    /// Nodes for which the API server takes no fetcher.
    pub(crate) refused: BTreeSet<String>,
    pub(crate) stores: BTreeMap<(String, String), u64>,
    /// What the API server has.
    pub(crate) pods: BTreeMap<String, PodFacts>,
    pub(crate) live: Live,
    pub(crate) config: Config,
    pub(crate) desired: DaemonSet,
    /// What the daemon has seen of it, and what is on its way.
    pub(crate) view: Cluster,
    pub(crate) under_way: VecDeque<(String, Option<PodFacts>)>,
    pub(crate) made: u64,
    /// Pods that have no place, by the node they are for.
    pub(crate) waiting: BTreeMap<String, String>,
    pub(crate) always_asks: bool,
    /// A policy takes `Always` off every pod.
    pub(crate) never_asks: bool,
    /// Pods that are going hold nothing, and their successors come when they are gone.
    pub(crate) strict: bool,
    /// Pods that are made now cannot have the sleep image.
    pub(crate) bad_sleep: bool,
    pub(crate) bad_pods: BTreeSet<String>,
    /// Images of which no fetcher's container can be made.
    pub(crate) no_start: BTreeSet<String>,
    /// What there is nothing of for a node any more: node and reference.
    pub(crate) foreign: BTreeSet<(String, String)>,
    /// What the registries have nothing of for some architectures.
    pub(crate) unfit: Unfit,
    /// Nodes of arm64; all others are of amd64.
    pub(crate) arm: BTreeSet<String>,
    pub(crate) versions: u64,
    /// What must not be let go: node and reference.
    pub(crate) held: BTreeSet<(String, String)>,
    /// What may be missing until it runs again: nobody could be asked for it.
    pub(crate) excused: BTreeSet<(String, String)>,
    /// Images for which the daemon gets no answer, though the nodes do.
    pub(crate) unaskable: BTreeSet<String>,
    /// Nodes report another digest than the registry's, as some runtimes do.
    pub(crate) reports_another: bool,
    /// Requests of the nodes.
    pub(crate) requests: usize,
    /// Requests of the daemon.
    pub(crate) heads: Cell<usize>,
    pub(crate) swaps: usize,
    /// When a node's pod was last deleted.
    pub(crate) swapped: BTreeMap<String, Timestamp>,
    pub(crate) fetchers: usize,
    pub(crate) news: Vec<News>,
    pub(crate) next: Next,
    /// What has happened, for a test that fails.
    pub(crate) log: Vec<String>,
}

pub(crate) fn config(settings: &[(&str, &str)]) -> Config {
    let vars = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_settings(&Settings::from_vars(vars).expect("text is read")).expect("it is valid")
}

fn identity() -> Identity {
    Identity {
        daemonset: "keeper".to_owned(),
        namespace: "puller".to_owned(),
        own_namespace: "puller".to_owned(),
        deployment: None,
        config_map: None,
        registry_ca_file: None,
    }
}

fn desired(config: &Config) -> DaemonSet {
    let surroundings = Surroundings {
        flavour: Flavour::Kubernetes,
        sleep_image: "sleep".to_owned(),
        sleep_pull_secrets: Vec::new(),
        owner: None,
        placement: Placement::default(),
    };
    daemon_set(&identity(), config, &surroundings)
}

impl World {
    /// All nodes hold the list.
    pub(crate) fn new(seed: u64, nodes: usize, config: Config, registry: Registry) -> Self {
        let mut world = Self::empty(seed, nodes, config, registry);
        for _ in 0..2 {
            for node in world.nodes.clone() {
                world.control(&node);
                world.kubelet(&node);
            }
        }
        world.restart_daemon();
        world.requests = 0;
        world
    }

    /// The Go image puller's `DaemonSet` has just been taken over: each node has a pod of it, which holds this list,
    /// and none of ours.
    pub(crate) fn adopting(
        seed: u64,
        nodes: usize,
        config: Config,
        registry: Registry,
        old: &[(&str, &str)],
    ) -> Self {
        let mut world = Self::empty(seed, nodes, config, registry);
        let containers: Vec<_> = old
            .iter()
            .map(|(name, image)| json!({"name": name, "image": image, "command": ["/kip/sleep"], "imagePullPolicy": "Always"}))
            .collect();
        let pod = json!({"metadata": {"labels": {"test": "daemonset-test"}}, "spec": {"containers": containers}});
        for node in world.nodes.clone() {
            let pod: LeanPod = serde_json::from_value(pod.clone()).expect("it is a pod");
            let (_, facts) = pod.into_facts(&mut Interner::default(), world.now);
            assert_eq!(facts.duty, Duty::Leftover);
            world.made += 1;
            let facts = PodFacts {
                uid: format!("uid-{}", world.made),
                created: Some(Timestamp::UNIX_EPOCH),
                node: node.clone(),
                ..facts
            };
            world.put(format!("test-po-{}", world.made), facts);
            world.kubelet(&node);
            world.kubelet(&node);
        }
        world.restart_daemon();
        world.requests = 0;
        world
    }

    fn empty(seed: u64, nodes: usize, config: Config, registry: Registry) -> Self {
        let desired = desired(&config);
        let live = Live {
            uid: "ds".to_owned(),
            created: Some(Timestamp::UNIX_EPOCH),
            resource_version: "1".to_owned(),
            generation: 1,
            observed_generation: 1,
            annotations: BTreeMap::from([(TEMPLATE_GENERATION.to_owned(), "1".to_owned())]),
            wanted_nodes: i32::try_from(nodes).expect("few"),
            ..Live::default()
        };
        Self {
            lots: Lots::new(seed),
            nodes: (0..nodes).map(|n| format!("node-{n:03}")).collect(),
            now: Timestamp::from_second(1000).expect("in range"),
            registry,
            is_registry_down: false,
            silent: BTreeSet::new(),
            refused: BTreeSet::new(),
            stores: BTreeMap::new(),
            pods: BTreeMap::new(),
            live,
            config,
            desired,
            view: Cluster::default(),
            under_way: VecDeque::new(),
            made: 0,
            waiting: BTreeMap::new(),
            always_asks: false,
            never_asks: false,
            strict: false,
            bad_sleep: false,
            bad_pods: BTreeSet::new(),
            no_start: BTreeSet::new(),
            foreign: BTreeSet::new(),
            unfit: Unfit::default(),
            arm: BTreeSet::new(),
            versions: 0,
            held: BTreeSet::new(),
            excused: BTreeSet::new(),
            unaskable: BTreeSet::new(),
            reports_another: false,
            requests: 0,
            heads: Cell::new(0),
            swaps: 0,
            swapped: BTreeMap::new(),
            fetchers: 0,
            news: Vec::new(),
            next: Next::default(),
            log: Vec::new(),
        }
    }

    // === what people and fate do ===

    pub(crate) fn edit(&mut self, settings: &[(&str, &str)]) {
        self.config = config(settings);
        let before = content_hash_of(&self.desired).cloned();
        self.desired = desired(&self.config);
        if content_hash_of(&self.desired) != before.as_ref() {
            self.change_template();
        }
        let wanted = self.wanted();
        self.held.retain(|(_, image)| wanted.contains(image));
    }

    pub(crate) fn restart_pods(&mut self, at: &str) {
        self.live.restarted_at = Some(at.to_owned());
        self.change_template();
    }

    pub(crate) fn change_template(&mut self) {
        self.live.generation += 1;
        let number = self.live.generation.to_string();
        self.live
            .annotations
            .insert(TEMPLATE_GENERATION.to_owned(), number);
        self.touch_live();
    }

    /// The scheduler finds no place for the node's pod.
    pub(crate) fn unplace(&mut self, node: &str) {
        let found = self.pods.iter().find(|(_, pod)| pod.node == node);
        let (name, pod) = found.expect("the node has a pod");
        let (name, mut pod) = (name.clone(), pod.clone());
        pod.node.clear();
        pod.taken_up = false;
        for container in &mut pod.containers {
            container.state = ContainerState::Waiting;
        }
        self.held.retain(|(on, _)| on != node);
        self.waiting.insert(node.to_owned(), name.clone());
        self.put(name, pod);
    }

    /// A policy sets the pull policy of every pod to `Always`.
    pub(crate) fn always_ask(&mut self) {
        self.always_asks = true;
        for name in self.pods.keys().cloned().collect::<Vec<_>>() {
            let pod = self.pods[&name].clone();
            self.put(name, pod);
        }
    }

    pub(crate) fn annotate(&mut self, key: &str, value: &str) {
        self.live
            .annotations
            .insert(key.to_owned(), value.to_owned());
        self.touch_live();
    }

    pub(crate) fn restart_daemon(&mut self) {
        self.under_way.clear();
        let pods = self.pods.iter().map(|(name, pod)| {
            (
                name.clone(),
                PodFacts {
                    first_seen: self.now,
                    ..pod.clone()
                },
            )
        });
        self.view = Cluster {
            live: Seen::Present(self.live.clone()),
            pods: pods.collect(),
            pods_listed: true,
            ..Cluster::default()
        };
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// The node has pulled earlier than the others.
    pub(crate) fn make_stale(&mut self, node: &str, image: &str, number: u64) {
        self.stores
            .insert((node.to_owned(), image.to_owned()), number);
        let names: Vec<String> = self
            .pods
            .iter()
            .filter(|(_, p)| p.node == node)
            .map(|(n, _)| n.clone())
            .collect();
        for name in names {
            let mut pod = self.pods[&name].clone();
            for container in pod.containers.iter_mut().filter(|c| *c.image == *image) {
                container.content = Some(Content(number));
            }
            self.put(name, pod);
        }
    }

    /// The node is gone, with all that is on it.
    pub(crate) fn remove_node(&mut self, node: &str) {
        self.nodes.retain(|name| name != node);
        self.pods.retain(|_, pod| pod.node != node);
        self.view.pods.retain(|_, pod| pod.node != node);
        self.under_way
            .retain(|(_, pod)| pod.as_ref().is_none_or(|pod| pod.node != node));
        self.held.retain(|(name, _)| name != node);
        self.live.wanted_nodes -= 1;
        self.touch_live();
    }

    pub(crate) fn wanted(&self) -> BTreeSet<String> {
        self.config.groups[0]
            .images
            .iter()
            .map(|image| image.image.clone())
            .collect()
    }
}

/// The API server's times have no fractions.
pub(crate) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("in range")
}
