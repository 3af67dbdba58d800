//! Starts everything, and ends when asked to or when a part dies that must not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kip_program::process;
use kube::api::Api;
use kube::{Client, Config as ClientConfig};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::api_error::REQUEST_TIMEOUT;
use crate::apply::Writer;
use crate::cluster::PodList;
use crate::config::Config;
use crate::config::startup::Identity;
use crate::controller::{Controller, Main, Role, find_parts};
use crate::events::{self, Notices};
use crate::metrics::Metrics;
use crate::observe::{self, Observation, READ_TIMEOUT};
use crate::original;
use crate::registries::Asker;
use crate::schedule::Schedule;
use crate::server::{self, HEARTBEAT, Health};
use crate::settings::Settings;
use crate::source::ConfigSource;

/// How the daemon is started.
#[derive(Debug)]
pub struct Options {
    /// The settings of the environment.
    pub settings: Settings,
    /// Where the HTTP port is opened.
    pub listen: SocketAddr,
    /// Name of this process in Events: the pod's, from `HOSTNAME`.
    pub instance: String,
}

/// What ends `run` without a fault of the daemon's.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The environment's settings have problems, and there is no `ConfigMap` that could mend them.
    #[error("{0}")]
    BadSettings(#[from] crate::config::Problems),
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Observations that wait for the controller.
const QUEUE: usize = 256;

/// Runs until a signal asks for the end.
///
/// # Errors
/// [`Stop`]; no way to the cluster is configured; the port is taken; a part of the daemon died.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let client_config = client_config().await?;
    let own_namespace = in_cluster_namespace(&client_config);
    let client =
        Client::try_from(client_config).context("the client of the API server cannot be made")?;
    let (metrics, registry) = Metrics::new();
    let health = Health::new("starting");
    let mut tasks = JoinSet::new();
    serve(&options, &health, registry, &mut tasks).await?;

    let stop = process::asked_to_end().context("signals cannot be caught")?;
    let mut stop = std::pin::pin!(stop);
    let identity = tokio::select! {
        () = &mut stop => return Ok(()),
        identity = identify(&options.settings, own_namespace.as_deref(), &client, &health, &metrics) => identity?,
    };
    info!(
        version = env!("CARGO_PKG_VERSION"),
        daemonset = identity.daemonset,
        namespace = identity.namespace,
        deployment = identity.deployment,
        config_map = identity.config_map,
        "started"
    );
    if identity.deployment.is_some() && !identity.is_owned() {
        warn!(
            "the DaemonSet is in another namespace and has no owner: an uninstall leaves it behind"
        );
    }
    let source = match &identity.config_map {
        Some(name) => ConfigSource::config_map(name),
        None => {
            ConfigSource::environment(Config::from_settings(&options.settings).map_err(Stop::from)?)
        }
    };
    let (tx, rx) = mpsc::channel(QUEUE);
    let (notices, told) = Notices::channel();
    observe_all(&client, &identity, &tx, &metrics, &mut tasks);
    let event_writer = events::write(
        client.clone(),
        identity.clone(),
        options.instance,
        metrics.clone(),
        told,
    );
    tasks.spawn(async { match event_writer.await {} });
    let asker = Asker::new(
        Api::namespaced(client.clone(), &identity.namespace),
        identity.registry_ca_file.clone(),
        tx.clone(),
    );
    let schedule = Schedule::start(tx.clone())
        .await
        .context("the scheduler does not start")?;
    tokio::spawn(find_parts(
        client.clone(),
        identity.clone(),
        tx.clone(),
        metrics.clone(),
    ));
    let controller = Controller {
        writer: Writer::new(&client, &identity),
        role: Role::Main(Box::new(Main::new(schedule, asker, client, tx))),
        identity,
        source,
        notices,
        metrics,
        health,
    };
    tokio::select! {
        died = tasks.join_next() => {
            // A daemon that is half dead would look alive.
            error!(?died, "a part of the daemon has ended");
            bail!("a part of the daemon has ended");
        }
        () = controller.run(rx, stop) => {
            info!("ended, as asked; the DaemonSet stays unless it was told otherwise");
            Ok(())
        }
    }
}

async fn client_config() -> anyhow::Result<ClientConfig> {
    // The cause is left out: where a kubeconfig cannot be read it shows a part of it, and there are secrets in it.
    let Ok(mut config) = ClientConfig::infer().await else {
        bail!(
            "no cluster is configured: neither a kubeconfig that can be read (KUBECONFIG, else ~/.kube/config; \
             `kubectl config view` says what is wrong with one) nor a pod's service account"
        );
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(REQUEST_TIMEOUT);
    // Audit logs then say who it was.
    let agent = HeaderValue::from_static(concat!("kip-daemon/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    Ok(config)
}

/// The pod's own namespace, from its service account; `None` on a workstation, where the namespace of the
/// kubeconfig's context is nobody's choice.
fn in_cluster_namespace(config: &ClientConfig) -> Option<String> {
    const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    std::path::Path::new(TOKEN)
        .exists()
        .then(|| config.default_namespace.clone())
}

async fn serve(
    options: &Options,
    health: &Health,
    registry: Registry,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let listener = process::listen(options.listen)
        .await
        .with_context(|| format!("the port {} cannot be opened", options.listen))?;
    let health = health.clone();
    tasks.spawn(async move {
        if let Err(error) = server::serve(listener, health, registry).await {
            error!(%error, "the HTTP server failed");
        }
    });
    Ok(())
}

/// Who the daemon is. Where the environment is wrong and a `ConfigMap` is watched, an edit of it mends that: the
/// environment was made from the same `ConfigMap` when the container was started.
async fn identify(
    settings: &Settings,
    own_namespace: Option<&str>,
    client: &Client,
    health: &Health,
    metrics: &Metrics,
) -> anyhow::Result<Identity> {
    let problems = match Identity::from_settings(settings, own_namespace) {
        Ok(identity) => return Ok(identity),
        Err(problems) => problems,
    };
    // What an edit cannot mend is left: the names that come from the Deployment itself.
    let unnamed = settings.renamed_by(Settings::default());
    let is_mendable = Identity::from_settings(&unnamed, own_namespace).is_ok();
    let namespace = settings.pod_namespace.as_deref().or(own_namespace);
    let (Some(config_map), Some(namespace), true) =
        (&settings.config_map_name, namespace, is_mendable)
    else {
        return Err(Stop::BadSettings(problems).into());
    };
    health.unready(problems.to_string());
    metrics.config_refused(&problems);
    error!(
        problems = problems.to_string(),
        config_map, "waiting for an edit of the ConfigMap that mends this"
    );
    let (tx, mut rx) = mpsc::channel(1);
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let name = config_map.clone();
    let watch = observe::one(
        api,
        name,
        |data: Option<Data>| Observation::ConfigMap(data.map(|d| d.0)),
        tx,
        metrics.clone(),
    );
    let mended = async {
        while let Some(observation) = rx.recv().await {
            if let Observation::ConfigMap(Some(data)) = observation
                && let Ok(newer) = Settings::from_config_map(&data)
                && let Ok(identity) =
                    Identity::from_settings(&settings.renamed_by(newer), own_namespace)
            {
                return identity;
            }
        }
        std::future::pending().await
    };
    let alive = async {
        loop {
            health.turn();
            tokio::time::sleep(HEARTBEAT).await;
        }
    };
    tokio::select! {
        identity = mended => Ok(identity),
        never = watch => match never {},
        never = alive => match never {},
    }
}

/// The data of a `ConfigMap`.
struct Data(BTreeMap<String, String>);

impl From<&ConfigMap> for Data {
    fn from(config_map: &ConfigMap) -> Self {
        Self(config_map.data.clone().unwrap_or_default())
    }
}

fn observe_all(
    client: &Client,
    identity: &Identity,
    tx: &observe::Sender,
    metrics: &Metrics,
    tasks: &mut JoinSet<()>,
) {
    let own = &identity.own_namespace;
    observe::daemon_set(client, identity, tx, metrics, tasks);
    // No one selector matches the labels of both lists of pods.
    let pods = Api::namespaced(client.clone(), &identity.namespace);
    let leftovers = original::POD_SELECTOR.to_owned();
    let watch = observe::pods(
        pods,
        PodList::Leftovers,
        leftovers,
        tx.clone(),
        metrics.clone(),
    );
    tasks.spawn(async { match watch.await {} });

    let discovery = observe::flavour(client.clone(), tx.clone(), metrics.clone());
    tasks.spawn(async { match discovery.await {} });

    if let Some(name) = identity.deployment.clone() {
        let api = Api::<Deployment>::namespaced(client.clone(), own);
        let watch = observe::one(
            api,
            name,
            Observation::Deployment,
            tx.clone(),
            metrics.clone(),
        );
        tasks.spawn(async { match watch.await {} });
    }
    if let Some(name) = identity.config_map.clone() {
        let api = Api::<ConfigMap>::namespaced(client.clone(), own);
        let observed = |data: Option<Data>| Observation::ConfigMap(data.map(|data| data.0));
        let watch = observe::one(api, name, observed, tx.clone(), metrics.clone());
        tasks.spawn(async { match watch.await {} });
    }
}
