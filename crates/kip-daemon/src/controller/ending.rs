//! What is done when the daemon is asked to end, or a part is.

use std::time::Duration;

use tracing::{info, warn};

use super::{Controller, Memory, Role};
use crate::api_error::ApiError;
use crate::rollout::fetchers;

/// How long the last requests may take.
const CLEAN_UP: Duration = Duration::from_secs(5);

impl Controller {
    /// Ends the parts, each of which cleans up after itself, and cleans up.
    pub(super) async fn end(&mut self, memory: &Memory) {
        let parts = match &mut self.role {
            Role::Main(main) => main.stop_all(),
            Role::Part(_) => Vec::new(),
        };
        self.clean_up(memory).await;
        // They have begun at the same time, and have as long.
        if tokio::time::timeout(CLEAN_UP, futures::future::join_all(parts))
            .await
            .is_err()
        {
            warn!("the parts have not ended in time");
        }
    }

    /// Deletes what this process has applied, and nothing else, where the setting says so.
    async fn clean_up(&self, memory: &Memory) {
        let Some(uid) = &memory.ours else {
            return;
        };
        if !self
            .source
            .in_force()
            .is_some_and(|config| config.cleanup_on_shutdown)
        {
            return;
        }
        let daemonset = &self.identity.daemonset;
        match tokio::time::timeout(CLEAN_UP, self.delete_all(uid, memory)).await {
            Ok(Ok(())) => info!(daemonset, "DaemonSet deleted, as CLEANUP_ON_SHUTDOWN says"),
            Ok(Err(error)) => warn!(
                detail = error.detail(),
                "the DaemonSet could not be deleted"
            ),
            Err(_) => warn!(daemonset, "the DaemonSet could not be deleted in time"),
        }
    }

    /// Deletes the `DaemonSet` of this uid and its fetchers: they are the Deployment's, which stays.
    pub(super) async fn delete_all(&self, uid: &str, memory: &Memory) -> Result<(), ApiError> {
        self.writer.delete_daemonset(uid).await?;
        for fetcher in fetchers(&memory.cluster.pods) {
            self.writer.delete_pod(&fetcher).await?;
        }
        Ok(())
    }
}
