//! The commands, from the cluster to what is printed.

use anyhow::Context as _;
use kube::Client;

use super::hosts::{self, First};
use super::{All, Where, mirror, report, running};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::proofs::Proofs;
use crate::remembering::Remembering;
use crate::run;
use crate::service::Service;
use crate::target::Login;

/// Copies what runs. Says how many images have no copy.
///
/// # Errors
/// The cluster cannot be asked, or a setting turns out to be wrong.
pub async fn mirror_all(
    config: &Config,
    at: &Where,
    tell: impl FnMut(&mirror::Line),
) -> anyhow::Result<usize> {
    let (client, own_namespace) = run::cluster().await?;
    let namespace = config.own.namespace.clone().unwrap_or(own_namespace);
    let remembering = Remembering::new(client.clone(), &namespace, &config.own.proof_secret);
    // Where they can be kept, what is proven now counts when the originals are gone.
    let known = remembering.once().await;
    let service = service(
        config,
        known
            .as_ref()
            .map_or_else(|_| Proofs::new(&[]), Proofs::copy),
    )?;
    let images = all(&client, at, &service).await?.originals;
    let failed = mirror::mirror(&service, images, config.copies_at_once, tell).await;
    match known {
        Ok(_) => remembering.share(&service.originals).await,
        Err(error) => {
            let error = crate::words::of(&error);
            tracing::warn!(error, "who may read what is not remembered");
        }
    }
    Ok(failed)
}

/// Which running images have a copy.
///
/// # Errors
/// As [`mirror_all`].
pub async fn report_all(config: &Config, at: &Where) -> anyhow::Result<Vec<report::Entry>> {
    let (client, _) = run::cluster().await?;
    let service = service(config, Proofs::new(&[]))?;
    let all = all(&client, at, &service).await?;
    Ok(report::report(&service.copier, all, LOOKS).await)
}

/// What tells containerd where the copies of these registries are.
///
/// # Errors
/// When it cannot be told, or a setting turns out to be wrong.
pub fn hosts_of(config: &Config, registries: &[String], first: First) -> anyhow::Result<String> {
    let login = Login::read(&config.auth_dir, &config.registry)?;
    let naming = config.naming(&login.user)?;
    let is_plain = |host: &str| config.reach.plain_http.contains(host);
    let files = registries
        .iter()
        .map(|host| hosts::toml(&naming, host, first, is_plain));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    Ok(files.join("\n"))
}

/// So many copies are looked for at the same time.
const LOOKS: usize = 16;

fn service(config: &Config, proofs: Proofs) -> anyhow::Result<Service> {
    Ok(run::service(config, proofs, &Metrics::default())?.0)
}

async fn all(client: &Client, at: &Where, service: &Service) -> anyhow::Result<All> {
    let all = running(client, at, &service.scope, &service.naming).await;
    all.context("the pods cannot be listed")
}
