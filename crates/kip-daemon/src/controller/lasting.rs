//! What lasts, or comes again and again: looked at from time to time, since nothing new will call attention to it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Controller, Memory};
use crate::cluster::Seen;
use crate::events::Reason;
use crate::metrics::ApplyResult;
use crate::plan::{Applied, Why};
use crate::server::HEARTBEAT;

/// A deletion that takes longer is told: something holds it up.
const LONG_DEATH: Duration = Duration::from_secs(10);
/// After this time a Deployment that took our own one's name is our own: had ours been deleted together with its
/// pods, this process would have been ended.
const ADOPTION: Duration = Duration::from_secs(60);
/// What lasts is told again: Events live for an hour.
const REMIND: Duration = Duration::from_secs(10 * 60);

impl Controller {
    /// Called at each heartbeat. Events of the same subject are written only after a while, so all of it is said anew.
    pub(super) async fn look_at_what_lasts(&self, memory: &mut Memory) {
        let now = Instant::now();
        memory.look_at = now + HEARTBEAT;
        if let Some(problems) = self.source.refused() {
            let text = problems.to_string();
            self.notices
                .tell(Reason::InvalidConfiguration, text.clone(), text);
        }
        match memory.waiting {
            Some((Why::ForeignSelector, _)) => {
                let text = Why::ForeignSelector.as_str();
                self.notices.tell(Reason::ApplyFailed, text, text);
            }
            Some((Why::Dying, since)) if now.duration_since(since) > LONG_DEATH => {
                self.tell_of_a_long_death(memory);
            }
            _ => {}
        }
        self.adopt_rival(memory, now);
        if let Err(error) = self.write_down_the_sum(memory).await {
            self.metrics.api_error(error.category());
            debug!(
                detail = error.detail(),
                "what is known of the list is not written down"
            );
        }
        self.tell_of_missing_pods(memory).await;
        self.tell_what_is_not_kept_off(memory);
        if now.duration_since(memory.remind_at) > REMIND {
            memory.remind_at = now;
            memory.reporter.remind();
            memory.known.forget_failures(&[]);
            memory.status_due.get_or_insert(now);
        }
    }

    fn tell_of_a_long_death(&self, memory: &Memory) {
        let Seen::Present(live) = &memory.cluster.live else {
            return;
        };
        let finalizers = live.finalizers.join(", ");
        let text = format!(
            "the deletion of the DaemonSet does not end (finalizers: {finalizers}), and until then nothing holds the \
             images; a pod on a node that is away holds up foregroundDeletion: delete such pods with --force"
        );
        debug!(finalizers, "the deletion of the DaemonSet does not end");
        self.notices.tell(Reason::ApplyFailed, "deletion", text);
    }

    /// The own Deployment was deleted without its pods and made again, as is done to change what cannot be changed.
    fn adopt_rival(&self, memory: &mut Memory, now: Instant) {
        let is_due = |(_, since): &(_, Instant)| now.duration_since(*since) > ADOPTION;
        if let Some((deployment, _)) = memory.rival.take_if(|rival| is_due(rival)) {
            info!(
                uid = deployment.owner.uid,
                "the Deployment was made again, it is the own one now"
            );
            self.notices.about(&deployment.owner);
            memory.cluster.adopt(deployment);
            memory.pace.soon(now);
        }
    }

    /// What was applied before was not there any more.
    pub(super) fn tell_of_a_fight(&self, result: ApplyResult, memory: &mut Memory) {
        let now = Instant::now();
        let (is_fight, what) = match result {
            ApplyResult::created => (memory.pace.undid_deletion(now), "deleting"),
            _ => (memory.pace.undid_change(now), "changing"),
        };
        if is_fight {
            let text = format!(
                "somebody else keeps {what} the DaemonSet; it is put right every 5 s now. \
                 The API server's audit log tells who, and `kubectl get daemonset -o yaml --show-managed-fields`"
            );
            warn!(text, "the DaemonSet is contended");
            self.notices.tell(Reason::Contended, what, text);
        }
    }

    /// A policy of the cluster changed our object while it was written. To write it again would be a fight without end.
    pub(super) fn tell_what_is_not_kept(&self, applied: &Applied) {
        let keys = applied.not_kept().join(", ");
        if !keys.is_empty() {
            let text =
                format!("a policy of the cluster does not keep what the daemon writes: {keys}");
            warn!(keys, "a policy changes what is written");
            self.notices.tell(Reason::Contended, "policy", text);
        }
    }
}
