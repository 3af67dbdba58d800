//! A pull: find out what is meant, start the helper pod, fetch what is missing, deliver it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::cache::Cache;
use crate::cli::{HelperOptions, Pull};
use crate::cluster::Cluster;
use crate::failure::usage;
use crate::finding::Finding;
use crate::helper::Running;
use crate::helping;
use crate::image::{Image, Origin};
use crate::interrupt::Interrupt;
use crate::names::names;
use crate::plan::{How, LeftOut};
use crate::progress::Voice;
use crate::report::{announce, report};
use crate::sink::Sink;
use crate::target::{Target, target};
use crate::transfer::{self, Counters};

/// What was done.
pub struct Done {
    /// The images, in the order of the target's.
    pub images: Vec<Image>,
    /// What earlier runs had read whole, in bytes.
    pub cached: u64,
    /// What was read.
    pub counters: Arc<Counters>,
    /// What could not be read, and was allowed to be left out.
    pub left_out: Vec<LeftOut>,
    /// How long that took.
    pub fetching: Duration,
}

impl Done {
    /// What this run has read, in bytes.
    pub fn fetched(&self) -> u64 {
        let kept = self.counters.kept.load(Ordering::Relaxed);
        self.counters.bytes.load(Ordering::Relaxed) - kept
    }
}

/// Pulls.
///
/// # Errors
/// When there is nothing to pull, or it cannot be delivered.
pub async fn pull(
    cluster: &Cluster,
    options: &Pull,
    helper: &HelperOptions,
    interrupt: &Interrupt,
) -> Result<()> {
    let named = named_sink(options)?;
    if options.dry_run.is_some() {
        return interrupt.or(preview(cluster, options, helper)).await;
    }
    let sink = named.map_or_else(Sink::of_machine, Ok)?;
    sink.check()?;
    let cache = interrupt.or(open_cache(options, cluster.voice)).await?;
    let cache = Arc::new(cache);
    let target = interrupt.or(target(cluster, options)).await?;
    sink.takes(target.images.len())?;
    let work =
        async |running: &Arc<Running>| read(running, &cache, &target, options, cluster).await;
    let mut done = helping::with_helper(cluster, &target, helper, interrupt, work).await?;
    done.images = sink
        .prepare(done.images, &cache, interrupt, cluster.voice)
        .await?;
    let delivered = sink.deliver(done.images.clone(), &cache, interrupt);
    delivered.await?;
    report(&done, &target, &sink, options.output, cluster.voice)?;
    // The image is where it should be.
    if let Err(error) = cache.shrink(options.cache_size) {
        cluster.voice.warn(&format!("{error:#}"));
    }
    Ok(())
}

fn named_sink(options: &Pull) -> Result<Option<Sink>> {
    let Some(text) = &options.to else {
        return Ok(None);
    };
    let sink = Sink::parse(text, &options.plain_http)?;
    if let (Sink::Registry(_), Some(tag)) = (&sink, &options.tag) {
        let text = format!("--tag '{tag}': --to '{text}' says already what the image is called");
        return Err(usage(text));
    }
    Ok(Some(sink))
}

async fn open_cache(options: &Pull, voice: Voice) -> Result<Cache> {
    let folder = options.cache_dir.clone().or_else(Cache::default_folder);
    let folder =
        folder.context("neither HOME nor XDG_CACHE_HOME is set: name a folder with --cache-dir")?;
    let waiting = move || voice.say("another run clears the cache: waiting for it");
    tokio::task::spawn_blocking(move || Cache::open(&folder, waiting)).await?
}

/// Prints what would be made in the cluster.
async fn preview(cluster: &Cluster, options: &Pull, helper: &HelperOptions) -> Result<()> {
    let target = target(cluster, options).await?;
    let helper = helping::helper_on_node(cluster, &target, helper).await?;
    // The agent's bytes say nothing to anybody.
    let map = helper.config_map(b"the agent for the node's architecture", None);
    let items = [
        serde_json::to_value(helper.job()?)?,
        serde_json::to_value(map)?,
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    crate::output::print(&list, options.output)
}

async fn read(
    running: &Arc<Running>,
    cache: &Arc<Cache>,
    target: &Target,
    options: &Pull,
    cluster: &Cluster,
) -> Result<Done> {
    let voice = cluster.voice;
    let how = How {
        is_identical: options.require_identical,
        rebuilt: if running.reads_image() {
            Origin::Flat
        } else {
            Origin::Rebuilt
        },
    };
    let finding = Finding {
        running,
        cache,
        target,
        how,
        voice,
    };
    let (mut link, found, mut plans) = finding.find_out().await?;
    let names = names(&target.images, &found, options.tag.as_ref())?;
    let items = plans.iter().flat_map(|plan| plan.items.iter().cloned());
    let mut items: Vec<_> = items.collect();
    // Images may share a layer, which is fetched once; and who locks layers in one order never waits for another run that
    // waits for this one.
    items.sort_by(|one, other| one.digest.cmp(&other.digest));
    items.dedup_by(|one, other| one.digest == other.digest);
    let total = items.iter().map(|item| item.size).sum();
    voice.say(&announce(target, total, &plans));
    let counters = Arc::new(Counters::default());
    let open = transfer::begin(&mut link, cache, items, &counters, voice).await?;
    drop(link);
    let began = Instant::now();
    let shown = voice.show(&counters, total);
    let streams = usize::from(options.streams);
    transfer::fetch(running, cache, open, streams, &counters).await?;
    drop(shown);
    let fetching = began.elapsed();
    let cached = plans.iter().map(|plan| plan.cached).sum();
    let left_out = plans.iter_mut().filter_map(|plan| plan.left_out.take());
    let left_out = left_out.collect();
    let each = found.iter().zip(plans).zip(names);
    let images = each.map(|((found, plan), names)| Image::new(found, plan.layers, names));
    Ok(Done {
        images: images.collect::<Result<_>>()?,
        cached,
        counters,
        left_out,
        fetching,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;
    use crate::failure::{Status, status};

    fn pull(arguments: &[&str]) -> Pull {
        let all = ["kubectl-pull_image", "web"].iter().chain(arguments);
        Cli::try_parse_from(all).unwrap().pull
    }

    #[test]
    fn a_registry_has_the_name_already() {
        assert_eq!(named_sink(&pull(&["--tag", "a:1"])).unwrap(), None);
        assert!(named_sink(&pull(&["--to", "oci:a", "--tag", "a:1"])).is_ok());
        let both = pull(&["--to", "registry://r.example/a", "--tag", "b:1"]);
        let error = named_sink(&both).unwrap_err();
        assert_eq!(status(&error), Status::Usage);
        assert!(
            error.to_string().contains("--tag 'docker.io/library/b:1'"),
            "{error}"
        );
    }
}
