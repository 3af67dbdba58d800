//! A new configuration: taken up or refused.

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Controller, Memory, Role, STATUS_GAP};
use crate::events::Reason;
use crate::source::Verdict;

impl Controller {
    /// A new configuration was offered.
    pub(super) async fn judge(&mut self, verdict: Verdict, memory: &mut Memory) {
        match verdict {
            Verdict::Unchanged => {}
            Verdict::InForce => {
                self.notices
                    .tell(Reason::ConfigurationApplied, "", self.source.summary());
                self.take_up_config(memory).await;
            }
            Verdict::Refused(problems) => {
                self.metrics.config_refused(&problems);
                let text = problems.to_string();
                let kept = if self.source.in_force().is_some() {
                    "the last good configuration stays in force"
                } else {
                    self.health.unready(text.clone());
                    "nothing is done until it is mended"
                };
                warn!(problems = text, kept, "the configuration is refused");
                let said = format!("{text} ({kept})");
                self.notices.tell(Reason::InvalidConfiguration, text, said);
            }
        }
    }

    pub(super) async fn take_up_config(&mut self, memory: &mut Memory) {
        let Some(config) = self.source.in_force() else {
            return;
        };
        let images: usize = config.groups.iter().map(|group| group.images.len()).sum();
        self.metrics.config_in_force(images);
        info!(images, interval = ?config.interval, "configuration in force");
        if let Role::Main(main) = &mut self.role
            && let Err(error) = main.schedule.set(config.interval).await
        {
            warn!(%error, "the tick cannot be scheduled");
        }
        let now = Instant::now();
        memory.reporter.forget();
        memory.known.keep_only(config);
        memory.rolling.at_once();
        memory.pace.now(now);
        memory.status_due.get_or_insert(now + STATUS_GAP);
    }
}
