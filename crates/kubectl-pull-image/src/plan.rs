//! Which content is fetched of an image, and in which form.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use kip_agent::protocol::{Kept, Part, Rebuilt, Request};
use kip_image::Digest;

use crate::cache::Cache;
use crate::failure::{Status, failure};
use crate::image::{Descriptor, LAYER_IS, Layer, Origin, created, media_type};
use crate::link::Link;
use crate::on_node::{self, OnNode};
use crate::output::in_line;
use crate::transfer::Item;

/// How tars are made again.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Whether each must be the layer byte for byte.
    pub is_identical: bool,
    /// What those are that are not.
    pub rebuilt: Origin,
}

/// What is done for an image.
#[derive(Debug, Default)]
pub struct Plan {
    /// The layers, as they will be.
    pub layers: Vec<Layer>,
    /// What is not in the cache. Layers that are the same are in it more than once.
    pub items: Vec<Item>,
    /// The bytes that are in the cache.
    pub cached: u64,
    /// What the agent could not read, and was allowed to leave out.
    pub left_out: Option<LeftOut>,
}

/// Files that are missing in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub count: usize,
    /// Some of them.
    pub examples: Vec<String>,
}

impl LeftOut {
    fn of(rebuilt: &Rebuilt) -> Option<Self> {
        (rebuilt.left_out > 0).then(|| Self {
            count: rebuilt.left_out,
            examples: rebuilt.examples.iter().map(|it| in_line(it)).collect(),
        })
    }
}

/// Decides on each layer: what the cache has, else the blob, else its tar byte for byte, else a tar made again. Where each can be had as
/// its blob, each is: then the manifest stays the same, too.
///
/// # Errors
/// When the node has not got a layer in any form; when one cannot be proven, and has to be.
pub async fn plan(found: &OnNode, cache: &Arc<Cache>, link: &mut Link, how: How) -> Result<Plan> {
    let mut plan = Plan::default();
    check(found, cache, link).await?;
    let as_blobs = found.layers.iter().all(|it| is_blob(it, cache));
    for (at, layer) in found.layers.iter().enumerate() {
        if let Some((content, size)) = cached(layer, cache, as_blobs) {
            plan.cached += size;
            plan.layers.push(content);
            continue;
        }
        let (content, part) = match &layer.kept {
            Kept::Blob => of_blob(layer)?,
            Kept::TarSplit { size } => {
                let chain_id = layer.told.chain_id.clone();
                (
                    tar(layer.diff_id.clone(), *size, Origin::Proven),
                    Part::TarSplit { chain_id },
                )
            }
            Kept::Snapshot => {
                let request = Request::Rebuild {
                    layer: layer.told.clone(),
                    created: created(&found.config, at),
                };
                let rebuilt: Rebuilt = link.ask(&request).await?;
                plan.left_out = plan.left_out.or_else(|| LeftOut::of(&rebuilt));
                of_rebuilt(layer, &rebuilt, how)?
            }
            Kept::Nothing { why } => {
                let text = format!("the node has not got the layer {}: {why}", layer.diff_id);
                return Err(failure(Status::Incomplete, text));
            }
        };
        // A tar that was made again may have come with another image.
        match check_one(&content.descriptor.digest, cache, link).await? {
            Some(size) => plan.cached += size,
            None => plan.items.push(Item {
                digest: content.descriptor.digest.clone(),
                size: content.descriptor.size,
                compress: !is_compressed(&content.descriptor.media_type),
                part,
            }),
        }
        plan.layers.push(content);
    }
    Ok(plan)
}

/// Reads what the cache has of the layers.
async fn check(found: &OnNode, cache: &Arc<Cache>, link: &mut Link) -> Result<()> {
    for layer in &found.layers {
        let blob = layer.blob.as_ref().map(|blob| &blob.digest);
        for digest in blob.into_iter().chain([&layer.diff_id]) {
            check_one(digest, cache, link).await?;
        }
    }
    Ok(())
}

/// The size of content that the cache has.
async fn check_one(digest: &Digest, cache: &Arc<Cache>, link: &mut Link) -> Result<Option<u64>> {
    let (cache, digest) = (cache.clone(), digest.clone());
    let checked = tokio::task::spawn_blocking(move || cache.check(&digest));
    link.hold(checked).await??
}

/// Whether the layer can be had as its blob.
fn is_blob(layer: &on_node::Layer, cache: &Cache) -> bool {
    layer.kept == Kept::Blob || cached_blob(layer, cache).is_some()
}

/// The layer from the cache: the blob, or its tar.
fn cached(layer: &on_node::Layer, cache: &Cache, as_blob: bool) -> Option<(Layer, u64)> {
    let blob = cached_blob(layer, cache);
    if as_blob || blob.is_some() {
        return blob;
    }
    let size = cache.size(&layer.diff_id)?;
    Some((tar(layer.diff_id.clone(), size, Origin::Proven), size))
}

fn cached_blob(layer: &on_node::Layer, cache: &Cache) -> Option<(Layer, u64)> {
    let blob = layer.blob.as_ref()?;
    let size = cache.size(&blob.digest).filter(|size| *size == blob.size)?;
    Some((of_blob(layer).ok()?.0, size))
}

fn of_blob(layer: &on_node::Layer) -> Result<(Layer, Part)> {
    let blob = layer.blob.as_ref();
    let blob = blob.ok_or_else(|| anyhow::anyhow!("a blob that has no digest"))?;
    let content = Layer {
        descriptor: Descriptor {
            media_type: blob.media_type.clone(),
            digest: blob.digest.clone(),
            size: blob.size,
            annotations: BTreeMap::new(),
        },
        diff_id: layer.diff_id.clone(),
        origin: Origin::Blob,
    };
    let digest = blob.digest.to_string();
    Ok((content, Part::Blob { digest }))
}

fn of_rebuilt(layer: &on_node::Layer, rebuilt: &Rebuilt, how: How) -> Result<(Layer, Part)> {
    let made = on_node::tar(rebuilt)?;
    let is_proven = made.digest == layer.diff_id;
    if how.is_identical && !is_proven {
        let text = format!(
            "the layer {} can only be made again, not identically: none of {} known forms of a tar has its digest \
             (--require-identical)",
            layer.diff_id, rebuilt.tried
        );
        return Err(failure(Status::Incomplete, text));
    }
    let origin = if is_proven {
        Origin::Proven
    } else {
        how.rebuilt
    };
    let part = Part::Snapshot {
        chain_id: layer.told.chain_id.clone(),
        profile: rebuilt.profile.clone(),
    };
    Ok((tar(made.digest, made.size, origin), part))
}

fn tar(digest: Digest, size: u64, origin: Origin) -> Layer {
    let how = match origin {
        Origin::Blob | Origin::Proven => "proven",
        Origin::Rebuilt => "rebuilt",
        Origin::Flat => "flat",
    };
    Layer {
        diff_id: digest.clone(),
        descriptor: Descriptor {
            media_type: media_type::LAYER.to_owned(),
            digest,
            size,
            annotations: BTreeMap::from([(LAYER_IS.to_owned(), how.to_owned())]),
        },
        origin,
    }
}

fn is_compressed(media_type: &str) -> bool {
    ["gzip", "zstd"]
        .iter()
        .any(|coding| media_type.ends_with(coding))
}
