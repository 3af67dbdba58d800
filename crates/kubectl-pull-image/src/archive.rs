//! Images as one tar: an OCI layout that also has what `docker load` reads.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use kip_image::Digest;
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::image::{Image, media_type};

/// What says that a folder is an OCI layout.
pub const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes the tar. The same images give the same bytes.
///
/// # Errors
/// When the cache cannot be read, or the writer fails.
pub fn write(out: impl Write, images: &[Image], cache: &Cache) -> Result<()> {
    let mut tar = tar::Builder::new(out);
    add(&mut tar, "oci-layout", LAYOUT)?;
    let mut written = Vec::new();
    for image in images {
        for (digest, bytes) in image.documents() {
            if !written.contains(&digest) {
                add(&mut tar, &blob(digest), bytes)?;
                written.push(digest);
            }
        }
        for layer in &image.layers {
            let digest = &layer.descriptor.digest;
            if !written.contains(&digest) {
                add_file(&mut tar, &blob(digest), &cache.path(digest))?;
                written.push(digest);
            }
        }
    }
    add(
        &mut tar,
        "index.json",
        &serde_json::to_vec(&index(&manifests(images)))?,
    )?;
    add(
        &mut tar,
        "manifest.json",
        &serde_json::to_vec(&docker_manifest(images))?,
    )?;
    let mut out = tar.into_inner()?;
    out.flush()?;
    Ok(())
}

/// Annotation: the whole name, which containerd and Docker read.
const NAME: &str = "io.containerd.image.name";

/// Annotation: what the specification has for a name. skopeo and podman look there.
pub const REF: &str = "org.opencontainers.image.ref.name";

/// A layout's index.
pub fn index(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests})
}

/// What an index has of images: each once for each of its names.
pub fn manifests(images: &[Image]) -> Vec<Value> {
    let mut manifests = Vec::new();
    for image in images {
        let plain = serde_json::to_value(&image.manifest.0).unwrap_or_default();
        if image.names.is_empty() {
            manifests.push(plain.clone());
        }
        for name in &image.names {
            let tag = name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
            let mut named = plain.clone();
            named["annotations"] = json!({NAME: name, REF: tag});
            manifests.push(named);
        }
    }
    tell_apart(&mut manifests);
    manifests
}

/// The whole name in an index.
pub fn name(manifest: &Value) -> Option<&str> {
    manifest.get("annotations")?.get(NAME)?.as_str()
}

/// Gives the whole name to those whose tag another image has: who asks for a tag would get any of them.
pub fn tell_apart(manifests: &mut [Value]) {
    let mut seen = Vec::new();
    for manifest in manifests {
        let own = manifest["annotations"][REF].as_str().map(str::to_owned);
        let whole = name(manifest).map(str::to_owned);
        if let (Some(own), Some(whole)) = (own, whole) {
            if seen.contains(&own) {
                manifest["annotations"][REF] = json!(whole);
            }
            seen.push(own);
        }
    }
}

/// What `docker load` reads before it knew OCI layouts, and what podman reads.
fn docker_manifest(images: &[Image]) -> Value {
    let one = |image: &Image| {
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| blob(&layer.descriptor.digest))
            .collect();
        json!({"Config": blob(&image.config.0.digest), "RepoTags": image.names, "Layers": layers})
    };
    images.iter().map(one).collect()
}

/// Where a layout has content.
pub fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header
}

fn add(tar: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut header = header(bytes.len() as u64);
    Ok(tar.append_data(&mut header, path, bytes)?)
}

fn add_file(tar: &mut tar::Builder<impl Write>, path: &str, file: &Path) -> Result<()> {
    let file =
        std::fs::File::open(file).with_context(|| format!("the cache {}", file.display()))?;
    let mut header = header(file.metadata()?.len());
    Ok(tar.append_data(&mut header, path, file)?)
}
