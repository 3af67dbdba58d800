//! Asks the registries what a whole list is and costs, and says it: `check --registries`. At the edge: it asks.

mod text;

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kip_image::Reference;
use kip_registry::{Client, DockerConfig, Retries, Settings};

pub use self::text::{Report, report};
use crate::api_error::chain;
use crate::architecture::Architecture;
use crate::config::Config;
use crate::config::images::Image;
use crate::config::registries::Registries;
use crate::inspect::{self, Inspected};
use crate::parts;
use crate::registries::{self, Lost};

/// Registries are asked for so many images at a time.
const AT_ONCE: usize = 8;

/// Someone waits for the answer, and can ask again: fewer tries than a daemon has, and shorter waits.
const RETRIES: Retries = Retries {
    count: 2,
    first_wait: Duration::from_millis(300),
    longest_wait: Duration::from_secs(5),
};

/// A registry that is silent for so long is not waited for.
const IDLE: Duration = Duration::from_secs(10);

/// So many characters of a reason are shown.
const REASON_MAX: usize = 1000;

/// What is known of an image of the list.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The image.
    pub image: &'a Image,
    /// What its registry says of it.
    pub found: Result<Inspected, Unknown>,
}

/// Why nothing is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The registry's reason.
    pub reason: String,
    /// Whether the list is wrong: the registry has answered, and no node can have the image either.
    pub is_final: bool,
}

/// A client for one look at the registries.
///
/// # Errors
/// The proxies of the environment, the hosts of the configuration, or the authorities of the file cannot be used.
pub fn client(registries: &Registries, ca_file: Option<&Path>) -> anyhow::Result<Client> {
    Ok(Client::new(Settings {
        retries: RETRIES,
        idle_timeout: IDLE,
        ..registries::settings(&registries.plain_http, ca_file)?
    })?)
}

/// The architectures of the nodes that the list is for, as far as the node selector tells.
pub fn architectures(config: &Config) -> Vec<Architecture> {
    let may_run = |it: &Architecture| parts::may_run_on(config, *it);
    Architecture::ALL.into_iter().filter(may_run).collect()
}

/// Asks for every image; the answers are in the order of the list.
pub async fn ask<'a>(
    client: &Client,
    docker: &DockerConfig,
    images: impl IntoIterator<Item = &'a Image>,
) -> Vec<Answer<'a>> {
    let lost = Lost::default();
    let lost = &lost;
    stream::iter(images)
        .map(|image| async move {
            let found = one(client, docker, &image.image, lost).await;
            Answer { image, found }
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn one(
    client: &Client,
    docker: &DockerConfig,
    image: &str,
    lost: &Lost,
) -> Result<Inspected, Unknown> {
    let reference = Reference::parse(image).map_err(|error| Unknown {
        reason: error.to_string(),
        is_final: true,
    })?;
    if let Some(reason) = lost.spares(&reference) {
        return Err(Unknown {
            reason,
            is_final: false,
        });
    }
    let credentials = docker.credentials(&reference);
    let found = inspect::inspect(client, &reference, &credentials).await;
    found.map_err(|error| {
        let unknown = Unknown {
            reason: bounded(&chain(&error)),
            is_final: error.is_final(),
        };
        if let inspect::Error::Registry(error) = &error {
            lost.learn(&reference, error.kind(), &unknown.reason);
        }
        unknown
    })
}

/// A reason that fits into a line: causes may quote what a registry sent.
fn bounded(reason: &str) -> String {
    let mut line: String = reason.chars().take(REASON_MAX).collect();
    if line.len() < reason.len() {
        line.push('…');
    }
    line.replace(char::is_control, " ")
}
