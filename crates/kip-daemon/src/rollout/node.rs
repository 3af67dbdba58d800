//! How far one node is, read from its pods alone.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::ending::Ending;
use super::round::Round;
use crate::cluster::{ContainerFacts, ContainerState, Duty, FailureKind, Live, PodFacts};

/// A pod with its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The facts.
    pub pod: &'a PodFacts,
}

/// The pods of one node that matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Node<'a> {
    /// The pod of the `DaemonSet`; `None` while its successor has not come.
    pub holder: Option<Named<'a>>,
    /// Whether that pod holds something else than it should.
    pub is_outdated: bool,
    /// The fetcher that the round can use.
    pub fetcher: Option<Named<'a>>,
    /// When a fetcher was first seen that is being deleted: its name is still taken.
    pub clearing: Option<Timestamp>,
    /// Fetchers of other rounds or lists.
    pub others: Vec<Named<'a>>,
}

/// How long something may take.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Now.
    pub now: Timestamp,
    /// For a fetcher to be placed and taken up by kubelet.
    pub placing: SignedDuration,
    /// For a fetcher to be through, and then for the new pod to be.
    pub settling: SignedDuration,
    /// When the last round began.
    pub started: Timestamp,
}

/// The time that is so much later, or the end of time.
pub(super) fn after(time: Timestamp, delay: SignedDuration) -> Timestamp {
    time.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing fetches for it.
    Idle,
    /// Under way. There is something to look at then, if nothing happens before.
    Busy(Timestamp),
    /// Its fetcher did not come to an end.
    Overdue(Ending),
    /// Everything is fetched: the pod that holds the old is to go.
    Swap,
    /// What replaces something that the pod holds cannot be had: it stays, and so does the fetcher.
    Blocked,
    /// The new pod does not start what the fetcher has started: the fetcher stays.
    Unstarted,
    /// There is nothing more to do.
    Done,
}

/// Sorts the pods by node.
pub(super) fn by_node<'a>(
    pods: &'a BTreeMap<String, PodFacts>,
    live: &Live,
    content: &str,
    round: Option<&Round>,
) -> BTreeMap<&'a str, Node<'a>> {
    let mut nodes: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    for (name, pod) in pods.iter().filter(|(_, pod)| !pod.node.is_empty()) {
        let named = Named { name, pod };
        match &pod.duty {
            // See `leftovers`.
            Duty::Leftover => {}
            Duty::Hold => {
                if pod.terminating || !is_of(pod, live) {
                    continue;
                }
                let node = nodes.entry(&pod.node).or_default();
                let is_outdated = is_outdated(pod, live, content);
                // Of two the controller keeps one; the better of them counts until then.
                if node.holder.is_none() || (node.is_outdated && !is_outdated) {
                    node.holder = Some(named);
                    node.is_outdated = is_outdated;
                }
            }
            Duty::Fetch {
                round: number,
                holder,
            } => {
                let node = nodes.entry(&pod.node).or_default();
                let of_round = round.filter(|round| {
                    *holder == live.uid
                        && pod.content_hash.as_deref() == Some(content)
                        && round.content == content
                });
                // One that has nothing is tried anew: what it lacks may be no part of the content, as the sleep image.
                let is_usable = of_round.is_some_and(|round| {
                    *number == round.number || (!round.refresh && !is_idle(pod))
                });
                if pod.terminating {
                    // That of another round has another name.
                    if of_round.is_some_and(|round| *number == round.number) {
                        node.clearing = Some(pod.first_seen);
                    }
                } else if is_usable && node.fetcher.is_none() {
                    node.fetcher = Some(named);
                } else {
                    node.others.push(named);
                }
            }
        }
    }
    nodes
}

/// Whether it is a pod of the `DaemonSet`, not an orphan.
pub(super) fn is_of(pod: &PodFacts, live: &Live) -> bool {
    pod.duty == Duty::Hold && pod.controller.as_deref() == Some(live.uid.as_str())
}

/// A pod that the controller has just made from the template is never outdated, whatever a policy has made of its
/// annotations: to delete it would be a loop. Its number tells only of pods that this `DaemonSet` made: those that were
/// left by a deletion with `--cascade=orphan` have numbers of their own.
pub(super) fn is_outdated(pod: &PodFacts, live: &Live, content: &str) -> bool {
    let is_of_template = pod.created >= live.created
        && pod.template_generation.as_deref() == live.template_generation();
    if is_of_template {
        return false;
    }
    // What is not part of the content (the sleep image, where pods may run) takes effect as pods are made. A pod that
    // holds nothing loses nothing by being made anew.
    pod.content_hash.as_deref() != Some(content)
        || is_idle(pod)
        || (live.restarted_at.is_some() && live.restarted_at != pod.restarted_at)
}

/// Whether it holds no image, and will not in a moment.
pub(super) fn is_idle(pod: &PodFacts) -> bool {
    let cannot = |container: &ContainerFacts| {
        !holds(container) && (is_decided(container) || pod.init_failure.is_some())
    };
    !pod.taken_up || (!pod.containers.is_empty() && pod.containers.iter().all(cannot))
}

/// Whether the image cannot be had, so far.
pub(super) fn is_failed(pod: &PodFacts, container: &ContainerFacts) -> bool {
    // What runs is there, whatever an init container does afterwards.
    (pod.init_failure.is_some() && !is_had(container))
        || matches!(&container.state, ContainerState::Failed(failure) if failure.kind == FailureKind::Pull)
}

fn is_decided(container: &ContainerFacts) -> bool {
    container.state != ContainerState::Waiting
}

/// Whether the image is on the node.
fn is_had(container: &ContainerFacts) -> bool {
    match &container.state {
        ContainerState::Running => true,
        ContainerState::Failed(failure) => failure.kind == FailureKind::Start,
        ContainerState::Waiting => false,
    }
}

/// Whether the image is kept by the container, or by one before it that has ended: after a restart of the node none runs,
/// and where every start asks a registry that is away none will.
fn holds(container: &ContainerFacts) -> bool {
    is_had(container) || container.has_run
}

/// Whether kubelet has been through: each container runs, has run, or cannot.
pub(super) fn is_settled(pod: &PodFacts) -> bool {
    (pod.init_failure.is_some() && !pod.containers.iter().any(is_had))
        || (!pod.containers.is_empty() && pod.containers.iter().all(is_decided))
}

impl<'a> Node<'a> {
    /// How far it is with this fetcher.
    pub(super) fn stage(&self, clock: Clock) -> Stage {
        let Some(Named { pod: fetcher, .. }) = self.fetcher else {
            return match self.holder {
                Some(holder) if self.is_outdated && is_idle(holder.pod) => Stage::Swap,
                _ => Stage::Idle,
            };
        };
        if fetcher.ended {
            return Stage::Overdue(Ending::Evicted);
        }
        let since = |delay| after(fetcher.first_seen, delay);
        if !is_settled(fetcher) {
            let (until, ending) = if fetcher.unplaced.is_some() {
                (since(clock.placing), Ending::Unplaced)
            } else if fetcher.taken_up {
                (since(clock.settling), Ending::Slow)
            } else {
                (since(clock.placing), Ending::Silent)
            };
            return if clock.now < until {
                Stage::Busy(until)
            } else {
                Stage::Overdue(ending)
            };
        }
        match self.holder {
            Some(holder) if self.is_outdated || differs(holder.pod, fetcher) => {
                if is_blocked(holder.pod, fetcher) {
                    Stage::Blocked
                } else {
                    Stage::Swap
                }
            }
            Some(holder) if covers(holder.pod, fetcher) => Stage::Done,
            holder => {
                let from = holder.map_or(fetcher.first_seen, |holder| {
                    holder.pod.first_seen.max(fetcher.first_seen)
                });
                // A fetcher of an earlier round may have come late, and its swap now.
                let from = from.max(clock.started);
                // Twice: the successor is made when the fetcher is through, and nobody has noted when that was.
                let until = after(from, clock.settling * 2);
                if clock.now < until {
                    Stage::Busy(until)
                } else {
                    Stage::Unstarted
                }
            }
        }
    }

    /// Until when its pod may take to come that was swapped in an earlier round.
    pub(super) fn swapping_until(&self, clock: Clock) -> Option<Timestamp> {
        let is_swapping = self.holder.is_none() && self.fetcher.is_none();
        let fetchers = self.others.iter().filter(|_| is_swapping);
        let last = fetchers.map(|fetcher| fetcher.pod.first_seen).max()?;
        let until = after(last.max(clock.started), clock.settling * 2);
        (clock.now < until).then_some(until)
    }

    /// Until when a fetcher may take to go; kubelet is silent where it takes longer.
    pub(super) fn clearing_until(&self, clock: Clock) -> Option<Timestamp> {
        let most = clock.placing + clock.settling;
        self.clearing.map(|since| after(since, most))
    }

    /// Names of what the fetcher was to bring, if it is through and has nothing of it: what it asks for, and what is not
    /// in the list of the pod that holds.
    pub(super) fn in_vain(&self) -> Option<Vec<&'a str>> {
        let Named { pod: fetcher, .. } = self.fetcher?;
        let is_new = |container: &ContainerFacts| {
            let held = self.holder.and_then(|h| h.pod.container(&container.name));
            held.is_none_or(|held| held.image != container.image)
        };
        // Without its init container it brings nothing at all.
        let is_meant = |container: &&ContainerFacts| {
            fetcher.init_failure.is_some() || container.asks || is_new(container)
        };
        let meant = fetcher.containers.iter().filter(is_meant);
        let is_in_vain = is_settled(fetcher)
            && meant.clone().next().is_some()
            && meant.clone().all(|container| is_failed(fetcher, container));
        is_in_vain.then(|| meant.map(|container| &*container.name).collect())
    }

    /// Whether the fetcher holds no image that the pod of the `DaemonSet` does not.
    pub(super) fn adds_nothing(&self) -> bool {
        let is_held = |new: &ContainerFacts| {
            let old = self
                .holder
                .and_then(|holder| holder.pod.container(&new.name));
            old.is_some_and(|old| old.image == new.image && old.state == ContainerState::Running)
        };
        self.fetcher.is_none_or(|fetcher| {
            let containers = &mut fetcher.pod.containers.iter();
            containers.all(|new| new.state != ContainerState::Running || is_held(new))
        })
    }

    /// Whether a fetcher of another round or list can go.
    pub(super) fn is_needless(&self, other: &PodFacts, content: &str, clock: Clock) -> bool {
        let is_covered = |fetcher: Named<'_>| covers(fetcher.pod, other);
        if other.ended || is_idle(other) || self.fetcher.is_some_and(is_covered) {
            return true;
        }
        match self.holder {
            Some(holder) if !self.is_outdated => covers(holder.pod, other),
            _ if other.content_hash.as_deref() == Some(content) => {
                let alone = Node {
                    fetcher: Some(Named {
                        name: "",
                        pod: other,
                    }),
                    ..self.clone()
                };
                matches!(alone.stage(clock), Stage::Overdue(_))
            }
            // It may hold what the pod of the `DaemonSet` does not: it stays until the next fetcher is through.
            _ => false,
        }
    }
}

/// Whether the fetcher has found another content of an image than the one that the pod holds.
fn differs(holder: &PodFacts, fetcher: &PodFacts) -> bool {
    // A pod that was made later was made from what the fetcher has brought.
    holder.created <= fetcher.created
        && fetcher.containers.iter().any(|new| {
            // The list is the same, so a name means the same image, whatever a policy has made of its reference.
            let old = holder.container(&new.name).and_then(|old| old.content);
            old.zip(new.content).is_some_and(|(old, new)| old != new)
        })
}

/// Whether the successor would lack something that the pod holds: an image whose reference was changed to one that
/// cannot be had, or one that kubelet would not start again without a registry that is not there, as where a policy
/// of the cluster makes every pod ask. An image that only the fetcher has asked for is still on the node.
fn is_blocked(holder: &PodFacts, fetcher: &PodFacts) -> bool {
    let is_let_go = |new: &ContainerFacts, old: &ContainerFacts| {
        let is_lost = is_failed(fetcher, new)
            && holds(old)
            && (old.image != new.image || !new.asks || old.asks);
        // Pulled, but no container was made of it: nothing would hold it.
        let is_unheld = old.image == new.image
            && old.state == ContainerState::Running
            && matches!(&new.state, ContainerState::Failed(failure) if failure.kind == FailureKind::Start && failure.is_without_container());
        is_lost || is_unheld
    };
    // The same image may have another name in the new list.
    fetcher.containers.iter().any(|new| {
        let mut olds = holder.containers.iter();
        olds.any(|old| (old.name == new.name || old.image == new.image) && is_let_go(new, old))
    })
}

/// Whether the pod of the `DaemonSet` holds everything that the fetcher does, of what it is to hold.
fn covers(holder: &PodFacts, fetcher: &PodFacts) -> bool {
    // By the image: it may have another name in another list.
    let is_held = |image: &str| {
        let mut same = holder.containers.iter().filter(|c| &*c.image == image);
        same.all(|container| container.state == ContainerState::Running)
    };
    let mut running = fetcher
        .containers
        .iter()
        .filter(|container| container.state == ContainerState::Running);
    is_settled(holder) && running.all(|container| is_held(&container.image))
}
