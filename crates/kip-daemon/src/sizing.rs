//! What the pods take of their nodes and of a quota: arithmetic over the very objects that the daemon makes. Pure.
//!
//! Kubernetes' rule: <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers>.

pub mod amount;
mod text;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use self::amount::Amount;
pub(crate) use self::text::{aligned, percent};
pub use self::text::{report, warnings};
use crate::config::quantity::Quantity;
use crate::config::startup::Identity;
use crate::config::{Config, Group};
use crate::desired::{self, Order};
use crate::preview;

/// What is counted.
const RESOURCES: [&str; 2] = [CPU, MEMORY];
const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const REQUESTS: &str = "requests";
const LIMITS: &str = "limits";

/// One figure of a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figure {
    /// What the containers that say something come to.
    pub amount: Amount,
    /// Whether every container says something: a quota for the figure refuses the pod otherwise.
    pub is_whole: bool,
}

/// Requests and limits of a pod, by resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// What the scheduler sets aside.
    pub requests: BTreeMap<&'static str, Figure>,
    /// What it may use at most.
    pub limits: BTreeMap<&'static str, Figure>,
}

/// The size of a node, to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSize {
    /// Its processors.
    pub cpu: Amount,
    /// Its memory.
    pub memory: Amount,
}

impl Default for NodeSize {
    fn default() -> Self {
        Self {
            cpu: Amount::millicores(4000),
            memory: Amount::bytes(16 << 30),
        }
    }
}

/// What a configuration comes to.
#[derive(Debug, Clone)]
pub struct Sizing<'a> {
    config: &'a Config,
    /// The pod that each node has.
    pub holder: Demand,
    /// The pod beside it while the node is brought up to date.
    pub fetcher: Demand,
}

/// What a namespace needs for a number of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Pods at the same time, the daemon's among them.
    pub pods: usize,
    /// The other figures by their names in a `ResourceQuota`; `None` where one would refuse the pods.
    pub figures: Vec<(String, Option<Amount>)>,
}

impl<'a> Sizing<'a> {
    /// Takes the measure of the pods.
    ///
    /// # Errors
    /// Names a quantity that is none: `POD_TEMPLATE` can bring one.
    pub fn of(identity: &Identity, config: &'a Config) -> Result<Self, String> {
        let daemonset = preview::rendered(identity, config);
        let order = Order {
            node: String::new(),
            round: 0,
            ask: std::collections::BTreeSet::new(),
        };
        let fetcher = desired::fetcher(&daemonset, "", None, &order, desired::Requests::Nothing);
        let holder = daemonset.spec.and_then(|spec| spec.template.spec);
        Ok(Self {
            config,
            holder: demand(&holder.unwrap_or_default())?,
            fetcher: demand(&fetcher.spec.unwrap_or_default())?,
        })
    }

    fn group(&self) -> Option<&Group> {
        self.config.groups.first()
    }

    /// On how many of these nodes there is a fetcher at the same time.
    pub fn at_once(&self, nodes: usize) -> usize {
        self.config.rollout.max_nodes_at_once.of(nodes).min(nodes)
    }

    /// What the namespace needs on so many nodes, also while a change is rolled out.
    pub fn quota(&self, nodes: usize) -> Quota {
        let at_once = self.at_once(nodes);
        let mut figures = Vec::new();
        let daemon = daemon();
        for (kind, holder, fetcher, daemon) in [
            (
                REQUESTS,
                &self.holder.requests,
                &self.fetcher.requests,
                &daemon.requests,
            ),
            (
                LIMITS,
                &self.holder.limits,
                &self.fetcher.limits,
                &daemon.limits,
            ),
        ] {
            for resource in RESOURCES {
                let of = |demand: &BTreeMap<_, Figure>| demand.get(resource).copied();
                let whole = of(holder).filter(|figure| figure.is_whole);
                let fetching = of(fetcher).unwrap_or_default().amount.times(at_once);
                let daemon = of(daemon).unwrap_or_default().amount;
                let sum =
                    whole.map(|figure| figure.amount.times(nodes).plus(fetching).plus(daemon));
                figures.push((format!("{kind}.{resource}"), sum));
            }
        }
        Quota {
            pods: nodes.saturating_add(at_once).saturating_add(1),
            figures,
        }
    }

    /// What the Go image puller's documentation asks of a quota: memory limit × images × nodes.
    pub fn original_formula(&self, nodes: usize) -> Option<Amount> {
        let group = self.group()?;
        let limit = Amount::from(group.resources.memory_limit.as_ref()?);
        Some(limit.times(group.images.len()).times(nodes))
    }
}

/// The daemon's own pod, as the chart and the templates have it by default.
pub fn daemon() -> Demand {
    let figures = |cpu, memory: i128| {
        let whole = |amount| Figure {
            amount,
            is_whole: true,
        };
        BTreeMap::from([
            (CPU, whole(Amount::millicores(cpu))),
            (MEMORY, whole(Amount::bytes(memory << 20))),
        ])
    };
    Demand {
        requests: figures(50, 64),
        limits: figures(200, 256),
    }
}

fn demand(pod: &PodSpec) -> Result<Demand, String> {
    let mut demand = Demand::default();
    for resource in RESOURCES {
        let init = pod.init_containers.as_deref().unwrap_or_default();
        for (kind_name, kind, figures) in [
            (REQUESTS, request as Kind, &mut demand.requests),
            (LIMITS, limit as Kind, &mut demand.limits),
        ] {
            let of = |container: &Container| kind(container.resources.as_ref(), resource);
            let running = all(&pod.containers, of, Amount::plus)?;
            let starting = all(init, of, Amount::or_larger)?;
            let mut figure = Figure {
                amount: running.amount.or_larger(starting.amount),
                is_whole: running.is_whole && starting.is_whole,
            };
            // What the pod says of itself counts instead of what its containers come to.
            let own = own(pod, kind_name, resource, figure.amount)?;
            if let Some(amount) = own {
                figure = Figure {
                    amount,
                    is_whole: true,
                };
            }
            figures.insert(resource, figure);
        }
    }
    Ok(demand)
}

/// A limit of the whole pod is its request too where nothing in it requests anything.
fn own(
    pod: &PodSpec,
    kind: &str,
    resource: &str,
    of_containers: Amount,
) -> Result<Option<Amount>, String> {
    let Some(resources) = &pod.resources else {
        return Ok(None);
    };
    let limits = read(LIMITS, resources.limits.as_ref(), resource)?;
    let requests = read(REQUESTS, resources.requests.as_ref(), resource)?;
    Ok(match kind {
        LIMITS => limits,
        _ if of_containers == Amount::default() => requests.or(limits),
        _ => requests,
    })
}

fn all(
    containers: &[Container],
    of: impl Fn(&Container) -> Result<Option<Amount>, String>,
    add: fn(Amount, Amount) -> Amount,
) -> Result<Figure, String> {
    let mut figure = Figure {
        amount: Amount::default(),
        is_whole: true,
    };
    for container in containers {
        match of(container).map_err(|wrong| format!("container {}: {wrong}", container.name))? {
            Some(amount) => figure.amount = add(figure.amount, amount),
            None => figure.is_whole = false,
        }
    }
    Ok(figure)
}

type Kind = fn(Option<&ResourceRequirements>, &str) -> Result<Option<Amount>, String>;

/// A request that is left out becomes the limit.
fn request(
    resources: Option<&ResourceRequirements>,
    resource: &str,
) -> Result<Option<Amount>, String> {
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    match read(REQUESTS, requests, resource)? {
        None => limit(resources, resource),
        request => Ok(request),
    }
}

fn limit(
    resources: Option<&ResourceRequirements>,
    resource: &str,
) -> Result<Option<Amount>, String> {
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    read(LIMITS, limits, resource)
}

fn read(
    kind: &str,
    map: Option<&BTreeMap<String, ApiQuantity>>,
    resource: &str,
) -> Result<Option<Amount>, String> {
    let Some(ApiQuantity(text)) = map.and_then(|map| map.get(resource)) else {
        return Ok(None);
    };
    let quantity = Quantity::parse(text).map_err(|wrong| {
        format!("resources.{kind}.{resource}={text:?}: {wrong}; for example 20m or 20Mi")
    })?;
    Ok(Some(Amount::from(&quantity)))
}

#[cfg(test)]
mod tests;
