//! The tick of `CACHING_INTERVAL_HOURS`: the only file that knows the scheduler.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::debug;
use uuid::Uuid;

use crate::observe::Observation;

/// Ticks at an interval that can change.
pub struct Schedule {
    scheduler: JobScheduler,
    tx: mpsc::Sender<Observation>,
    current: Option<(Duration, Uuid)>,
}

impl Schedule {
    /// Starts the scheduler, without a tick yet.
    ///
    /// # Errors
    /// The scheduler's.
    pub async fn start(tx: mpsc::Sender<Observation>) -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        scheduler.start().await?;
        Ok(Self {
            scheduler,
            tx,
            current: None,
        })
    }

    /// Ticks at this interval from now on; `None` means never.
    ///
    /// # Errors
    /// The scheduler's.
    pub async fn set(&mut self, interval: Option<Duration>) -> Result<(), JobSchedulerError> {
        if self.current.map(|(current, _)| current) == interval {
            return Ok(());
        }
        if let Some((_, job)) = self.current.take() {
            self.scheduler.remove(&job).await?;
        }
        if let Some(interval) = interval {
            let tx = self.tx.clone();
            let job = Job::new_repeated(interval, move |_, _| {
                // A tick that meets a full channel is not missed: what fills it brings the controller to act.
                if tx.try_send(Observation::Tick).is_err() {
                    debug!("tick dropped, the controller has work already");
                }
            })?;
            let job = self.scheduler.add(job).await?;
            self.current = Some((interval, job));
        }
        Ok(())
    }
}
