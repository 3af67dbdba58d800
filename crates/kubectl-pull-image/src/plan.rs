//! Which content is fetched of an image, and in which form.

use std::collections::BTreeMap;

use anyhow::Result;
use kip_agent::protocol::{Image as Found, Kept, Layer as Kind, Part, Rebuilt, Request};

use crate::cache::Cache;
use crate::failure::{Status, failure};
use crate::image::{Descriptor, LAYER_IS, Layer, Origin, created, media_type};
use crate::link::Link;
use crate::transfer::Item;

/// What is done for an image.
#[derive(Debug, Default)]
pub struct Plan {
    /// The layers, as they will be.
    pub layers: Vec<Layer>,
    /// What is not in the cache.
    pub items: Vec<Item>,
    /// The bytes that are in the cache.
    pub cached: u64,
}

/// Decides on each layer: what the cache has, else the blob, else its tar byte for byte, else a tar made again.
///
/// # Errors
/// When the node has not got a layer in any form; when one cannot be proven, and has to be.
pub async fn plan(
    found: &Found,
    config: &[u8],
    cache: &Cache,
    link: &mut Link,
    identical: bool,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let created = created(config);
    for layer in &found.layers {
        if let Some((content, size)) = cached(layer, cache) {
            plan.cached += size;
            plan.layers.push(content);
            continue;
        }
        let (content, part) = match &layer.kept {
            Kept::Blob => of_blob(layer)?,
            Kept::TarSplit { size } => {
                let chain_id = layer.chain_id.clone();
                (
                    tar(layer.diff_id.clone(), *size, Origin::Proven),
                    Part::TarSplit { chain_id },
                )
            }
            Kept::Snapshot => {
                let request = Request::Rebuild {
                    layer: layer.clone(),
                    created: created.clone(),
                };
                let rebuilt: Rebuilt = link.ask(&request).await?;
                of_rebuilt(layer, rebuilt, identical)?
            }
            Kept::Nothing { why } => {
                let text = format!("the node has not got the layer {}: {why}", layer.diff_id);
                return Err(failure(Status::Incomplete, text));
            }
        };
        // A tar that was made again may have come with another image.
        match cache.size(&content.descriptor.digest) {
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
    let mut seen = Vec::new();
    plan.items.retain(|item| {
        let is_new = !seen.contains(&item.digest);
        seen.push(item.digest.clone());
        is_new
    });
    Ok(plan)
}

/// The layer from the cache: the blob, or its tar.
fn cached(layer: &Kind, cache: &Cache) -> Option<(Layer, u64)> {
    let blob = layer.blob.as_ref().and_then(|blob| {
        let size = cache.size(&blob.digest).filter(|size| *size == blob.size)?;
        Some((of_blob(layer).ok()?.0, size))
    });
    blob.or_else(|| {
        let size = cache.size(&layer.diff_id)?;
        Some((tar(layer.diff_id.clone(), size, Origin::Proven), size))
    })
}

fn of_blob(layer: &Kind) -> Result<(Layer, Part)> {
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
    let digest = blob.digest.clone();
    Ok((content, Part::Blob { digest }))
}

fn of_rebuilt(layer: &Kind, rebuilt: Rebuilt, identical: bool) -> Result<(Layer, Part)> {
    let is_proven = rebuilt.is_proven && rebuilt.digest == layer.diff_id;
    if identical && !is_proven {
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
        Origin::Rebuilt
    };
    let part = Part::Snapshot {
        chain_id: layer.chain_id.clone(),
        profile: rebuilt.profile,
    };
    Ok((tar(rebuilt.digest, rebuilt.size, origin), part))
}

fn tar(digest: String, size: u64, origin: Origin) -> Layer {
    let how = if origin == Origin::Rebuilt {
        "rebuilt"
    } else {
        "proven"
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
