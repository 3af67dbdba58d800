//! Says what is done, and what was.

use std::sync::atomic::Ordering;

use anyhow::Result;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::cli::Output;
use crate::image::{Image, Origin};
use crate::output;
use crate::plan::Plan;
use crate::progress::{Voice, per_second};
use crate::pull::Done;
use crate::sink::Sink;
use crate::target::Target;

/// What is about to be fetched.
pub fn announce(target: &Target, total: u64, plans: &[Plan]) -> String {
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

/// How many layers are of each origin.
struct Counts {
    blobs: usize,
    proven: usize,
    rebuilt: usize,
    flat: usize,
}

impl Counts {
    fn of(images: &[Image]) -> Self {
        let layers = || images.iter().flat_map(|image| &image.layers);
        let count = |origin| layers().filter(|layer| layer.origin == origin).count();
        Self {
            blobs: count(Origin::Blob),
            proven: count(Origin::Proven),
            rebuilt: count(Origin::Rebuilt),
            flat: count(Origin::Flat),
        }
    }
}

impl Counts {
    fn in_words(&self) -> String {
        if self.flat > 0 {
            return "all files as one layer".to_owned();
        }
        format!(
            "layers: {} as in the registry, {} proven identical, {} rebuilt",
            self.blobs, self.proven, self.rebuilt
        )
    }
}

/// What was done: in words, or as one document.
///
/// # Errors
/// When standard output fails.
pub fn report(done: &Done, target: &Target, sink: &Sink, form: Output, voice: Voice) -> Result<()> {
    if form == Output::Text {
        in_words(done, sink, voice);
        return Ok(());
    }
    let document = document(done, target, sink);
    // Where standard output has the archive, nothing else may be there.
    if *sink == Sink::Output {
        voice.give(&output::text(&document, form)?);
        return Ok(());
    }
    output::print(&document, form)
}

fn in_words(done: &Done, sink: &Sink, voice: Voice) {
    for image in &done.images {
        let name = image.names.first().map_or("without a name", String::as_str);
        voice.say(&format!("{name}: image ID {}", image.config.0.digest));
    }
    let counts = Counts::of(&done.images);
    let bytes = done.fetched();
    voice.say(&format!(
        "{} in {:.1} s, {}/s, {} over the network; {}; to {}",
        HumanBytes(bytes),
        done.fetching.as_secs_f64(),
        HumanBytes(per_second(bytes, done.fetching)),
        HumanBytes(done.counters.wire_bytes.load(Ordering::Relaxed)),
        counts.in_words(),
        sink.describe()
    ));
    for left_out in &done.left_out {
        let examples = left_out.examples.join(", ");
        let text = format!(
            "{} files are left out, which the helper pod could not read, such as {examples}",
            left_out.count
        );
        voice.warn(&text);
    }
    if counts.flat > 0 {
        voice.say("one layer with all files: another image ID than in the cluster, and of the image's configuration only what the pod shows");
    }
    if counts.rebuilt > 0 {
        voice.say("rebuilt layers have the same files in another tar, so that the image has another ID than in the cluster");
    }
}

fn document(done: &Done, target: &Target, sink: &Sink) -> Value {
    let counts = Counts::of(&done.images);
    let images = done.images.iter().zip(&target.images);
    let images: Vec<_> = images
        .map(|(image, target)| {
            json!({
                "image": target.name, "containers": target.containers, "names": image.names,
                "id": image.config.0.digest.to_string(), "manifest": image.manifest.0.digest.to_string(),
                "layers": layers(image),
            })
        })
        .collect();
    json!({
        "node": target.node,
        "images": images,
        "fetched": {
            "bytes": done.fetched(),
            "wireBytes": done.counters.wire_bytes.load(Ordering::Relaxed),
            "seconds": done.fetching.as_secs_f64(),
            "cuts": done.counters.cuts.load(Ordering::Relaxed),
        },
        "cachedBytes": done.cached + done.counters.kept.load(Ordering::Relaxed),
        "layers": {"blob": counts.blobs, "proven": counts.proven, "rebuilt": counts.rebuilt, "flat": counts.flat},
        "leftOut": done.left_out.iter().map(|it| json!({"count": it.count, "examples": it.examples})).collect::<Vec<_>>(),
        "to": sink.describe(),
    })
}

fn layers(image: &Image) -> Vec<Value> {
    let each = image.layers.iter().map(|layer| {
        json!({
            "digest": layer.descriptor.digest.to_string(), "diffId": layer.diff_id.to_string(),
            "size": layer.descriptor.size, "origin": layer.origin,
        })
    });
    each.collect()
}
