//! The cluster that the environment names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::logs::{AuditLog, RegistryLog};
use super::nodes::FAKE;
use super::wait::eventually;
use crate::registry::Registry;

/// A cluster with a registry beside it.
#[derive(Clone)]
pub struct Cluster {
    /// A client with all rights.
    pub client: Client,
    /// `HOST:PORT` of the registry, for the host and for the nodes.
    pub registry: String,
    /// Name of the local cluster; `None` on another kind of cluster, where components cannot be stopped.
    local: Option<String>,
}

/// Makes names of images that no node has yet: each run of the tests has its own.
static SERIAL: AtomicU32 = AtomicU32::new(0);

impl Cluster {
    /// The cluster that `KUBECONFIG`, `KIP_REGISTRY` and `KIP_CLUSTER` name; hack/run-e2e.sh sets them.
    ///
    /// # Errors
    /// Says which variable is missing.
    pub async fn from_env() -> Result<Self> {
        let client = Client::try_default()
            .await
            .context("KUBECONFIG names no cluster; run hack/run-e2e.sh")?;
        let registry = std::env::var("KIP_REGISTRY")
            .context("KIP_REGISTRY is not set; run hack/run-e2e.sh")?;
        let local = std::env::var("KIP_CLUSTER").ok();
        Ok(Self {
            client,
            registry,
            local,
        })
    }

    /// The registry's client.
    pub fn registry_client(&self) -> Registry {
        Registry::new(&self.registry)
    }

    /// A word that no earlier image has in its name or content.
    pub fn unique(&self) -> String {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        format!("{}-{serial}", std::process::id())
    }

    /// Names of the nodes, sorted; those without a machine do not count.
    ///
    /// # Errors
    /// The API server's.
    pub async fn nodes(&self) -> Result<Vec<String>> {
        let list = Api::<Node>::all(self.client.clone())
            .list(&ListParams::default().labels(&format!("!{FAKE}")))
            .await?;
        let mut names: Vec<String> = list
            .items
            .into_iter()
            .filter_map(|node| node.metadata.name)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Waits until no pod of a removed namespace is left: when a test has ended its daemon still refreshes, its pods end and
    /// its nodes pull for a while.
    pub(super) async fn at_rest(&self) {
        eventually("earlier tests have left the nodes", async || {
            let left = self.leaving_pods().await?;
            ensure!(left.is_empty(), "still there: {left:?}");
            Ok(())
        })
        .await;
    }

    /// `NAMESPACE/NAME` of pods in namespaces that are being removed, but for those on nodes without a machine, which nobody
    /// ends.
    async fn leaving_pods(&self) -> Result<Vec<String>> {
        let all = ListParams::default();
        let namespaces = Api::<Namespace>::all(self.client.clone())
            .list(&all)
            .await?;
        let leaving: BTreeSet<String> = namespaces
            .iter()
            .filter(|namespace| namespace.metadata.deletion_timestamp.is_some())
            .map(ResourceExt::name_any)
            .collect();
        let nodes = self.nodes().await?;
        let is_here = |pod: &Pod| {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
            node.is_none_or(|node| nodes.contains(node))
        };
        let pods = Api::<Pod>::all(self.client.clone()).list(&all).await?;
        Ok(pods
            .iter()
            .filter_map(|pod| pod.namespace().map(|namespace| (namespace, pod)))
            .filter(|(namespace, pod)| leaving.contains(namespace) && is_here(pod))
            .map(|(namespace, pod)| format!("{namespace}/{}", pod.name_any()))
            .collect())
    }

    /// A verb of hack/local-cluster.sh, to be run.
    ///
    /// # Errors
    /// When the cluster is not a local one.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let Some(name) = &self.local else {
            bail!("this needs the local cluster (KIP_CLUSTER is not set): {arguments:?}");
        };
        let mut command = Command::new(repository().join("hack/local-cluster.sh"));
        command
            .arg(arguments[0])
            .args(["--name", name])
            .args(&arguments[1..])
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a verb of hack/local-cluster.sh, for example `stop apiserver`.
    ///
    /// # Errors
    /// What the script says.
    pub async fn local(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(arguments)?;
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(
            output.status.success(),
            "local-cluster.sh {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs containerd's command line on a node.
    ///
    /// # Errors
    /// What it says.
    pub async fn ctr(&self, node: &str, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["ctr", node];
        all.extend(arguments);
        self.local(&all).await
    }

    /// The API server's audit log, from now on.
    ///
    /// # Errors
    /// When there is none.
    pub fn audit_log(&self) -> Result<AuditLog> {
        AuditLog::open(&path("KIP_AUDIT_LOG")?)
    }

    /// The registry's access log, from now on.
    ///
    /// # Errors
    /// When there is none.
    pub fn registry_log(&self) -> Result<RegistryLog> {
        RegistryLog::open(&path("KIP_REGISTRY_LOG")?)
    }
}

fn path(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set; run hack/run-e2e.sh"))?;
    Ok(PathBuf::from(path))
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    let e2e = Path::new(env!("CARGO_MANIFEST_DIR"));
    e2e.parent().unwrap_or(e2e)
}
