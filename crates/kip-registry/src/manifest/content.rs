//! What manifests say. Strings are kept as they are: whoever compares them knows what they mean.

use std::collections::BTreeMap;

use kip_image::Digest;

use super::{media_type, wire};
use crate::error::{Error, Kind, quote};

/// What a manifest is.
#[allow(
    clippy::large_enum_variant,
    reason = "one is made for each manifest that is read, and few are kept"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Several manifests, mostly one for each platform.
    Index(Index),
    /// One image, or another artifact.
    Image(Image),
}

/// Several manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The manifests, in the order of the index, which decides between those that fit.
    pub manifests: Vec<Descriptor>,
    /// What it refers to, if it says something about another manifest.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is, if it is no image.
    pub artifact_type: Option<String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// One image, or another artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What it refers to, if it says something about another manifest.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is, if it is no image.
    pub artifact_type: Option<String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Names content by its digest, and says what and how large it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What it runs on.
    pub platform: Option<Platform>,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Where else it can be had.
    pub urls: Vec<String>,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Platform {
    /// `linux`, `windows`
    pub os: String,
    /// `amd64`, `arm64`
    pub architecture: String,
    /// `v7`, `v8`
    pub variant: Option<String>,
    /// `10.0.17763.1935`
    pub os_version: Option<String>,
    /// `win32k`
    pub os_features: Vec<String>,
}

// === impl Image ===

impl Image {
    /// The bytes of its layers as they are transferred.
    pub fn layers_size(&self) -> u64 {
        self.layers
            .iter()
            .fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

// === impl Descriptor ===

impl Descriptor {
    /// Whether registries are not meant to have it: [layers] that may only be had from their maker.
    ///
    /// [layers]: https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers
    pub fn is_elsewhere(&self) -> bool {
        !self.urls.is_empty()
            && (self.media_type.contains(".nondistributable.")
                || self.media_type.contains(".foreign."))
    }
}

/// What a manifest is: what the registry says, or the manifest itself where that says nothing of use.
pub(super) fn media_type(bytes: &[u8], said: Option<String>) -> String {
    let said = said.unwrap_or_default();
    if media_type::is_index(&said) || media_type::is_image(&said) {
        return said;
    }
    let unspecific = matches!(
        said.as_str(),
        "" | "application/json" | "application/octet-stream" | "text/plain"
    );
    match serde_json::from_slice::<wire::Manifest>(bytes) {
        Ok(wire) if unspecific => wire.guess_media_type().unwrap_or(said),
        _ => said,
    }
}

/// Reads a manifest of the given media type.
pub(super) fn parse(bytes: &[u8], media_type: &str) -> Result<Content, Error> {
    let wire: wire::Manifest = serde_json::from_slice(bytes)
        .map_err(|source| Error::malformed("the manifest is not one").source(source))?;
    // https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh
    if let Some(inner) = &wire.media_type
        && inner != media_type
    {
        return Err(Error::malformed(format!(
            "the manifest calls itself {}, the registry calls it {}",
            quote(inner),
            quote(media_type)
        )));
    }
    if media_type::is_index(media_type) {
        wire.into_index().map(Content::Index)
    } else if media_type::is_image(media_type) {
        wire.into_image().map(Content::Image)
    } else {
        Err(Error::new(Kind::Unsupported)
            .detail(format!("manifests of type {}", quote(media_type))))
    }
}
