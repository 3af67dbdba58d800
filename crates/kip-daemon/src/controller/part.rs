//! The controller of a part: it does as the main one says, and tells it where the part stands.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info};

use super::asking::newest_pull_secrets;
use super::{Controller, Memory, Role, STATUS_GAP};
use crate::architecture::Architecture;
use crate::cluster::{Live, Seen};
use crate::desired::content_hash_of;
use crate::desired::names::PART_OF;
use crate::events::Reason;
use crate::observe::{Observation, Sender};
use crate::parts::{Order, Report, Standing, standing};
use crate::rollout::Round;
use crate::trouble::Trouble;

/// How the controller of a part is bound to the main one.
pub struct Link {
    /// Of which nodes.
    pub architecture: Architecture,
    /// The name of the main `DaemonSet`.
    pub of: String,
    /// To the main controller.
    pub tx: Sender,
    /// Whether the part is to go.
    pub is_to_go: bool,
}

impl Link {
    /// Tells the main controller something, unless it has too much to do. It never waits: the other one might wait for us.
    pub(super) fn tell(&self, observation: Observation) -> bool {
        self.tx.try_send(observation).is_ok()
    }
}

impl Controller {
    /// A pod that was there then, and that no kubelet has taken up, waits for a node that is away.
    pub(super) fn long_ago(&self) -> Timestamp {
        let config = self.source.in_force();
        let patience = config.map_or(Duration::MAX, |config| config.rollout.settle_deadline);
        let ago = Timestamp::now().checked_sub(patience);
        ago.unwrap_or(Timestamp::MIN)
    }

    pub(super) async fn obey(&mut self, order: Order, memory: &mut Memory) {
        let Role::Part(link) = &mut self.role else {
            return;
        };
        link.is_to_go = order == Order::Go;
        let now = Instant::now();
        memory.pace.now(now);
        memory.status_due.get_or_insert(now);
        if let Order::Keep(config) = order
            && self.source.set(*config)
        {
            self.take_up_config(memory).await;
        }
    }

    pub(super) fn is_to_go(&self) -> bool {
        matches!(&self.role, Role::Part(link) if link.is_to_go)
    }

    /// Whether the `DaemonSet` has the name of the part and is not the part's: nobody has chosen that name.
    pub(super) fn is_somebody_elses(&self, memory: &Memory) -> bool {
        let (Role::Part(link), Seen::Present(live)) = (&self.role, &memory.cluster.live) else {
            return false;
        };
        let is_ours = match live.annotations.get(PART_OF) {
            Some(of) => *of == link.of,
            // A policy may take it off; who owns it is left.
            None => match &memory.cluster.deployment {
                Seen::Present(own) => live.owners.contains(&own.owner.uid),
                Seen::Absent | Seen::Unknown => false,
            },
        };
        !is_ours && memory.ours.as_ref() != Some(&live.uid)
    }

    /// Tells what keeps the part from being made, as long as it is so: the same is not told again for a while.
    pub(super) fn leave_alone(&self) {
        let daemonset = &self.identity.daemonset;
        let text = format!(
            "the DaemonSet {daemonset} is somebody else's and is left alone: images that have nothing for the nodes of its \
             architecture fail there until it has another name"
        );
        debug!(daemonset, "the DaemonSet is somebody else's");
        self.notices
            .tell(Reason::ApplyFailed, daemonset.as_str(), text);
    }

    /// Deletes the part's `DaemonSet`.
    pub(super) async fn go(&self, memory: &mut Memory) {
        memory.applied = None;
        memory.last = None;
        let is_ours = !self.is_somebody_elses(memory);
        let uid = match &memory.cluster.live {
            Seen::Present(live) if is_ours && !live.terminating => live.uid.clone(),
            _ => return,
        };
        if let Err(error) = self.delete_all(&uid, memory).await {
            self.failed(&error, false, memory);
            return;
        }
        let daemonset = &self.identity.daemonset;
        info!(
            daemonset,
            "DaemonSet deleted, its nodes need none of their own"
        );
        if let Seen::Present(live) = &mut memory.cluster.live {
            // The watch tells when it is gone.
            live.terminating = true;
        }
        memory.pauses.reset();
    }

    /// Tells the main controller where the part stands.
    pub(super) fn report(&self, troubles: BTreeMap<Trouble, usize>, memory: &mut Memory) {
        let Role::Part(link) = &self.role else {
            return;
        };
        let group = self.source.in_force().and_then(|it| it.groups.first());
        let applied = memory.applied.as_ref();
        let content = applied.and_then(|applied| content_hash_of(&applied.desired));
        let standing = match group {
            Some(group) => {
                let content = content.map_or("", String::as_str);
                standing(group, content, &memory.cluster, self.long_ago())
            }
            None => Standing::default(),
        };
        let report = Report {
            is_gone: link.is_to_go
                && (memory.cluster.live == Seen::Absent || self.is_somebody_elses(memory)),
            content: content.cloned(),
            standing,
            status: memory.status.clone(),
            troubles,
            figures: memory.figures,
            is_rolled_out: content
                .is_some_and(|content| is_rolled_out(&memory.cluster.live, content)),
            pull_secrets: newest_pull_secrets(&memory.cluster),
        };
        let report = Observation::Part(link.architecture, Box::new(report));
        if !link.tell(report) {
            memory.status_due = Some(Instant::now() + STATUS_GAP);
        }
    }
}

/// Whether the last rollout has brought this list, and has ended with a node on which it came through.
fn is_rolled_out(live: &Seen<Live>, content: &str) -> bool {
    let Seen::Present(live) = live else {
        return false;
    };
    let round = Round::of(live);
    round.is_some_and(|round| round.content == content && round.ended.is_some() && round.proven)
}
