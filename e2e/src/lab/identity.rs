//! A ServiceAccount that somebody else acts as: what it may do is then seen without a pod of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kube::{Client, Config};

use super::cluster::Cluster;

/// A ServiceAccount, with what every one is a member of.
pub struct Identity {
    namespace: String,
    account: String,
    kubeconfig: PathBuf,
}

impl Identity {
    /// The account of this name in this namespace; whether it exists is of no account to who acts as it.
    ///
    /// # Errors
    /// When the kubeconfig is not one of hack/local-cluster.sh, or none can be written beside it.
    pub fn new(namespace: &str, account: &str) -> Result<Self> {
        let text = std::fs::read_to_string(std::env::var("KUBECONFIG")?)?;
        let (before, after) = text
            .split_once("  user: {")
            .context("no user in KUBECONFIG")?;
        let identity = Self {
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            kubeconfig: std::env::temp_dir().join(format!(
                "kip-e2e-{}-{namespace}-{account}.kubeconfig",
                std::process::id()
            )),
        };
        let user = identity.user();
        let groups = identity.groups().join("\", \"");
        let acting =
            format!("{before}  user: {{as: \"{user}\", as-groups: [\"{groups}\"], {after}");
        std::fs::write(&identity.kubeconfig, acting)?;
        Ok(identity)
    }

    /// The name that the API server has for it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.account)
    }

    fn groups(&self) -> [String; 3] {
        [
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{}", self.namespace),
            "system:authenticated".to_owned(),
        ]
    }

    /// A client that acts as it.
    ///
    /// # Errors
    /// When no client can be made.
    pub async fn client(&self) -> Result<Client> {
        let mut config = Config::infer().await?;
        config.auth_info.impersonate = Some(self.user());
        config.auth_info.impersonate_groups = Some(self.groups().to_vec());
        Ok(Client::try_from(config)?)
    }

    /// A kubeconfig whose user acts as it; it is removed when this is dropped.
    pub fn kubeconfig(&self) -> &str {
        self.kubeconfig.to_str().unwrap_or_default()
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        // Best effort: a file in the folder for temporary ones.
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

/// A kind of object that an API server serves, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// The API group; empty for the first one.
    pub group: String,
    /// The resource, with its subresource: `pods/log`.
    pub resource: String,
    /// A version in which it is served.
    pub version: String,
    /// Whether objects of it are in namespaces.
    pub namespaced: bool,
}

/// Every resource that discovery lists, subresources included.
///
/// # Errors
/// The API server's.
pub async fn served(cluster: &Cluster) -> Result<BTreeSet<Served>> {
    let client = &cluster.client;
    let mut lists = Vec::new();
    for version in client.list_core_api_versions().await?.versions {
        lists.push(client.list_core_api_resources(&version).await?);
    }
    for group in client.list_api_groups().await?.groups {
        for version in &group.versions {
            let list = client.list_api_group_resources(&version.group_version);
            lists.push(list.await?);
        }
    }
    let mut served: BTreeSet<Served> = BTreeSet::new();
    for list in lists {
        let (group, version) = list
            .group_version
            .split_once('/')
            .unwrap_or(("", &list.group_version));
        for resource in list.resources {
            let found = Served {
                group: group.to_owned(),
                resource: resource.name,
                version: version.to_owned(),
                namespaced: resource.namespaced,
            };
            // Rights know no versions.
            let is_known = served
                .iter()
                .any(|known| known.group == found.group && known.resource == found.resource);
            if !is_known {
                served.insert(found);
            }
        }
    }
    Ok(served)
}
