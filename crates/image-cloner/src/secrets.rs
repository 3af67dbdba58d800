//! The pull secrets of the pods of an object, as kubelet would have them.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kip_image::{Keyring, PullSecret};
use kube::Client;
use kube::api::Api;
use serde_json::Value;
use tracing::warn;

use crate::config::object_name;
use crate::memo::Memo;
use crate::review::Request;
use crate::service::PodSecrets;
use crate::workload::Kind;

/// Reads them from the cluster.
pub struct Secrets {
    client: Option<Client>,
    read: Memo<(String, Which), Found>,
}

/// Which ones a pod has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Which {
    /// Those that it names.
    Named(Vec<String>),
    /// Those of its service account: only where it names none.
    OfAccount(String),
}

/// What was read.
#[derive(Debug, Clone)]
struct Found {
    secrets: Arc<PodSecrets>,
    /// Whether the API server has answered every question.
    is_whole: bool,
}

/// Those of so many accounts, or lists of names, are remembered: each may have a megabyte.
const MOST: usize = 200;
/// So many of them a pod may have.
const NAMES: usize = 20;
/// For so long they are not read again.
const FRESH: Duration = Duration::from_secs(30);

impl Secrets {
    /// Reads by this client.
    pub fn new(client: Client) -> Self {
        Self {
            client: Some(client),
            read: Memo::new(FRESH, MOST),
        }
    }

    /// Where there is no cluster: nobody has any.
    pub fn none() -> Self {
        Self {
            client: None,
            read: Memo::new(FRESH, MOST),
        }
    }

    /// Those of the object's pods. One that cannot be read is none, as for kubelet.
    pub async fn of(&self, request: &Request) -> Arc<PodSecrets> {
        let kind = Kind::of(&request.kind.group, &request.kind.kind);
        let spec = kind.and_then(|kind| request.object.pointer(kind.pod_spec));
        let (Some(client), Some(spec)) = (&self.client, spec) else {
            return Arc::default();
        };
        let key = (request.namespace.clone(), Which::of(spec));
        let found = self.read.of(
            key.clone(),
            |found| found.is_whole,
            || {
                let client = client.clone();
                async move { read(&client, &key.0, &key.1).await }.boxed()
            },
        );
        found.await.secrets
    }
}

impl Which {
    fn of(spec: &Value) -> Self {
        let names = named(spec);
        if !names.is_empty() {
            return Self::Named(names);
        }
        let name = spec.get("serviceAccountName").and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty()).unwrap_or("default");
        Self::OfAccount(name.to_owned())
    }
}

async fn read(client: &Client, namespace: &str, which: &Which) -> Found {
    let mut is_whole = true;
    let (names, account) = match which {
        Which::Named(names) => (names.clone(), None),
        Which::OfAccount(name) => {
            let names = of_account(client, namespace, name).await;
            is_whole = names.is_some();
            (names.clone().unwrap_or_default(), names)
        }
    };
    let mut read = Vec::new();
    for name in &names {
        read.extend(secret(client, namespace, name, &mut is_whole).await);
    }
    Found {
        secrets: Arc::new(PodSecrets {
            keyring: Keyring::new(read),
            account,
        }),
        is_whole,
    }
}

/// Those that a pod's spec names.
fn named(spec: &Value) -> Vec<String> {
    let secrets = spec.get("imagePullSecrets").and_then(Value::as_array);
    let names = secrets
        .into_iter()
        .flatten()
        .filter_map(|secret| secret.get("name")?.as_str());
    // Nobody has checked them yet.
    let names = names.filter(|name| object_name(name).is_ok());
    names.take(NAMES).map(str::to_owned).collect()
}

/// Those that a service account names; `None` where it cannot be read.
async fn of_account(client: &Client, namespace: &str, name: &str) -> Option<Vec<String>> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let found = match accounts.get_opt(name).await {
        Ok(found) => found.and_then(|account| account.image_pull_secrets),
        Err(error) => {
            warn!(namespace, account = name, %error, "a service account cannot be read");
            return None;
        }
    };
    let secrets = found.unwrap_or_default().into_iter();
    Some(secrets.map(|secret| secret.name).collect())
}

async fn secret(
    client: &Client,
    namespace: &str,
    name: &str,
    is_whole: &mut bool,
) -> Option<PullSecret> {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let secret = match secrets.get_opt(name).await {
        Ok(secret) => secret?,
        Err(error) => {
            warn!(namespace, secret = name, %error, "a pull secret cannot be read");
            *is_whole = false;
            return None;
        }
    };
    let kind = secret.type_.as_deref().unwrap_or_default();
    let data = |key: &str| {
        let data = secret.data.as_ref()?.get(key)?;
        Some(data.0.as_slice())
    };
    match PullSecret::from_data(kind, data) {
        Ok(secret) => secret,
        Err(error) => {
            warn!(namespace, secret = name, %error, "a pull secret cannot be used");
            None
        }
    }
}
