//! The chart, installed by Helm as a user does.

use std::path::{Path, PathBuf};
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
        Self::install_chart(&own_chart(), namespace, values, &[]).await
    }

    /// `helm install` of another chart under the same name, with further arguments.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn install_chart(
        chart: &Path,
        namespace: &str,
        values: &Value,
        more: &[&str],
    ) -> Result<Self> {
        let release = Self {
            namespace: namespace.to_owned(),
        };
        release.helm("install", Some((chart, values)), more).await?;
        Ok(release)
    }

    /// `helm upgrade` of another chart, with values and further arguments.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn upgrade_chart(&self, chart: &Path, values: &Value, more: &[&str]) -> Result<()> {
        self.helm("upgrade", Some((chart, values)), more).await
    }

    /// `helm upgrade` with values.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn upgrade(&self, values: &Value) -> Result<()> {
        self.upgrade_with(values, &["--force-conflicts"]).await
    }

    /// `helm upgrade` with values and further arguments.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn upgrade_with(&self, values: &Value, more: &[&str]) -> Result<()> {
        self.helm("upgrade", Some((&own_chart(), values)), more)
            .await
    }

    /// `helm rollback` to the revision before, with further arguments.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn rollback(&self, more: &[&str]) -> Result<()> {
        self.helm("rollback", None, more).await
    }

    /// `helm uninstall`.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn uninstall(&self) -> Result<()> {
        self.helm("uninstall", None, &["--wait", "--timeout", "60s"])
            .await
    }

    async fn helm(&self, verb: &str, chart: Option<(&Path, &Value)>, more: &[&str]) -> Result<()> {
        let mut command = Command::new("helm");
        command
            .args([verb, NAME, "--namespace", &self.namespace])
            .args(more);
        if let Some((chart, values)) = chart {
            command.arg(chart);
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

fn own_chart() -> PathBuf {
    repository().join("deploy/helm")
}

async fn run(mut command: Command) -> Result<Output> {
    command.stdin(Stdio::null());
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}
