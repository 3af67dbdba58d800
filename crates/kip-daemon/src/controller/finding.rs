//! Parts that were made by a daemon before this one.

use kube::Client;
use tracing::warn;

use crate::api_error::Pauses;
use crate::apply::Writer;
use crate::architecture::Architecture;
use crate::config::startup::Identity;
use crate::metrics::Metrics;
use crate::observe::{Observation, Sender};
use crate::parts;

/// Looks once for the `DaemonSet`s of parts. Where the one that names them is gone nobody else knows of them.
pub async fn find_parts(client: Client, identity: Identity, tx: Sender, metrics: Metrics) {
    for architecture in Architecture::ALL {
        let Some(part) = parts::identity(&identity, architecture) else {
            return;
        };
        let writer = Writer::new(&client, &part);
        let mut pauses = Pauses::default();
        let found = loop {
            match writer.images(&identity.daemonset).await {
                Err(error) if !error.category().is_refusal() => {
                    metrics.api_error(error.category());
                    tokio::time::sleep(pauses.after(error.category())).await;
                }
                answer => break answer,
            }
        };
        match found {
            Ok(None) => {}
            Ok(Some(images)) => {
                // A controller that has ended needs no answer.
                let _ = tx.send(Observation::FoundPart(architecture, images)).await;
            }
            Err(error) => {
                metrics.api_error(error.category());
                let (daemonset, detail) = (part.daemonset, error.detail());
                warn!(
                    daemonset,
                    detail, "whether there is this DaemonSet cannot be seen"
                );
            }
        }
    }
}
