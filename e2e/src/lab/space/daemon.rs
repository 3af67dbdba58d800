//! The daemon that is installed in the namespace.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::{Space, is_ready};
use crate::lab::release::NAME;
use crate::lab::wait::eventually;

impl Space {
    /// The pod of the daemon.
    ///
    /// # Errors
    /// When there is none.
    pub async fn daemon_pod(&self) -> Result<Pod> {
        let params = ListParams::default().labels(&format!("app={NAME}"));
        let pods = self.api::<Pod>().list(&params).await?.items;
        pods.into_iter()
            .find(|pod| pod.metadata.deletion_timestamp.is_none())
            .context("the daemon has no pod")
    }

    /// The daemon's own metrics page.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn metrics(&self) -> Result<String> {
        self.page("metrics").await
    }

    /// A page of the daemon's HTTP port, by the API server's proxy.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn page(&self, name: &str) -> Result<String> {
        let pod = self.daemon_pod().await?.name_any();
        let path = format!(
            "/api/v1/namespaces/{}/pods/{pod}:8080/proxy/{name}",
            self.name
        );
        Ok(self
            .cluster
            .client
            .request_text(http::Request::get(path).body(Vec::new())?)
            .await?)
    }

    /// Waits until a metric has a value.
    ///
    /// # Panics
    /// When the deadline is over.
    pub async fn metric_is(&self, name: &str, value: &str) {
        let line = format!("{name} {value}");
        eventually(&line, async || {
            let text = self.metrics().await?;
            ensure!(text.lines().any(|found| found == line), "metrics:\n{text}");
            Ok(())
        })
        .await;
    }

    /// Deletes the daemon's pod, and waits until another one is ready.
    ///
    /// # Panics
    /// When it cannot be deleted, or the deadline is over.
    #[allow(clippy::expect_used, reason = "a test fails by a panic")]
    pub async fn replace_daemon(&self) -> Pod {
        let before = self.daemon_ready().await;
        let deleted = self.delete_pod(&before).await;
        deleted.expect("the daemon's pod can be deleted");
        eventually("another daemon", async || {
            let now = self.daemon_pod().await?;
            ensure!(now.uid() != before.uid(), "it is the old one");
            Ok(())
        })
        .await;
        self.daemon_ready().await
    }

    /// Waits until the daemon's pod is ready.
    ///
    /// # Panics
    /// When the deadline is over.
    pub async fn daemon_ready(&self) -> Pod {
        eventually("the daemon is ready", async || {
            let pod = self.daemon_pod().await?;
            ensure!(is_ready(&pod), "{:?}", pod.status);
            Ok(pod)
        })
        .await
    }
}
