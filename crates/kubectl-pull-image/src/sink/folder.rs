//! An OCI layout: a folder with content by digest and an index. Other images in it stay.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use kip_image::Digest;
use serde_json::Value;

use crate::archive;
use crate::cache::{Cache, hash};
use crate::image::Image;
use crate::interrupt::Interrupt;
use crate::whole_file;

pub(super) fn write(
    folder: &Path,
    images: &[Image],
    cache: &Cache,
    interrupt: &Interrupt,
) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).with_context(|| folder.display().to_string())?;
    let bytes = |path: &Path, bytes: &[u8]| {
        whole_file::write(path, interrupt, |file| Ok(file.write_all(bytes)?))
    };
    for image in images {
        for layer in &image.layers {
            let digest = &layer.descriptor.digest;
            let to = folder.join(archive::blob(digest));
            give(digest, &cache.path(digest), &to, interrupt)?;
        }
        for (digest, document) in image.documents() {
            bytes(&folder.join(archive::blob(digest)), document)?;
        }
    }
    bytes(&folder.join("oci-layout"), archive::LAYOUT)?;
    // Last: until then nobody looks for the new content.
    let index = folder.join("index.json");
    whole_file::write(&index, interrupt, |file| {
        let merged = merged(&index, archive::index(images))?;
        Ok(file.write_all(&serde_json::to_vec(&merged)?)?)
    })
}

/// Copies content of the cache. It is no link: who changes the folder should not change the cache.
fn give(digest: &Digest, from: &Path, to: &Path, interrupt: &Interrupt) -> Result<()> {
    if hash(to).is_ok_and(|(found, _)| found == *digest) {
        return Ok(());
    }
    whole_file::write(to, interrupt, |file| {
        let from = std::fs::File::open(from)?;
        let mut from = std::io::BufReader::with_capacity(1 << 20, from);
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
