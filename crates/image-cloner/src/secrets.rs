//! The pull secrets of the pods of an object, as kubelet would have them.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kip_image::{Keyring, PullSecret};
use kube::Client;
use kube::api::Api;
use serde_json::Value;
use tracing::warn;

use crate::review::Request;
use crate::service::PodSecrets;
use crate::workload::Kind;

/// Reads them from the cluster.
pub struct Secrets {
    client: Option<Client>,
}

impl Secrets {
    /// Reads by this client.
    pub fn new(client: Client) -> Self {
        Self {
            client: Some(client),
        }
    }

    /// Where there is no cluster: nobody has any.
    pub fn none() -> Self {
        Self { client: None }
    }

    /// Those of the object's pods. One that cannot be read is none, as for kubelet.
    pub async fn of(&self, request: &Request) -> PodSecrets {
        let kind = Kind::of(&request.kind.group, &request.kind.kind);
        let spec = kind.and_then(|kind| request.object.pointer(kind.pod_spec));
        let (Some(client), Some(spec)) = (&self.client, spec) else {
            return PodSecrets::default();
        };
        let namespace = &request.namespace;
        let mut names = named(spec);
        let mut account = Vec::new();
        // Only where the pod names none it gets those of its account.
        if names.is_empty() {
            let name = spec.get("serviceAccountName").and_then(Value::as_str);
            let name = name.filter(|name| !name.is_empty()).unwrap_or("default");
            account = of_account(client, namespace, name).await;
            names.clone_from(&account);
        }
        let mut read = Vec::new();
        for name in &names {
            read.extend(secret(client, namespace, name).await);
        }
        PodSecrets {
            keyring: Keyring::new(read),
            account,
        }
    }
}

/// Those that a pod's spec names.
fn named(spec: &Value) -> Vec<String> {
    let secrets = spec.get("imagePullSecrets").and_then(Value::as_array);
    let names = secrets
        .into_iter()
        .flatten()
        .filter_map(|secret| secret.get("name")?.as_str());
    names.map(str::to_owned).collect()
}

async fn of_account(client: &Client, namespace: &str, name: &str) -> Vec<String> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let found = match accounts.get_opt(name).await {
        Ok(found) => found.and_then(|account| account.image_pull_secrets),
        Err(error) => {
            warn!(namespace, account = name, %error, "a service account cannot be read");
            None
        }
    };
    let secrets = found.unwrap_or_default().into_iter();
    secrets.map(|secret| secret.name).collect()
}

async fn secret(client: &Client, namespace: &str, name: &str) -> Option<PullSecret> {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let secret = match secrets.get_opt(name).await {
        Ok(secret) => secret?,
        Err(error) => {
            warn!(namespace, secret = name, %error, "a pull secret cannot be read");
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
