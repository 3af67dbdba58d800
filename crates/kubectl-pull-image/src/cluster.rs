//! The cluster, as the kubeconfig and kubectl's flags have it.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::runtime::Handle;

use crate::cli::Connection;
use crate::progress::Voice;

/// How long the API server may take for what has to be done before this program ends, or else would never be noticed.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A connection to the API server.
pub struct Cluster {
    /// The client for requests.
    pub client: Client,
    /// The client for streams, which last and may be silent.
    pub streams: Client,
    /// The namespace that is meant where none is named.
    pub namespace: String,
    /// Where it is told what is done.
    pub voice: Voice,
}

impl Cluster {
    /// Reads the kubeconfig; nothing is sent.
    ///
    /// # Errors
    /// When there is none, or something in it is wrong.
    pub async fn of(options: &Connection, voice: Voice) -> Result<Self> {
        // It may have to run a program that gives credentials, which may last.
        let options = options.clone();
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(Self::read(&options, voice))).await?
    }

    async fn read(options: &Connection, voice: Voice) -> Result<Self> {
        let mut config = config(options).await?;
        if let Some(user) = &options.impersonate {
            config.auth_info.impersonate = Some(user.clone());
        }
        if !options.impersonate_groups.is_empty() {
            config.auth_info.impersonate_groups = Some(options.impersonate_groups.clone());
        }
        let namespace = options.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = |config| Client::try_from(config).context("the kubeconfig cannot be used");
        let streams = client(config.clone())?;
        if !options.request_timeout.is_zero() {
            config.read_timeout = Some(options.request_timeout);
            config.connect_timeout = Some(options.request_timeout);
        }
        Ok(Self {
            client: client(config)?,
            streams,
            namespace,
            voice,
        })
    }
}

/// Does it if the API server answers within [`LIMIT`].
///
/// # Errors
/// When it does not.
pub async fn within_limit<T>(what: &str, work: impl Future<Output = T>) -> Result<T> {
    let done = tokio::time::timeout(LIMIT, work).await;
    // Not as a failure of a known kind, for which nothing is tried again.
    done.map_err(|_| {
        anyhow!(
            "{what}: the API server has not answered for {} s",
            LIMIT.as_secs()
        )
    })
}

async fn config(options: &Connection) -> Result<Config> {
    let chosen = KubeConfigOptions {
        context: options.context.clone(),
        cluster: options.cluster.clone(),
        user: options.user.clone(),
    };
    let Some(path) = &options.kubeconfig else {
        if options.context.is_none() && options.cluster.is_none() && options.user.is_none() {
            return Config::infer()
                .await
                .context("there is no kubeconfig, and this is no pod");
        }
        let config = Config::from_kubeconfig(&chosen).await;
        return config.context("the kubeconfig cannot be used");
    };
    let of_file = || format!("the kubeconfig {}", path.display());
    let read = Kubeconfig::read_from(path).with_context(of_file)?;
    Config::from_custom_kubeconfig(read, &chosen)
        .await
        .with_context(of_file)
}
