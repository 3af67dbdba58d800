//! A Secret of the program's own, which all replicas write.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use uuid::Uuid;

/// It, by its name.
#[derive(Clone)]
pub(crate) struct OwnSecret {
    api: Api<Secret>,
    name: String,
    /// Who writes, as field managers are called: each replica is another one, so that two that make it at once conflict.
    manager: String,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the Secret {name} cannot be {what}")]
pub struct SecretError {
    /// Which.
    name: String,
    /// What was to be done.
    what: &'static str,
    /// Why not.
    source: kube::Error,
}

impl SecretError {
    /// Whether another replica has written meanwhile: then there is only to look again.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(&self.source, kube::Error::Api(status) if status.code == 409)
    }
}

/// What it was when it was read; nobody else may have changed it before it is written.
pub(crate) struct Read(Option<Secret>);

impl OwnSecret {
    pub(crate) fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            manager: format!("image-cloner-{}", Uuid::new_v4().simple()),
        }
    }

    pub(crate) async fn read(&self) -> Result<Read, SecretError> {
        let secret = self.api.get_opt(&self.name).await;
        secret
            .map(Read)
            .map_err(|source| self.failed("read", source))
    }

    /// Writes these keys, where nobody else has written since it was read: that is a conflict.
    pub(crate) async fn write<'a>(
        &self,
        read: Read,
        data: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) -> Result<Read, SecretError> {
        let data = data.into_iter();
        let data = data.map(|(key, bytes)| (key.to_owned(), ByteString(bytes)));
        let written = if let Some(mut secret) = read.0 {
            secret.data.get_or_insert_default().extend(data);
            let params = PostParams::default();
            self.api.replace(&self.name, &params, &secret).await
        } else {
            // Made by an apply: a right to create can be limited to a name only so.
            let apply = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.name},
                "data": data.collect::<BTreeMap<_, _>>(),
            });
            let (params, apply) = (PatchParams::apply(&self.manager), Patch::Apply(&apply));
            self.api.patch(&self.name, &params, &apply).await
        };
        let written = written.map_err(|source| self.failed("written", source))?;
        Ok(Read(Some(written)))
    }

    fn failed(&self, what: &'static str, source: kube::Error) -> SecretError {
        SecretError {
            name: self.name.clone(),
            what,
            source,
        }
    }
}

impl Read {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        let data = self.0.as_ref()?.data.as_ref()?;
        data.get(key).map(|value| value.0.as_slice())
    }
}
