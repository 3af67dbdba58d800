//! The chart, installed by Helm as a user does.

use std::process::{Command, Output, Stdio};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::cluster::repository;

/// The name that the documentation uses.
pub const NAME: &str = "kubernetes-image-puller";

/// An installation of the chart in a namespace.
pub struct Release {
    namespace: String,
}

impl Release {
    /// `helm install`, with values, without waiting.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn install(namespace: &str, values: &Value) -> Result<Self> {
        let release = Self {
            namespace: namespace.to_owned(),
        };
        release.helm("install", Some(values), &[]).await?;
        Ok(release)
    }

    /// `helm upgrade` with values.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn upgrade(&self, values: &Value) -> Result<()> {
        self.helm("upgrade", Some(values), &["--force-conflicts"])
            .await
    }

    /// `helm uninstall`.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn uninstall(&self) -> Result<()> {
        self.helm("uninstall", None, &["--wait", "--timeout", "60s"])
            .await
    }

    async fn helm(&self, verb: &str, values: Option<&Value>, more: &[&str]) -> Result<()> {
        let mut command = Command::new("helm");
        command
            .args([verb, NAME, "--namespace", &self.namespace])
            .args(more);
        if let Some(values) = values {
            command.arg(repository().join("deploy/helm"));
            for (key, value) in values.as_object().into_iter().flatten() {
                command.arg("--set-json").arg(format!("{key}={value}"));
            }
        }
        let output = run(command).await?;
        ensure!(
            output.status.success(),
            "helm {verb}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

async fn run(mut command: Command) -> Result<Output> {
    command.stdin(Stdio::null());
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}
