//! What an apply of the `DaemonSet` has brought.

use k8s_openapi::api::apps::v1::DaemonSet;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{Controller, Memory, seconds_since_1970};
use crate::api_error::ApiError;
use crate::apply::Outcome;
use crate::cluster::{Live, Seen};
use crate::events::Reason;
use crate::metrics::ApplyResult;
use crate::plan::{Applied, Why};

impl Controller {
    pub(super) fn after_apply(
        &self,
        outcome: Result<Outcome, ApiError>,
        desired: DaemonSet,
        memory: &mut Memory,
    ) -> Result<(), ApiError> {
        let object = match outcome? {
            Outcome::Applied(object) => object,
            // The watch will tell when it is gone.
            Outcome::Dying => return Ok(()),
            Outcome::OwnerGone => {
                memory.cluster.deployment = Seen::Absent;
                self.wait(Why::OwnerGone, memory);
                return Ok(());
            }
        };
        let live = Live::from(&*object);
        let result = match &memory.cluster.live {
            Seen::Present(before) if before.uid == live.uid => {
                if before.generation == live.generation {
                    ApplyResult::unchanged
                } else {
                    ApplyResult::changed
                }
            }
            // A deletion that was seen late: what is there is what we made already.
            _ if memory.ours.as_ref() == Some(&live.uid) => ApplyResult::unchanged,
            Seen::Present(_) | Seen::Absent | Seen::Unknown => ApplyResult::created,
        };
        let is_undone = memory
            .applied
            .as_ref()
            .is_some_and(|applied| applied.desired == desired);
        self.report_apply(result, &live);
        let applied = Applied::new(desired, &live);
        if is_undone {
            self.tell_of_a_fight(result, memory);
        } else {
            self.tell_what_is_not_kept(&applied);
        }
        memory.last = Some(applied.desired.clone());
        memory.applied = Some(applied);
        memory.ours = Some(live.uid.clone());
        memory.cluster.live = Seen::Present(live);
        memory.waiting = None;
        self.health.ready();
        // There may be a next step.
        memory.pace.soon(Instant::now());
        Ok(())
    }

    /// Where the DaemonSet is gone and the API server refuses what is configured now, the last one holds the images again.
    pub(super) async fn bring_back_the_last(&self, memory: &mut Memory) {
        let (Seen::Absent, Some(last)) = (&memory.cluster.live, &memory.last) else {
            return;
        };
        if let Ok(Outcome::Applied(object)) = self.writer.apply(last).await {
            let live = Live::from(&*object);
            self.report_apply(ApplyResult::created, &live);
            memory.ours = Some(live.uid.clone());
            memory.cluster.live = Seen::Present(live);
        }
    }

    fn report_apply(&self, result: ApplyResult, live: &Live) {
        self.metrics.applied(result, seconds_since_1970());
        let daemonset = &self.identity.daemonset;
        match result {
            ApplyResult::created => {
                info!(daemonset, uid = live.uid, "DaemonSet created");
                let text = format!("DaemonSet {daemonset} created");
                self.notices
                    .tell(Reason::DaemonSetCreated, daemonset.as_str(), text);
            }
            ApplyResult::changed => {
                info!(daemonset, generation = live.generation, "DaemonSet changed");
            }
            ApplyResult::unchanged | ApplyResult::failed => {
                debug!(daemonset, "DaemonSet as it should be");
            }
        }
    }
}
