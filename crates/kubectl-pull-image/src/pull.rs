//! A pull: find out what is meant, start the helper pod, fetch what is missing, deliver it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::HumanBytes;
use kip_agent::protocol::{Image as Found, Request};
use serde_json::json;

use crate::cache::Cache;
use crate::cli::{HelperOptions, Output, Pull};
use crate::cluster::Cluster;
use crate::failure::{Status, failure};
use crate::helper::{Running, interrupted};
use crate::helping;
use crate::image::{self, Image, Origin};
use crate::link::Declined;
use crate::plan::{Plan, plan};
use crate::progress::{Voice, per_second};
use crate::sink::Sink;
use crate::target::{Target, TargetImage, target};
use crate::transfer::{Counters, fetch};

/// What was done.
struct Done {
    images: Vec<Image>,
    cached: u64,
    counters: Arc<Counters>,
    fetching: Duration,
}

/// Pulls.
///
/// # Errors
/// When there is nothing to pull, or it cannot be delivered.
pub async fn pull(
    cluster: &Cluster,
    options: &Pull,
    helper: &HelperOptions,
    voice: Voice,
) -> Result<()> {
    let sink = Sink::parse(options.to.as_deref(), &options.plain_http)?;
    let folder = options.cache_dir.clone().or_else(Cache::default_folder);
    let folder =
        folder.context("neither HOME nor XDG_CACHE_HOME is set: name a folder with --cache-dir")?;
    let target = target(cluster, options).await?;
    if options.dry_run.is_some() {
        return preview(&target, helper, options.output);
    }
    let cache = Arc::new(Cache::open(&folder)?);
    let done = helping::with_helper(cluster, &target, helper, async |running: &Arc<Running>| {
        read(running, &cache, &target, options, voice).await
    });
    let done = done.await?;
    tokio::select! {
        delivered = sink.deliver(done.images.clone(), &cache) => delivered?,
        error = interrupted() => {
            sink.give_up();
            return Err(error);
        }
    }
    cache.shrink(options.cache_size)?;
    report(&done, &target, &sink, options, voice)
}

/// Prints what would be made in the cluster.
fn preview(target: &Target, options: &HelperOptions, output: Output) -> Result<()> {
    let helper = helping::helper(target, options);
    // The agent's bytes say nothing to anybody.
    let map = helper.config_map(b"the agent for the node's architecture", None);
    let items = [
        serde_json::to_value(helper.job()?)?,
        serde_json::to_value(map)?,
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    crate::output::print(&list, output)
}

async fn read(
    running: &Arc<Running>,
    cache: &Arc<Cache>,
    target: &Target,
    options: &Pull,
    voice: Voice,
) -> Result<Done> {
    let mut link = running.connect().await?;
    let mut found = Vec::new();
    let mut plans = Vec::new();
    for image in &target.images {
        let request = Request::Find {
            wanted: image.wanted.clone(),
        };
        let on_node: Found = link
            .ask(&request)
            .await
            .map_err(|error| of_node(error, image))?;
        let config = image::bytes(&on_node.config)?;
        let plan = plan(
            &on_node,
            &config,
            cache,
            &mut link,
            options.require_identical,
        )
        .await
        .map_err(|error| of_layer(error, image))?;
        found.push(on_node);
        plans.push(plan);
    }
    drop(link);
    let counters = Arc::new(Counters::default());
    let items = plans.iter().flat_map(|plan| plan.items.iter().cloned());
    let mut items: Vec<_> = items.collect();
    // Images may share a layer, which is fetched once; and who locks layers in one order never waits for another run that
    // waits for this one.
    items.sort_by(|one, other| one.digest.cmp(&other.digest));
    items.dedup_by(|one, other| one.digest == other.digest);
    let total = items.iter().map(|item| item.size).sum();
    voice.say(&announce(target, total, &plans));
    let began = Instant::now();
    let shown = voice.show(&counters, total);
    fetch(
        running,
        cache,
        items,
        usize::from(options.streams),
        &counters,
    )
    .await?;
    drop(shown);
    let fetching = began.elapsed();
    let cached = plans.iter().map(|plan| plan.cached).sum();
    let mut images = Vec::new();
    for ((image, found), plan) in target.images.iter().zip(&found).zip(plans) {
        images.push(Image::new(
            found,
            plan.layers,
            names(image, found, options.tag.as_deref())?,
        )?);
    }
    Ok(Done {
        images,
        cached,
        counters,
        fetching,
    })
}

fn of_node(error: anyhow::Error, image: &TargetImage) -> anyhow::Error {
    declined(error, Status::NotFound, image)
}

/// The image was there a moment ago.
fn of_layer(error: anyhow::Error, image: &TargetImage) -> anyhow::Error {
    declined(error, Status::Incomplete, image)
}

fn declined(error: anyhow::Error, status: Status, image: &TargetImage) -> anyhow::Error {
    match error.downcast_ref::<Declined>() {
        Some(Declined(text)) => failure(status, format!("{}: {text}", image.name)),
        None => error,
    }
}

/// The names that the image gets: the one that was asked for, else that in the pod, else those of the node.
fn names(image: &TargetImage, found: &Found, tag: Option<&str>) -> Result<Vec<String>> {
    if let Some(tag) = tag {
        let name = kip_image::Reference::parse(tag).context("--tag")?;
        return Ok(tagged(&name).into_iter().collect());
    }
    // A digest is no name, though it looks like one with a tag.
    let own =
        (!image.name.starts_with("sha256:")).then(|| kip_image::Reference::parse(&image.name));
    let own = own.and_then(|name| tagged(&name.ok()?));
    if let Some(own) = own {
        return Ok(vec![own]);
    }
    let known = found
        .names
        .iter()
        .filter_map(|name| kip_image::Reference::parse(name).ok());
    Ok(known
        .filter_map(|name| name.tag().is_some().then(|| tagged(&name)).flatten())
        .collect())
}

/// The whole name with its tag. A name that has only a digest has no tag to give.
fn tagged(name: &kip_image::Reference) -> Option<String> {
    let tag = name.tag_or_latest()?;
    Some(format!("{}:{tag}", name.name()))
}

fn announce(target: &Target, total: u64, plans: &[Plan]) -> String {
    let names: Vec<_> = target
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    let cached: u64 = plans.iter().map(|plan| plan.cached).sum();
    let layers: usize = plans.iter().map(|plan| plan.layers.len()).sum();
    format!(
        "{} from node {}: {layers} layers, {} to fetch, {} in the cache",
        names.join(", "),
        target.node,
        HumanBytes(total),
        HumanBytes(cached)
    )
}

fn report(done: &Done, target: &Target, sink: &Sink, options: &Pull, voice: Voice) -> Result<()> {
    let kept = done.counters.kept.load(Ordering::Relaxed);
    let bytes = done.counters.bytes.load(Ordering::Relaxed) - kept;
    let wire = done.counters.wire_bytes.load(Ordering::Relaxed);
    let rate = per_second(bytes, done.fetching);
    let count = |origin: Origin| {
        let layers = done.images.iter().flat_map(|image| &image.layers);
        layers.filter(|layer| layer.origin == origin).count()
    };
    let (blobs, proven, rebuilt) = (
        count(Origin::Blob),
        count(Origin::Proven),
        count(Origin::Rebuilt),
    );
    if options.output == Output::Text {
        for image in &done.images {
            let name = image.names.first().map_or("without a name", String::as_str);
            voice.say(&format!("{name}: image ID {}", image.config.0.digest));
        }
        voice.say(&format!(
            "{} in {:.1} s, {}/s, {} over the network; layers: {blobs} as in the registry, {proven} proven identical, \
             {rebuilt} rebuilt; to {}",
            HumanBytes(bytes),
            done.fetching.as_secs_f64(),
            HumanBytes(rate),
            HumanBytes(wire),
            sink.describe()
        ));
        if rebuilt > 0 {
            voice.say("rebuilt layers have the same files in another tar, so that the image has another ID than in the cluster");
        }
        return Ok(());
    }
    let images: Vec<_> = done.images.iter().zip(&target.images).map(|(image, target)| {
        let layers: Vec<_> = image.layers.iter().map(|layer| {
            json!({"digest": layer.descriptor.digest, "diffId": layer.diff_id, "size": layer.descriptor.size, "origin": layer.origin})
        }).collect();
        json!({
            "image": target.name, "containers": target.containers, "names": image.names,
            "id": image.config.0.digest, "manifest": image.manifest.0.digest, "layers": layers,
        })
    }).collect();
    let all = json!({
        "node": target.node,
        "images": images,
        "fetched": {"bytes": bytes, "wireBytes": wire, "seconds": done.fetching.as_secs_f64(),
                    "cuts": done.counters.cuts.load(Ordering::Relaxed)},
        "cachedBytes": done.cached + kept,
        "layers": {"blob": blobs, "proven": proven, "rebuilt": rebuilt},
        "to": sink.describe(),
    });
    // Where standard output has the archive, nothing else may be there.
    if *sink == Sink::Output {
        voice.say(&serde_json::to_string(&all)?);
        return Ok(());
    }
    crate::output::print(&all, options.output)
}
