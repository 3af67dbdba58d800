//! Starts everything, and ends when asked to or when a part dies that must not.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kip_program::process;
use kip_registry::{
    Client as Registries, Options, PrivateHosts, Proxies, Retries, Settings as RegistrySettings,
};
use kube::{Client, Config as ClientConfig};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::certificates::Keeper;
use crate::config::Config;
use crate::copies::{self, Copier};
use crate::metrics::Metrics;
use crate::originals::{self, Originals};
use crate::proofs::Proofs;
use crate::remembering::Remembering;
use crate::secrets::Secrets;
use crate::server::{self, App};
use crate::service::Service;
use crate::target::Login;
use crate::tls::{self, Shown, files};
use crate::words;

/// How the server is started.
#[derive(Debug, Clone)]
pub struct Start {
    /// Where requests come in, by TLS.
    pub listen: SocketAddr,
    /// Where probes and metrics are asked for, without TLS.
    pub probes: SocketAddr,
    /// Certificate and key; `None` where it keeps its own.
    pub files: Option<[PathBuf; 2]>,
}

/// A user that is not known yet is looked for so often.
const USER_PAUSE: Duration = Duration::from_secs(10);
/// After the end is asked for, requests still come: who sends them hears of it a little later.
const LINGER: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What must not end before the program does.
type Tasks = JoinSet<anyhow::Result<()>>;

/// Runs until a signal asks for the end.
///
/// # Errors
/// A setting that only now turns out to be wrong; no way to the cluster; a port that is taken; a part that died.
pub async fn run(config: Config, start: Start) -> anyhow::Result<()> {
    let (client, own_namespace) = cluster().await?;
    let namespace = config.own.namespace.clone().unwrap_or(own_namespace);
    let mut tasks = Tasks::new();
    let (ready, is_ready) = watch::channel(false);
    let probes = bind(start.probes).await?;
    let listener = bind(start.listen).await?;
    let (metrics, registry) = Metrics::new();
    tasks.spawn(server::probes(probes, is_ready.clone(), registry));

    let mut stop = std::pin::pin!(process::asked_to_end()?);
    let remembering = Remembering::new(client.clone(), &namespace, &config.own.proof_secret);
    // Both wait for the API server as long as it takes.
    let start_up = async {
        user_is_known(&config).await;
        let shown = certificate(&config, &start, &client, &namespace, &metrics, &mut tasks).await?;
        anyhow::Ok((shown, remembering.first().await))
    };
    let (shown, proofs) = tokio::select! {
        () = &mut stop => return Ok(()),
        begun = start_up => begun?,
    };
    let (mut service, login) = service(&config, proofs, &metrics)?;
    service.remembering = Some(remembering.clone());
    let originals = service.originals.clone();
    look_after(
        &config,
        &service,
        login,
        remembering.clone(),
        &metrics,
        &mut tasks,
    );
    let app = App {
        service: Arc::new(service),
        secrets: Arc::new(Secrets::new(client)),
        ready: is_ready,
        metrics: metrics.clone(),
    };
    let (end, ended) = oneshot::channel::<()>();
    let mut serving = tokio::spawn(tls::serve(listener, shown, server::router(app), async {
        let _ = ended.await;
    }));
    let (version, port) = (env!("CARGO_PKG_VERSION"), start.listen.port());
    info!(version, port, namespace, "started");
    ready.send_replace(true);
    tokio::select! {
        died = tasks.join_next() => {
            // What is half dead would look alive.
            error!(?died, "a part has ended");
            bail!("a part has ended");
        }
        ended = &mut serving => bail!("requests are taken no longer: {ended:?}"),
        () = stop => {}
    }
    ready.send_replace(false);
    tokio::time::sleep(LINGER).await;
    let _ = end.send(());
    serving.await?.context("requests that had begun")?;
    remembering.share(&originals).await;
    info!("ended, as asked");
    Ok(())
}

/// Waits until there is a user, where names of copies begin with it: replicas must agree on them.
async fn user_is_known(config: &Config) {
    while config.needs_user() {
        match Login::read(&config.auth_dir, &config.registry) {
            Ok(login) if !login.user.is_empty() => return,
            Ok(_) => {
                let folder = config.auth_dir.display();
                warn!(%folder, "REGISTRY has no path, and the user that names of copies begin with is not known yet");
            }
            Err(error) => {
                let error = words::of(&error);
                warn!(error, "the registry's credentials cannot be read");
            }
        }
        tokio::time::sleep(USER_PAUSE).await;
    }
}

/// What is shown, and who looks after it.
async fn certificate(
    config: &Config,
    start: &Start,
    client: &Client,
    namespace: &str,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> anyhow::Result<Shown> {
    if let Some([certificate, key]) = start.files.clone() {
        let shown = files::first(&certificate, &key)?;
        for_ever(tasks, files::follow(certificate, key, shown.clone()));
        return Ok(shown);
    }
    let lifetime = config.certificate_lifetime;
    let keeper = Keeper::new(client.clone(), &config.own, namespace, lifetime);
    let (certificates, shown) = keeper.first().await;
    let metrics = metrics.clone();
    let expires = move |seconds| metrics.certificate_until(seconds);
    for_ever(tasks, keeper.keep(certificates, shown.clone(), expires));
    Ok(shown)
}

/// Follows what may change while it runs.
fn look_after(
    config: &Config,
    service: &Service,
    login: Login,
    remembering: Remembering,
    metrics: &Metrics,
    tasks: &mut Tasks,
) {
    let (copier, naming) = (service.copier.clone(), service.naming.clone());
    let (folder, registry) = (config.auth_dir.clone(), config.registry.clone());
    for_ever(tasks, login.follow(folder, registry, copier, naming));
    let (originals, metrics) = (service.originals.clone(), metrics.clone());
    for_ever(tasks, async move {
        let count = |proofs| metrics.proofs(proofs);
        remembering.keep(&originals, count).await;
    });
}

fn for_ever(tasks: &mut Tasks, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        task.await;
        Ok(())
    });
}

/// What answers, with what is set.
///
/// # Errors
/// What is set does not go together, or a file that it names cannot be read.
pub fn service(
    config: &Config,
    proofs: Proofs,
    metrics: &Metrics,
) -> anyhow::Result<(Service, Login)> {
    let login = Login::read(&config.auth_dir, &config.registry)?;
    let naming = config.naming(&login.user)?;
    let reach = registry_settings(config, naming.registry())?;
    // To ask what a tag stands for is a matter of a moment: a registry that is away must not hold up who waits.
    let questions = Registries::new(RegistrySettings {
        retries: Retries {
            count: 1,
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(1),
        },
        connect_timeout: Duration::from_secs(3),
        idle_timeout: Duration::from_secs(5),
        ..reach.clone()
    })?;
    let registries = Registries::new(reach)?;
    let settings = copies::Settings {
        naming: naming.clone(),
        options: Options {
            referrers: config.referrers,
            cosign_tags: config.referrers,
            max_bytes: config.max_image_size,
            ..Options::default()
        },
        at_once: config.copies_at_once,
        fresh: config.copy_fresh,
    };
    let asked = originals::Settings {
        lifetime: config.proof_lifetime,
        fresh: config.original_fresh,
    };
    let writers = login.credentials.clone().into();
    let service = Service {
        scope: config.scope.clone(),
        naming,
        rules: config.rules.clone(),
        unproven: config.unproven,
        originals: Originals::new(questions, proofs, asked),
        copier: Copier::new(registries, settings, writers, metrics.clone()),
        remembering: None,
    };
    Ok((service, login))
}

fn registry_settings(config: &Config, target: &str) -> anyhow::Result<RegistrySettings> {
    let reach = &config.reach;
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| {
            format!(
                "REGISTRY_CA_FILE={}: the file cannot be read",
                path.display()
            )
        })
    };
    let ca = reach.ca_file.as_ref().map(read).transpose()?;
    let private = reach.private.clone().map(|mut hosts| {
        hosts.insert(target.to_owned());
        hosts
    });
    Ok(RegistrySettings {
        plain_http: reach.plain_http.clone(),
        private: private.map_or(PrivateHosts::All, PrivateHosts::Only),
        extra_ca: ca.into_iter().collect(),
        proxies: Proxies::from_env(),
        user_agent: concat!("image-cloner/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..RegistrySettings::default()
    })
}

/// A client of the cluster, and the namespace that it is in.
///
/// # Errors
/// No cluster is configured.
pub async fn cluster() -> anyhow::Result<(Client, String)> {
    // The cause is left out: where a kubeconfig cannot be read it shows a part of it, and there are secrets in it.
    let Ok(mut config) = ClientConfig::infer().await else {
        bail!(
            "no cluster is configured: neither a kubeconfig that can be read (KUBECONFIG, else ~/.kube/config) \
             nor a pod's service account"
        );
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).context("the client of the API server cannot be made")?;
    Ok((client, namespace))
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = process::listen(address).await;
    listener.with_context(|| format!("port {} cannot be opened", address.port()))
}
