//! What only the main controller does: it decides on the parts, and has a controller for each.

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tracing::info;

use super::{Controller, Link, Memory, Role};
use crate::apply::Writer;
use crate::architecture::Architecture;
use crate::cluster::{Cluster, PodFacts, Seen};
use crate::config::Config;
use crate::config::images::Image;
use crate::config::rollout::Refresh;
use crate::desired::Placement;
use crate::desired::hash::content_hash;
use crate::events::{Notices, Reason};
use crate::observe::{self, Observation, Sender};
use crate::parts::{self, Facts, Order, Part, Parts, Phase, Report, standing};
use crate::registries::Asker;
use crate::rollout::Figures;
use crate::schedule::Schedule;
use crate::server::Health;
use crate::source::ConfigSource;

/// What only the main controller works with.
pub struct Main {
    /// The tick.
    pub schedule: Schedule,
    /// Asks registries.
    pub asker: Asker,
    client: Client,
    /// To this controller itself.
    tx: Sender,
    tasks: BTreeMap<Architecture, Task>,
    /// Parts that were there at the start, with their images.
    found: BTreeMap<Architecture, BTreeSet<String>>,
    /// What people were told is kept off; `None` before anything is known.
    told: Option<BTreeSet<(Architecture, String)>>,
}

/// The controller of a part.
struct Task {
    tx: Sender,
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
    order: Option<Order>,
    /// Whether it has not seen all that was to be passed on: its queue was full.
    is_behind: bool,
}

impl Main {
    /// Without a part yet.
    pub fn new(schedule: Schedule, asker: Asker, client: Client, tx: Sender) -> Self {
        Self {
            schedule,
            asker,
            client,
            tx,
            tasks: BTreeMap::new(),
            found: BTreeMap::new(),
            told: None,
        }
    }

    /// Asks all parts to end.
    pub(super) fn stop_all(&mut self) -> Vec<JoinHandle<()>> {
        let tasks = std::mem::take(&mut self.tasks).into_values();
        tasks.map(Task::stop).collect()
    }
}

impl Task {
    fn stop(self) -> JoinHandle<()> {
        // One that has ended by itself needs not be asked.
        let _ = self.stop.send(());
        self.handle
    }

    /// Sends all that the main controller has seen and parts go by.
    fn catch_up(&mut self, cluster: &Cluster) {
        let flavour = cluster.flavour.map(Observation::Flavour);
        let deployment = match &cluster.deployment {
            Seen::Unknown => None,
            Seen::Absent => Some(Observation::Deployment(None)),
            Seen::Present(own) => Some(Observation::Deployment(Some(own.clone()))),
        };
        let answers = cluster.answers.clone().map(Observation::Answers);
        let all = [flavour, deployment, answers, Some(Observation::Tick)];
        let mut all = all.into_iter().flatten();
        self.is_behind = !all.all(|observation| self.tx.try_send(observation).is_ok());
    }

    /// Sends the order, if it is another one. Where there is no room it is sent the next time.
    fn send(&mut self, order: Order) {
        if self.order.as_ref() == Some(&order) {
            return;
        }
        let is_sent = self.tx.try_send(Observation::Order(order.clone())).is_ok();
        self.order = is_sent.then_some(order);
    }
}

impl Role {
    pub(super) fn placement(&self) -> Placement {
        match self {
            Self::Main(_) => Placement::default(),
            Self::Part(link) => Placement::Part(link.architecture),
        }
    }

    /// Has the parts see what the main controller has seen. What meets a full queue is made up for with the next order.
    pub(super) fn pass_on(&mut self, observation: impl Fn() -> Observation) {
        if let Self::Main(main) = self {
            for task in main.tasks.values_mut() {
                task.is_behind |= task.tx.try_send(observation()).is_err();
            }
        }
    }
}

impl Memory {
    /// The parts that are in force.
    fn parts(&self) -> Option<&Parts> {
        match &self.cluster.placement {
            Placement::Main(parts) => Some(parts),
            Placement::Part(_) => None,
        }
    }

    /// The parts whose nodes are theirs alone, and where they stand.
    pub(super) fn apart(&self) -> impl Iterator<Item = (&Report, &Part)> {
        let apart = self.parts().into_iter().flat_map(Parts::apart);
        apart.filter_map(|(architecture, part)| Some((self.reports.get(&architecture)?, part)))
    }

    /// How far the rollouts are.
    pub(super) fn figures_of_all(&self) -> Figures {
        let mut all = self.figures;
        for report in self.reports.values() {
            all += report.figures;
        }
        all
    }

    /// How many nodes there are of which no `DaemonSet` of ours counts any more.
    pub(super) fn uncounted_nodes(&self) -> usize {
        let gone = self.apart().filter(|(report, _)| report.is_gone);
        gone.map(|(_, part)| part.nodes).sum()
    }

    /// How many nodes each image is kept off, by its name.
    pub(super) fn kept_off(&self, config: &Config) -> BTreeMap<String, usize> {
        let mut kept_off = BTreeMap::new();
        for image in config.images() {
            let parts = self.apart();
            let parts = parts.filter(|(_, part)| part.without.contains(&image.image));
            let nodes = parts.map(|(report, part)| nodes(report, part)).sum();
            kept_off.insert(image.name.clone(), nodes);
        }
        kept_off
    }
}

/// Where the part has no `DaemonSet`, since nothing is left of the list, nobody counts its nodes any more.
fn nodes(report: &Report, part: &Part) -> usize {
    if report.is_gone {
        part.nodes
    } else {
        report.status.wanted_nodes
    }
}

impl Controller {
    /// The `DaemonSet` of a part was there at the start.
    pub(super) fn found(&mut self, architecture: Architecture, images: BTreeSet<String>) {
        if let Role::Main(main) = &mut self.role {
            main.found.insert(architecture, images);
        }
    }

    /// What is written on the `DaemonSet` counts: a daemon before this one may have written it.
    pub(super) fn decide_on_parts(&mut self, memory: &mut Memory) {
        let long_ago = self.long_ago();
        let (Role::Main(main), Some(config)) = (&mut self.role, self.source.in_force()) else {
            return;
        };
        let cluster = &mut memory.cluster;
        let (Placement::Main(parts), Some(flavour), Some(group)) =
            (&cluster.placement, cluster.flavour, config.groups.first())
        else {
            return;
        };
        if cluster.live == Seen::Unknown {
            return;
        }
        let mut before = Parts::of(&cluster.live).unwrap_or_else(|| parts.clone());
        main.found.retain(|it, _| !before.0.contains_key(it));
        for (architecture, images) in &main.found {
            before.find(*architecture, images, config);
        }
        main.told.get_or_insert_with(|| kept_off(&before));
        let has_name = parts::name(&self.identity.daemonset, Architecture::Amd64).is_some();
        let after = if has_name {
            let facts = Facts {
                config,
                flavour,
                known: &memory.known,
                reports: &memory.reports,
            };
            let content = content_hash(group, flavour);
            parts::decide(&before, &facts, || {
                standing(group, &content, cluster, long_ago)
            })
        } else {
            before.clone()
        };
        if after != before {
            let text = after.text();
            info!(parts = text, "parts of the cluster are to be otherwise");
        }
        // What ends a part counts until it is written.
        let is_part = |it: &Architecture| before.0.contains_key(it) || after.0.contains_key(it);
        memory.reports.retain(|it, _| is_part(it));
        cluster.placement = Placement::Main(after);
    }

    /// What was decided is in force: the parts do their share.
    pub(super) fn instruct_parts(&mut self, memory: &mut Memory) {
        let (Some(parts), Some(config)) = (memory.parts(), self.source.in_force()) else {
            return;
        };
        let (parts, live) = (parts.clone(), &memory.cluster.live);
        let main_name = self.identity.daemonset.clone();
        let orders: Vec<(Architecture, Order)> = parts
            .0
            .iter()
            .map(|(it, part)| (*it, parts::order(&main_name, config, live, part)))
            .collect();
        self.tell_what_is_kept_off(&parts, memory);
        for (architecture, order) in orders {
            self.instruct(architecture, order, memory);
        }
        if let Role::Main(main) = &mut self.role {
            let is_over = |it: &Architecture| !parts.0.contains_key(it);
            for architecture in Architecture::ALL.into_iter().filter(is_over) {
                let Some(task) = main.tasks.remove(&architecture) else {
                    continue;
                };
                info!(%architecture, "the part is over");
                drop(task.stop());
            }
        }
    }

    fn instruct(&mut self, architecture: Architecture, order: Order, memory: &Memory) {
        let Some(identity) = parts::identity(&self.identity, architecture) else {
            return;
        };
        let (notices, metrics) = (self.notices.clone(), self.metrics.for_part());
        let Role::Main(main) = &mut self.role else {
            return;
        };
        let task = main.tasks.entry(architecture).or_insert_with(|| {
            let link = Link {
                architecture,
                of: self.identity.daemonset.clone(),
                tx: main.tx.clone(),
                is_to_go: false,
            };
            let part = Controller {
                writer: Writer::new(&main.client, &identity),
                identity,
                source: ConfigSource::default(),
                notices,
                metrics,
                health: Health::new("a part"),
                role: Role::Part(link),
            };
            start(part, &main.client)
        });
        if task.is_behind {
            task.catch_up(&memory.cluster);
        }
        task.send(order);
    }

    /// Once for each image and architecture.
    fn tell_what_is_kept_off(&mut self, parts: &Parts, memory: &Memory) {
        let (Role::Main(main), Some(config)) = (&mut self.role, self.source.in_force()) else {
            return;
        };
        let now = kept_off(parts);
        let told = main.told.replace(now.clone()).unwrap_or_default();
        for (architecture, reference) in now.difference(&told) {
            let mut images = config.images();
            let Some(image) = images.find(|image| image.image == *reference) else {
                continue;
            };
            let part = &parts.0[architecture];
            let report = memory.reports.get(architecture);
            let nodes = report.map_or(part.nodes, |report| nodes(report, part));
            tell_kept_off(&self.notices, image, *architecture, nodes);
        }
    }

    /// Called at each heartbeat: these are there to stay.
    pub(super) fn tell_what_is_not_kept_off(&self, memory: &Memory) {
        let (Some(parts), Some(config)) = (memory.parts(), self.source.in_force()) else {
            return;
        };
        if config.rollout.refresh != Refresh::Digest || config.rollout.paused {
            return;
        }
        let pods = memory.cluster.pods.values();
        let pods = pods.filter_map(PodFacts::architecture);
        let nodes: BTreeSet<Architecture> = pods.chain(parts.0.keys().copied()).collect();
        for image in config.images() {
            for architecture in memory.known.absent(&image.image).intersection(&nodes) {
                let part = parts.0.get(architecture);
                if !part.is_some_and(|part| part.without.contains(&image.image)) {
                    self.tell_not_kept_off(image, *architecture);
                }
            }
        }
    }

    fn tell_not_kept_off(&self, image: &Image, architecture: Architecture) {
        let Image { name, image } = image;
        let daemonset = &self.identity.daemonset;
        let text = if parts::name(daemonset, architecture).is_some() {
            format!(
                "{name} ({image}) is not there for {architecture} any more: nodes that hold it keep it, others cannot have it"
            )
        } else {
            format!(
                "{name} ({image}) is not there for {architecture}, and cannot be kept off these nodes: their DaemonSet \
                 would be {daemonset}-{architecture}, and a name has at most 63 characters (DAEMONSET_NAME)"
            )
        };
        let subject = format!("{name} {image} {architecture}");
        self.notices.tell(Reason::ImageUnavailable, subject, text);
    }
}

fn kept_off(parts: &Parts) -> BTreeSet<(Architecture, String)> {
    let apart = parts
        .0
        .iter()
        .filter(|(_, part)| part.phase == Phase::Apart);
    apart
        .flat_map(|(it, part)| part.without.iter().map(|image| (*it, image.clone())))
        .collect()
}

fn tell_kept_off(notices: &Notices, image: &Image, architecture: Architecture, nodes: usize) {
    let Image { name, image } = image;
    info!(name, image, %architecture, nodes, "an image is kept off nodes");
    let text =
        format!("{name} ({image}) is not there for {architecture}: it is kept off {nodes} node(s)");
    notices.tell(
        Reason::ImageKeptOff,
        format!("{name} {image} {architecture}"),
        text,
    );
}

/// Observations that wait for the controller of a part.
const QUEUE: usize = 256;

/// Not in place: the future of a controller would have itself in it.
fn start(part: Controller, client: &Client) -> Task {
    let (tx, rx) = mpsc::channel(QUEUE);
    let (stop, stopped) = oneshot::channel();
    let mut watches = JoinSet::new();
    observe::daemon_set(client, &part.identity, &tx, &part.metrics, &mut watches);
    let handle = tokio::spawn(async move {
        // They end with it.
        let _watches = watches;
        let stopped = async {
            let _ = stopped.await;
        };
        Box::pin(part.run(rx, stopped)).await;
    });
    Task {
        tx,
        stop,
        handle,
        order: None,
        is_behind: true,
    }
}
