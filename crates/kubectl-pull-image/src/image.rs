//! An image as it is delivered: documents and layers by digest, all of them in the cache.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kip_image::Digest;
use serde::Serialize;
use serde_json::{Value, json};

use crate::digest;
use crate::on_node::OnNode;

/// Media types of what is made anew.
pub mod media_type {
    /// A manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// A configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer that is not compressed.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer that is.
    pub const PACKED_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// An index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
}

/// Annotation of a manifest that was made anew: the digest of the one that the node has, where it has one.
pub const ORIGINAL: &str = "io.github.kubernetes-image-puller.original-manifest";

/// Annotation of a layer: how it came to be. `proven`: the tar has the digest in the image's configuration. `rebuilt`: the tar
/// was made again from the layer's files, and is another one than the original. `flat`: the tar has all files of the image.
pub const LAYER_IS: &str = "io.github.kubernetes-image-puller.layer";

/// Some content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    #[serde(serialize_with = "digest::as_text")]
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Notes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// How a layer came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The blob of the registry, byte for byte.
    Blob,
    /// Its tar, byte for byte: the digest is that of the configuration.
    Proven,
    /// A tar with the same files, made again.
    Rebuilt,
    /// A tar with the files of the whole image.
    Flat,
}

/// A layer that is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its content.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// How it came to be.
    pub origin: Origin,
}

/// An image whose layers are in the cache.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest and its bytes.
    pub manifest: (Descriptor, Vec<u8>),
    /// The configuration and its bytes.
    pub config: (Descriptor, Vec<u8>),
    /// From the lowest to the highest.
    pub layers: Vec<Layer>,
    /// Its names with a tag, such as `docker.io/library/busybox:1.36`.
    pub names: Vec<String>,
}

impl Image {
    /// From what the node has of it, and the layers that were fetched.
    ///
    /// The manifest is that of the node where each layer is as it says; else a new one is made. The configuration, and with it
    /// the image's ID, stays the same where each layer is proven.
    ///
    /// # Errors
    /// When the node's documents are none.
    pub fn new(found: &OnNode, layers: Vec<Layer>, names: Vec<String>) -> Result<Self> {
        let mut config = found.config.clone();
        let is_other = |layer: &Layer| matches!(layer.origin, Origin::Rebuilt | Origin::Flat);
        if layers.iter().any(is_other) {
            config = with_diff_ids(&config, &layers)?;
        }
        let original = found
            .manifest
            .as_ref()
            .filter(|_| layers.iter().all(|layer| layer.origin == Origin::Blob));
        let (manifest, config_type) = match original {
            Some(manifest) => {
                let bytes = manifest.bytes.to_vec();
                let described = described(&bytes, manifest.media_type.clone());
                ((described, bytes), config_type(&manifest.bytes))
            }
            None => (
                new_manifest(found, &config, &layers)?,
                media_type::CONFIG.to_owned(),
            ),
        };
        Ok(Self {
            manifest,
            config: (described(&config, config_type), config),
            layers,
            names,
        })
    }

    /// The image with compressed layers instead of its tars. The configuration stays, and with it the image's ID; the manifest was made anew
    /// before, where there are any.
    ///
    /// # Errors
    /// What `pack` gives.
    pub fn packed(
        mut self,
        mut pack: impl FnMut(&Digest) -> Result<(Digest, u64)>,
    ) -> Result<Self> {
        let mut manifest: Value = serde_json::from_slice(&self.manifest.1)?;
        let tars = self.layers.iter_mut().enumerate();
        let tars = tars.filter(|(_, layer)| layer.origin != Origin::Blob);
        let mut is_other = false;
        for (at, layer) in tars {
            let (digest, size) = pack(&layer.descriptor.digest)?;
            layer.descriptor.digest = digest;
            layer.descriptor.size = size;
            media_type::PACKED_LAYER.clone_into(&mut layer.descriptor.media_type);
            manifest["layers"][at] = serde_json::to_value(&layer.descriptor)?;
            is_other = true;
        }
        if is_other {
            let bytes = serde_json::to_vec(&manifest)?;
            let media_type = self.manifest.0.media_type;
            self.manifest = (described(&bytes, media_type), bytes);
        }
        Ok(self)
    }

    /// The documents of the image, with their digests.
    pub fn documents(&self) -> [(&Digest, &[u8]); 2] {
        let (manifest, config) = (&self.manifest, &self.config);
        [
            (&manifest.0.digest, &manifest.1),
            (&config.0.digest, &config.1),
        ]
    }
}

fn described(bytes: &[u8], media_type: String) -> Descriptor {
    Descriptor {
        media_type,
        digest: digest::of(bytes),
        size: bytes.len() as u64,
        annotations: BTreeMap::new(),
    }
}

fn config_type(manifest: &[u8]) -> String {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let found = manifest
        .pointer("/config/mediaType")
        .and_then(Value::as_str);
    found.unwrap_or(media_type::CONFIG).to_owned()
}

fn new_manifest(found: &OnNode, config: &[u8], layers: &[Layer]) -> Result<(Descriptor, Vec<u8>)> {
    let mut annotations = serde_json::Map::new();
    if let Some(original) = &found.manifest {
        annotations.insert(ORIGINAL.to_owned(), original.digest.to_string().into());
    }
    let layers: Vec<_> = layers.iter().map(|layer| &layer.descriptor).collect();
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "config": described(config, media_type::CONFIG.to_owned()),
        "layers": layers,
        "annotations": annotations,
    }))?;
    Ok((
        described(&manifest, media_type::MANIFEST.to_owned()),
        manifest,
    ))
}

/// The configuration with the layers' own digests: a runtime checks them.
fn with_diff_ids(config: &[u8], layers: &[Layer]) -> Result<Vec<u8>> {
    let mut config: Value =
        serde_json::from_slice(config).context("a configuration that is no JSON")?;
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| layer.diff_id.to_string())
        .collect();
    let place = config
        .pointer_mut("/rootfs/diff_ids")
        .context("a configuration without layers")?;
    *place = json!(diff_ids);
    Ok(serde_json::to_vec(&config)?)
}

/// When the layer at this place was made, in seconds since 1970, the likeliest first: what the image's history says of it, then of
/// others, the newest first. Each is there once.
pub fn created(config: &[u8], layer: usize) -> Vec<i64> {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let second = |text: &Value| {
        let time: k8s_openapi::jiff::Timestamp = text.as_str()?.parse().ok()?;
        Some(time.as_second())
    };
    let of_entry = |entry: &Value| second(entry.get("created")?);
    let history = config.get("history").and_then(Value::as_array);
    let history = history.map(Vec::as_slice).unwrap_or_default();
    let is_layer = |entry: &&Value| entry.get("empty_layer") != Some(&Value::Bool(true));
    let own = history.iter().filter(is_layer).nth(layer);
    let mut others: Vec<_> = history.iter().filter_map(of_entry).collect();
    others.extend(config.get("created").and_then(second));
    others.sort_unstable_by_key(|time| std::cmp::Reverse(*time));
    let mut times = Vec::new();
    for time in own.and_then(of_entry).into_iter().chain(others) {
        if !times.contains(&time) {
            times.push(time);
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use kip_registry::Manifest;

    use super::*;

    fn found() -> OnNode {
        let config = json!({"rootfs": {"diff_ids": ["sha256:1"]}, "os": "linux"}).to_string();
        let manifest = json!({"config": {"mediaType": "docker-config"}, "layers": []}).to_string();
        let digest = digest::of(manifest.as_bytes());
        OnNode {
            names: Vec::new(),
            manifest: Some(Manifest::kept(manifest.into(), None, &digest).unwrap()),
            id: digest::of(config.as_bytes()),
            config: config.into(),
            layers: Vec::new(),
            is_shown: true,
        }
    }

    fn layer(origin: Origin) -> Layer {
        Layer {
            descriptor: described(b"layer", media_type::LAYER.to_owned()),
            diff_id: digest::of(b"tar"),
            origin,
        }
    }

    #[test]
    fn with_each_blob_the_manifest_is_the_nodes_own() {
        let image = Image::new(&found(), vec![layer(Origin::Blob)], Vec::new()).unwrap();
        assert_eq!(image.manifest.0.digest, found().manifest.unwrap().digest);
        assert_eq!(image.config.0.media_type, "docker-config");
    }

    #[test]
    fn with_proven_layers_the_image_id_stays_and_with_others_it_does_not() {
        let proven = Image::new(&found(), vec![layer(Origin::Proven)], Vec::new()).unwrap();
        assert_eq!(proven.config.0.digest, found().id);
        let manifest: Value = serde_json::from_slice(&proven.manifest.1).unwrap();
        assert_eq!(
            manifest["annotations"][ORIGINAL],
            found().manifest.unwrap().digest.to_string()
        );
        let rebuilt = Image::new(&found(), vec![layer(Origin::Rebuilt)], Vec::new()).unwrap();
        assert_ne!(rebuilt.config.0.digest, found().id);
        let config: Value = serde_json::from_slice(&rebuilt.config.1).unwrap();
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([digest::of(b"tar").to_string()])
        );
    }

    #[test]
    fn compressed_layers_change_the_manifest_and_not_the_image_id() {
        let image = Image::new(&found(), vec![layer(Origin::Proven)], Vec::new()).unwrap();
        let gz = digest::of(b"gz");
        let pack = |tar: &Digest| {
            assert_eq!(*tar, digest::of(b"layer"));
            Ok((gz.clone(), 2))
        };
        let packed = image.clone().packed(pack).unwrap();
        assert_eq!(packed.config, image.config);
        assert_ne!(packed.manifest.0.digest, image.manifest.0.digest);
        assert_eq!(packed.manifest.0.digest, digest::of(&packed.manifest.1));
        let manifest: Value = serde_json::from_slice(&packed.manifest.1).unwrap();
        assert_eq!(manifest["layers"][0]["digest"], gz.to_string());
        assert_eq!(manifest["layers"][0]["size"], 2);
        assert_eq!(manifest["layers"][0]["mediaType"], media_type::PACKED_LAYER);
        assert!(manifest["annotations"][ORIGINAL].is_string());
        let blobs = Image::new(&found(), vec![layer(Origin::Blob)], Vec::new()).unwrap();
        let same = blobs.clone().packed(|_| panic!("there is no tar")).unwrap();
        assert_eq!(same.manifest, blobs.manifest);
    }

    #[test]
    fn a_layers_own_time_comes_first_then_the_newest() {
        let config = json!({"created": "1970-01-01T00:00:09Z", "history": [
            {"created": "1970-01-01T00:00:07.9Z"}, {"created": "1970-01-01T00:00:08Z", "empty_layer": true},
            {"created": "1970-01-01T00:00:09Z"}, {"created": "never"}, {},
        ]});
        let config = config.to_string();
        assert_eq!(created(config.as_bytes(), 0), [7, 9, 8]);
        assert_eq!(created(config.as_bytes(), 1), [9, 8, 7]);
        assert_eq!(created(config.as_bytes(), 2), [9, 8, 7]);
        assert_eq!(created(b"no JSON", 0), [0; 0]);
    }
}
