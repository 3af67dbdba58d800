//! A pull: find out what is meant, start the helper pod, fetch what is missing, deliver it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kip_agent::protocol::{Image as Found, Request};
use serde_json::json;

use crate::cache::Cache;
use crate::cli::{HelperOptions, Pull};
use crate::cluster::Cluster;
use crate::failure::{Failure, Status, failure, usage};
use crate::flat;
use crate::helper::Running;
use crate::helping;
use crate::image::{Image, Origin};
use crate::interrupt::Interrupt;
use crate::link::{Declined, Link};
use crate::names::names;
use crate::on_node::OnNode;
use crate::plan::{How, LeftOut, Plan, plan};
use crate::progress::Voice;
use crate::report::{announce, report};
use crate::sink::Sink;
use crate::target::{Target, TargetImage, target};
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
    let (mut link, found, mut plans) = find_out(running, cache, target, how, voice).await?;
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

/// How often a connection is made anew over which it is found out what there is.
const ATTEMPTS: u32 = 6;

/// What the node has of the images, and what is done for each. Begins again where the connection is cut: nothing is lost by that.
async fn find_out(
    running: &Arc<Running>,
    cache: &Arc<Cache>,
    target: &Target,
    how: How,
    voice: Voice,
) -> Result<(Link, Vec<OnNode>, Vec<Plan>)> {
    let mut attempt = 1;
    loop {
        match try_to_find_out(running, cache, target, how, voice).await {
            Err(error) if attempt < ATTEMPTS && !error.is::<Failure>() => {
                voice.detail(1, &format!("{error:#}: again"));
            }
            tried => return tried,
        }
        tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(attempt)).await;
        attempt += 1;
    }
}

async fn try_to_find_out(
    running: &Arc<Running>,
    cache: &Arc<Cache>,
    target: &Target,
    how: How,
    voice: Voice,
) -> Result<(Link, Vec<OnNode>, Vec<Plan>)> {
    let mut link = running.connect().await?;
    link.greet().await?;
    let mut found = Vec::new();
    let mut plans = Vec::new();
    for image in &target.images {
        let on_node = find(&mut link, image, running).await?;
        is_shown(&on_node, image, how, voice)?;
        let plan = plan(&on_node, cache, &mut link, how).await;
        let plan = plan.map_err(|error| declined(error, Status::Incomplete, image));
        plans.push(plan.map_err(|error| running.explain(error))?);
        found.push(on_node);
    }
    Ok((link, found, plans))
}

/// Says where only the node's word tells that it is the image that runs.
fn is_shown(found: &OnNode, image: &TargetImage, how: How, voice: Voice) -> Result<()> {
    if found.is_shown {
        return Ok(());
    }
    let wanted = image.wanted.digest.as_deref().unwrap_or_default();
    let text = format!(
        "{}: that its image {} is {wanted} only a name says, which the node has for it; it keeps no manifest that could show it",
        image.name, found.id
    );
    if how.is_identical {
        let text = format!("{text} (--require-identical)");
        return Err(failure(Status::Incomplete, text));
    }
    voice.warn(&text);
    Ok(())
}

/// What the node has of the image, checked.
async fn find(link: &mut Link, image: &TargetImage, running: &Running) -> Result<OnNode> {
    let request = Request::Find {
        wanted: image.wanted.clone(),
    };
    let told: Result<Found> = link.ask(&request).await;
    let told = told.map_err(|error| declined(error, Status::NotFound, image))?;
    let checked = if running.reads_image() {
        flat::is_same(image, &running.image_id)?;
        flat::check(told, image)
    } else {
        OnNode::check(told, &image.wanted)
    };
    checked.map_err(|error| failure(Status::Incomplete, format!("{}: {error:#}", image.name)))
}

fn declined(error: anyhow::Error, status: Status, image: &TargetImage) -> anyhow::Error {
    match error.downcast_ref::<Declined>() {
        Some(Declined(text)) => failure(status, format!("{}: {text}", image.name)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;
    use crate::failure::status;

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
