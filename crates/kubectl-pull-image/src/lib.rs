//! `kubectl pull-image`: fetches the image of a running container from its node.
//!
//! ```text
//! cli ── target ── which pod, container, node, image; the digest that really runs
//!   │    helper ── a pod on that node with the agent, which pulls and writes nothing     (manifest, waiting)
//!   │    link ──── requests and frames over exec
//!   │    plan ──── of each layer: from the cache, as its blob, as its tar, as a tar made again
//!   │    transfer ─ pieces over several connections into the cache, each checked
//!   │    image ─── manifest and configuration for what was fetched
//!   └─── sink ──── docker, podman, an archive, a folder, a registry
//! ```

pub mod agent;
pub mod archive;
pub mod cache;
pub mod cli;
pub mod cluster;
pub mod digest;
pub mod failure;
pub mod helper;
pub mod image;
pub mod link;
pub mod output;
pub mod plan;
pub mod progress;
pub mod pull;
pub mod rights;
pub mod sink;
pub mod target;
pub mod transfer;

use cli::Cli;
use cluster::Cluster;
use progress::Voice;

/// Does what the command line says.
///
/// # Errors
/// With an exit status that [`failure::status`] knows.
pub async fn run(cli: &Cli) -> anyhow::Result<()> {
    let voice = Voice::new(cli.pull.quiet, cli.connection.v);
    let cluster = Cluster::of(&cli.connection).await?;
    match &cli.command {
        None => pull::pull(&cluster, &cli.pull, &cli.helper, voice).await,
        Some(_) => anyhow::bail!("not yet"),
    }
}
