//! The image cloner on the cluster, as its chart installs it, and a namespace of workloads for it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::cluster::repository;
use super::private::Private;
use super::release::Release;
use super::space::{Space, is_ready, within};
use super::wait::eventually;

/// An installation.
pub struct Cloner<'a> {
    /// The namespace that it is in.
    pub space: &'a Space,
    /// What all of its objects are called.
    pub name: String,
    /// What the names of copies begin with.
    pub prefix: String,
    release: Release,
    is_installed: bool,
    values: Value,
}

/// The label of the namespaces that a test's own installation serves: others run beside it.
const LABEL: &str = "image-cloner";

/// The chart's value that says which namespaces an installation serves.
const SELECTOR: &str = "webhook.namespaceSelector";

/// Installs it in a namespace of its own, runs the test with another one that it serves, and removes all of it in the end.
/// The registry's images are what workloads name.
///
/// # Panics
/// When the test does, or when something cannot be made.
pub async fn with_cloner(
    test: &str,
    registries: &[&str],
    values: Value,
    body: impl AsyncFnOnce(&mut Cloner<'_>, &Space),
) {
    within(test, async |workloads| {
        let own = workloads.another("own").await;
        let own = own.expect("the namespace can be made");
        let serves_workloads = values.get(SELECTOR).is_none();
        let cloner = Cloner::install(&own, workloads, registries, values).await;
        let mut cloner = cloner.expect("the chart can be installed");
        let work = async {
            cloner.is_at_work().await;
            if serves_workloads {
                cloner.is_asked(workloads).await;
            }
            body(&mut cloner, workloads).await;
        };
        let result = AssertUnwindSafe(work).catch_unwind().await;
        if result.is_err() {
            cloner.explain().await;
        }
        // What is not in a namespace would stay.
        if let Err(error) = cloner.uninstall().await {
            eprintln!("the image cloner stays: {error:#}");
        }
        own.remove().await;
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    })
    .await;
}

impl<'a> Cloner<'a> {
    async fn install(
        space: &'a Space,
        workloads: &Space,
        registries: &[&str],
        more: Value,
    ) -> Result<Self> {
        let cluster = &space.cluster;
        let name = format!("cloner-{}", cluster.unique());
        let prefix = format!("{}/backup-{}", cluster.registry, cluster.unique());
        let plain: Vec<&str> = registries
            .iter()
            .copied()
            .chain([cluster.registry.as_str()])
            .collect();
        let mut values = json!({
            "name": name,
            "settings.registry": prefix,
            "settings.plainHttpRegistries": plain,
            "settings.privateRegistries": registries,
            SELECTOR: {"matchLabels": {LABEL: name}},
            "resources.requests": {"cpu": "10m", "memory": "32Mi"},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            values[key] = value.clone();
        }
        let release = Release::install_chart(&chart(), &space.name, &values, &[]).await?;
        let labels = json!({"metadata": {"labels": {LABEL: name}}});
        Api::<Namespace>::all(cluster.client.clone())
            .patch(
                &workloads.name,
                &PatchParams::default(),
                &Patch::Merge(labels),
            )
            .await?;
        Ok(Self {
            space,
            name,
            prefix,
            release,
            is_installed: true,
            values,
        })
    }

    /// Waits until the API server trusts it and its pods are ready.
    async fn is_at_work(&self) {
        eventually("the image cloner is at work", async || {
            ensure!(!self.authorities().await?.is_empty(), "no caBundle yet");
            let pods = self.pods().await?;
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            ensure!(ready as u64 == self.replicas(), "{ready} pods are ready");
            Ok(())
        })
        .await;
    }

    /// Waits until the API server asks it about the namespace: it learns of a webhook, and of a namespace's labels, a while after
    /// it has taken them.
    ///
    /// # Panics
    /// When it does not.
    pub async fn is_asked(&self, workloads: &Space) {
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        // Of an image that no registry is asked for.
        let restricted = json!({
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        let container = json!({
            "name": "a", "image": "nothing", "imagePullPolicy": "Never", "securityContext": restricted,
        });
        let pod = json!({"metadata": {"name": "asked"}, "spec": {"containers": [container]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        eventually("the API server asks the image cloner", async || {
            let unchanged = "image_cloner_requests_total{result=\"unchanged\"}";
            let before = self.metric(unchanged).await?;
            workloads.api().create(&dry, &pod).await?;
            ensure!(
                self.metric(unchanged).await? > before,
                "no request has come"
            );
            Ok(())
        })
        .await;
    }

    /// Who the API server trusts, in PEM.
    ///
    /// # Errors
    /// The API server's.
    pub async fn authorities(&self) -> Result<String> {
        let api = Api::<MutatingWebhookConfiguration>::all(self.space.cluster.client.clone());
        let configuration = api.get(&self.name).await?;
        let webhook = configuration.webhooks.into_iter().flatten().next();
        let bundle = webhook.context("no webhook")?.client_config.ca_bundle;
        Ok(String::from_utf8(bundle.unwrap_or_default().0)?)
    }

    /// Its pods that are not being deleted.
    ///
    /// # Errors
    /// The API server's.
    pub async fn pods(&self) -> Result<Vec<Pod>> {
        let selector = ListParams::default().labels("app.kubernetes.io/name=image-cloner");
        let pods = self.space.api::<Pod>().list(&selector).await?.items;
        let alive = pods
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(alive.collect())
    }

    /// The sum of a metric over its pods, by the line's beginning.
    ///
    /// # Errors
    /// When a pod cannot be asked.
    pub async fn metric(&self, line: &str) -> Result<f64> {
        let mut sum = 0.0;
        for pod in self.pods().await? {
            let ip = pod
                .status
                .as_ref()
                .and_then(|status| status.pod_ip.clone())
                .context("no address")?;
            let text = tokio::task::spawn_blocking(move || {
                ureq::get(format!("http://{ip}:8080/metrics"))
                    .call()?
                    .body_mut()
                    .read_to_string()
            });
            let text = text.await??;
            let values = text.lines().filter_map(|it| it.strip_prefix(line));
            sum += values
                .filter_map(|value| value.trim().parse::<f64>().ok())
                .sum::<f64>();
        }
        Ok(sum)
    }

    /// `helm upgrade` with more values.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn upgrade(&mut self, more: Value) -> Result<()> {
        for (key, value) in more.as_object().into_iter().flatten() {
            self.values[key] = value.clone();
        }
        let more = ["--wait", "--timeout", "120s"];
        self.release
            .upgrade_chart(&chart(), &self.values, &more)
            .await
    }

    /// `helm uninstall`.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn uninstall(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_installed) {
            self.release.uninstall().await?;
        }
        Ok(())
    }

    /// Runs the program in one of its pods, as `kubectl exec` does. Gives its exit status, and what it prints.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn exec(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let mut command = std::process::Command::new("kubectl");
        command
            .args(["exec", "--namespace", &self.space.name])
            .arg(format!("deploy/{}", self.name))
            .args(["--", "/image-cloner"])
            .args(arguments)
            .stdin(std::process::Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok((output.status.code().context("it was killed")?, text))
    }

    /// Where the copy of an image of the registry is, without its digest.
    pub fn place(&self, registry: &Private, name: &str) -> String {
        format!(
            "{}/{}/{name}",
            self.prefix,
            registry.address.replace(':', "__")
        )
    }

    /// What each of its replicas has logged.
    ///
    /// # Errors
    /// When not all of them are there, or one's log cannot be had: what is true of all must not be true of none.
    pub async fn logs(&self) -> Result<BTreeMap<String, String>> {
        let pods = self.pods().await?;
        ensure!(
            pods.len() as u64 == self.replicas(),
            "{} pods are there",
            pods.len()
        );
        let mut logs = BTreeMap::new();
        for pod in pods {
            logs.insert(pod.name_any(), self.space.log_of(&pod).await?);
        }
        Ok(logs)
    }

    fn replicas(&self) -> u64 {
        self.values["replicas"].as_u64().unwrap_or(2)
    }

    async fn explain(&self) {
        self.space.explain().await;
        for pod in self.pods().await.unwrap_or_default() {
            self.space.print_log(&pod).await;
        }
    }
}

fn chart() -> PathBuf {
    repository().join("deploy/image-cloner")
}
