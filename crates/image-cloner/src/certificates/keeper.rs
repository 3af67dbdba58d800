//! Keeps the certificates in the cluster: the Secret that all replicas share, and the webhook configuration.

use std::path::Path;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tracing::{debug, info, warn};

use super::{Certificates, MakeError, Order};
use crate::config::Own;
use crate::own_secret::{OwnSecret, Read, SecretError};
use crate::tls::{self, CertificateError, Shown};
use crate::words;

/// The Secret's only key.
const KEY: &str = "certificates.json";
/// A replica looks so often what the others have done.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Keeps them.
pub struct Keeper {
    secret: OwnSecret,
    webhooks: Api<MutatingWebhookConfiguration>,
    own: Own,
    namespace: String,
    order: Order,
}

/// Why a step cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The Secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The webhook configuration cannot be used.
    #[error("{what}")]
    Api {
        /// What was to be done.
        what: String,
        /// Why not.
        source: kube::Error,
    },
    /// The library makes none.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// What the Secret has cannot be shown.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It cannot be written as JSON.
    #[error("the certificates cannot be written down")]
    Json(#[from] serde_json::Error),
}

impl Keeper {
    /// For a Service in this namespace.
    pub fn new(client: Client, own: &Own, namespace: &str, lifetime: Duration) -> Self {
        Self {
            secret: OwnSecret::new(client.clone(), namespace, &own.certificate_secret),
            webhooks: Api::all(client),
            own: own.clone(),
            namespace: namespace.to_owned(),
            order: Order::for_service(&own.service, namespace, lifetime),
        }
    }

    /// The certificate to show first, as soon as the API server lets us have one.
    pub async fn first(&self) -> (Certificates, Shown) {
        loop {
            match self.step(None).await {
                Ok((certificates, Some(shown))) => return (certificates, Shown::new(shown)),
                Ok((_, None)) => {}
                Err(KeeperError::Secret(error)) if error.is_conflict() => continue,
                Err(error) => {
                    let error = words::of(&error);
                    warn!(error, "there is no certificate yet");
                }
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Renews, and shows what is to be shown, for ever. `expires` is told when the certificate ends, in seconds since 1970.
    pub async fn keep(self, mut certificates: Certificates, shown: Shown, expires: impl Fn(u64)) {
        loop {
            expires(certificates.shown.until);
            tokio::time::sleep(self.pause()).await;
            match self.step(Some(&certificates)).await {
                Ok((now, certificate)) => {
                    if let Some(certificate) = certificate {
                        shown.show(certificate);
                        info!(until = now.shown.until, "a new certificate is shown");
                    }
                    certificates = now;
                }
                Err(KeeperError::Secret(error)) if error.is_conflict() => {
                    debug!("another replica was faster");
                }
                Err(error) => {
                    let error = words::of(&error);
                    warn!(error, "the certificates cannot be looked after");
                }
            }
        }
    }

    fn pause(&self) -> Duration {
        LONGEST_PAUSE.min(self.order.lifetime / 60)
    }

    /// One look at the cluster and what follows from it. Gives what is to be shown where it is something else than before.
    async fn step(
        &self,
        before: Option<&Certificates>,
    ) -> Result<(Certificates, Option<rustls::sign::CertifiedKey>), KeeperError> {
        let (mut read, certificates) = self.read().await?;
        let is_new = certificates.is_none();
        let mut now = match (certificates, before) {
            (Some(certificates), _) => certificates,
            // Somebody has emptied the Secret: what all show and trust is written into it again.
            (None, Some(before)) => before.clone(),
            (None, None) => Certificates::new(&self.order, SystemTime::now())?,
        };
        let is_changed = now.go_on(&self.order, SystemTime::now())?;
        if is_new || is_changed {
            // Where another replica was faster this is a conflict, and the next look finds what it has written.
            read = self.write(read, &now).await?;
        }
        match self.publish(&now.bundle()).await {
            Ok(true) if now.is_published(SystemTime::now()) => {
                self.write(read, &now).await?;
            }
            Ok(_) => {}
            // What there is can be shown all the same: somebody else may tell the API server whom to trust.
            Err(error) => {
                let error = words::of(&error);
                warn!(error, "the authorities cannot be published");
            }
        }
        let is_shown = before.is_some_and(|before| before.shown == now.shown);
        if is_shown {
            return Ok((now, None));
        }
        let names = ["certificate", "key"].map(Path::new);
        let leaf = &now.shown;
        let certificate =
            tls::certificate(leaf.certificate.as_bytes(), leaf.key.as_bytes(), names)?;
        Ok((now, Some(certificate)))
    }

    async fn read(&self) -> Result<(Read, Option<Certificates>), KeeperError> {
        let read = self.secret.read().await?;
        let certificates = read.get(KEY).and_then(|bytes| {
            let parsed = serde_json::from_slice(bytes);
            parsed
                .inspect_err(|error| {
                    // What is wrong is told without the text, which has a key in it.
                    let (line, column) = (error.line(), error.column());
                    warn!(
                        line,
                        column,
                        "the Secret's certificates cannot be read; new ones take their place"
                    );
                })
                .ok()
        });
        Ok((read, certificates))
    }

    async fn write(&self, read: Read, certificates: &Certificates) -> Result<Read, KeeperError> {
        let bytes = serde_json::to_vec(certificates)?;
        let written = self.secret.write(read, [(KEY, bytes)]).await?;
        info!(secret = self.own.certificate_secret, "certificates written");
        Ok(written)
    }

    /// Puts the authorities into the webhook configuration. Says whether they are there.
    async fn publish(&self, bundle: &str) -> Result<bool, KeeperError> {
        let name = &self.own.webhook_configuration;
        let failed = |what: &str| {
            let what = format!("the MutatingWebhookConfiguration {name} cannot be {what}");
            move |source| KeeperError::Api { what, source }
        };
        let found = self.webhooks.get_opt(name).await.map_err(failed("read"))?;
        let Some(found) = found else {
            debug!(name, "there is no such MutatingWebhookConfiguration yet");
            return Ok(false);
        };
        let changes = self.changes(&found, bundle);
        if changes.is_empty() {
            return Ok(true);
        }
        let patch: json_patch::Patch = serde_json::from_value(json!(changes))?;
        self.webhooks
            .patch(name, &PatchParams::default(), &Patch::Json::<()>(patch))
            .await
            .map_err(failed("patched"))?;
        info!(name, "authorities published");
        Ok(true)
    }

    /// What is to be changed: the webhooks that are served by us, and trust others.
    fn changes(
        &self,
        found: &MutatingWebhookConfiguration,
        bundle: &str,
    ) -> Vec<serde_json::Value> {
        let bundle = ByteString(bundle.as_bytes().to_vec());
        let webhooks = found.webhooks.iter().flatten().enumerate();
        let wrong = webhooks.filter(|(_, webhook)| {
            let config = &webhook.client_config;
            let is_ours = config.service.as_ref().is_some_and(|service| {
                service.name == self.own.service && service.namespace == self.namespace
            });
            is_ours && config.ca_bundle.as_ref() != Some(&bundle)
        });
        wrong
            .flat_map(|(index, webhook)| {
                let at = format!("/webhooks/{index}");
                [
                    json!({"op": "test", "path": format!("{at}/name"), "value": webhook.name}),
                    json!({"op": "add", "path": format!("{at}/clientConfig/caBundle"), "value": bundle}),
                ]
            })
            .collect()
    }
}
