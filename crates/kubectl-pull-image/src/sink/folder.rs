//! An OCI layout: a folder with content by digest and an index. Other images in it stay.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::archive;
use crate::cache::{Cache, write_whole};
use crate::image::Image;

pub(super) fn write(folder: &Path, images: &[Image], cache: &Cache) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).with_context(|| folder.display().to_string())?;
    let bytes = |path: &Path, bytes: &[u8]| {
        write_whole(path, |file| Ok(std::io::Write::write_all(file, bytes)?))
    };
    for image in images {
        for layer in &image.layers {
            let digest = &layer.descriptor.digest;
            give(&cache.path(digest), &folder.join(archive::blob(digest)))?;
        }
        for (digest, document) in image.documents() {
            bytes(&folder.join(archive::blob(digest)), document)?;
        }
    }
    bytes(&folder.join("oci-layout"), archive::LAYOUT)?;
    // Last: until then nobody looks for the new content.
    let index = folder.join("index.json");
    let merged = merged(&index, archive::index(images))?;
    bytes(&index, &serde_json::to_vec(&merged)?)
}

/// The content of the cache under another name, copied where it cannot be linked.
fn give(from: &Path, to: &Path) -> Result<()> {
    if to.is_file() || std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    write_whole(to, |file| {
        let mut from = std::fs::File::open(from)?;
        std::io::copy(&mut from, file)?;
        Ok(())
    })
}

/// The new index with the images of the old one that have another name.
fn merged(path: &Path, mut new: Value) -> Result<Value> {
    let Ok(old) = std::fs::read(path) else {
        return Ok(new);
    };
    let old: Value = serde_json::from_slice(&old).with_context(|| path.display().to_string())?;
    let key = |manifest: &Value| {
        (
            manifest.get("annotations").cloned(),
            manifest.get("digest").cloned(),
        )
    };
    let name = |manifest: &Value| {
        manifest
            .pointer("/annotations/io.containerd.image.name")
            .cloned()
    };
    let Some(manifests) = new.get_mut("manifests").and_then(Value::as_array_mut) else {
        return Ok(new);
    };
    let others = old
        .get("manifests")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut kept = Vec::new();
    for manifest in others {
        let is_replaced = |it: &Value| {
            key(it) == key(manifest) || (name(it).is_some() && name(it) == name(manifest))
        };
        if !manifests.iter().any(is_replaced) {
            kept.push(manifest.clone());
        }
    }
    manifests.extend(kept);
    Ok(new)
}
