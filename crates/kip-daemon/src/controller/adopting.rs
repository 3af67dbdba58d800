//! Takes over what the Go image puller has made.

use tracing::info;

use super::{Controller, Memory};
use crate::api_error::ApiError;
use crate::cluster::Seen;
use crate::events::Reason;

impl Controller {
    /// Deletes its `DaemonSet`: the selector is another one, and cannot be changed. Its pods stay, and keep the images
    /// until ours do.
    pub(super) async fn adopt(&self, uid: &str, memory: &mut Memory) -> Result<(), ApiError> {
        let is_deleted = self.writer.orphan_pods(uid).await?;
        if let Seen::Present(live) = &mut memory.cluster.live {
            // The watch tells when it is gone. Until then there is nothing to do.
            live.terminating = true;
        }
        if is_deleted {
            let daemonset = &self.identity.daemonset;
            info!(
                daemonset,
                uid,
                "adopted the DaemonSet of the Go image puller: its pods stay until ours hold the images"
            );
            let text = format!(
                "adopted the DaemonSet {daemonset} of the Go image puller: each of its pods stays until a pod of ours \
                 holds its images"
            );
            self.notices.tell(Reason::DaemonSetAdopted, "", text);
        }
        Ok(())
    }
}
