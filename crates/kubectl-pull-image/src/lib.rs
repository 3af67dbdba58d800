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
pub mod completion;
pub mod digest;
pub mod failure;
pub mod finding;
pub mod flat;
pub mod helper;
pub mod helping;
pub mod image;
pub mod interrupt;
pub mod link;
pub mod list;
pub mod names;
pub mod on_node;
pub mod output;
pub mod plan;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod report;
pub mod rights;
pub mod sink;
pub mod target;
pub mod transfer;
pub mod units;
pub mod whole_file;

use cli::{Cli, Command};
use cluster::Cluster;
use interrupt::Interrupt;
use progress::Voice;

/// Does what the command line says.
///
/// # Errors
/// With an exit status that [`failure::status`] knows.
pub async fn run(cli: &Cli) -> anyhow::Result<()> {
    let voice = Voice::new(cli.pull.quiet, cli.connection.v);
    let interrupt = Interrupt::listen()?;
    match &cli.command {
        Some(Command::Completion { shell }) => return output::write(&completion::script(*shell)),
        Some(Command::Complete { words }) => {
            return output::write(&completion::complete(words, &cli.connection, voice).await);
        }
        _ => {}
    }
    let cluster = interrupt.or(Cluster::of(&cli.connection, voice)).await?;
    match &cli.command {
        Some(Command::List { node, output }) => {
            list::list(&cluster, node, &cli.helper, *output, &interrupt).await
        }
        Some(Command::Prune {
            all_namespaces,
            force,
        }) => {
            let own = cli
                .helper
                .helper_namespace
                .as_ref()
                .unwrap_or(&cluster.namespace);
            let namespace = (!all_namespaces).then_some(own.as_str());
            interrupt
                .or(prune::prune(&cluster, namespace, *force))
                .await
        }
        _ => pull::pull(&cluster, &cli.pull, &cli.helper, &interrupt).await,
    }
}
