//! The cluster, as the kubeconfig and kubectl's flags have it.

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cli::Connection;

/// A connection to the API server.
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The namespace that is meant where none is named.
    pub namespace: String,
    /// How much is said of what is done.
    pub verbosity: u8,
}

impl Cluster {
    /// Reads the kubeconfig; nothing is sent.
    ///
    /// # Errors
    /// When there is none, or something in it is wrong.
    pub async fn of(options: &Connection) -> Result<Self> {
        let mut config = config(options).await?;
        if !options.request_timeout.is_zero() {
            config.read_timeout = Some(options.request_timeout);
        }
        if let Some(user) = &options.impersonate {
            config.auth_info.impersonate = Some(user.clone());
        }
        if !options.impersonate_groups.is_empty() {
            config.auth_info.impersonate_groups = Some(options.impersonate_groups.clone());
        }
        let namespace = options.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Self {
            client,
            namespace,
            verbosity: options.v,
        })
    }
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
