//! Manifests as JSON.

use std::collections::BTreeMap;

use kip_image::Digest;
use serde::{Deserialize, Serialize};

use super::{content, media_type};
use crate::error::Error;

/// An index or an image: what is not there tells.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// An index that we write.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    urls: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
    #[serde(rename = "os.features", skip_serializing_if = "Option::is_none")]
    os_features: Option<Vec<String>>,
}

/// An index of the OCI that names these.
pub(super) fn index_of<'a>(
    manifests: impl Iterator<Item = &'a content::Descriptor>,
) -> Result<Vec<u8>, Error> {
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX,
        manifests: manifests.map(Descriptor::write).collect(),
    };
    serde_json::to_vec(&index).map_err(|source| Error::malformed("an index").source(source))
}

// === impl Manifest ===

impl Manifest {
    /// What it calls itself, or what it must be: [only those of the OCI][optional] need not say it.
    ///
    /// [optional]: https://github.com/opencontainers/image-spec/blob/main/manifest.md#image-manifest-property-descriptions
    pub(super) fn guess_media_type(self) -> Option<String> {
        self.media_type.or_else(|| {
            let guess = match (&self.manifests, &self.config) {
                (Some(_), None) => media_type::OCI_INDEX,
                (None, Some(_)) => media_type::OCI_MANIFEST,
                _ => return None,
            };
            Some(guess.to_owned())
        })
    }

    pub(super) fn into_index(self) -> Result<content::Index, Error> {
        // What is both would be read as the one by some and as the other by others.
        if self.config.is_some() || self.layers.is_some() {
            return Err(Error::malformed(
                "the index has layers, as only an image has",
            ));
        }
        Ok(content::Index {
            manifests: read_all(self.manifests.unwrap_or_default())?,
            subject: self.subject.map(Descriptor::read).transpose()?,
            artifact_type: self.artifact_type,
            annotations: self.annotations.unwrap_or_default(),
        })
    }

    pub(super) fn into_image(self) -> Result<content::Image, Error> {
        if self.manifests.is_some() {
            return Err(Error::malformed(
                "the image has manifests, as only an index has",
            ));
        }
        Ok(content::Image {
            config: self
                .config
                .ok_or_else(|| Error::malformed("the manifest has no config"))?
                .read()?,
            layers: read_all(self.layers.unwrap_or_default())?,
            subject: self.subject.map(Descriptor::read).transpose()?,
            artifact_type: self.artifact_type,
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}

// === impl Descriptor ===

impl Descriptor {
    fn write(descriptor: &content::Descriptor) -> Self {
        let content::Descriptor {
            media_type,
            digest,
            size,
            platform,
            artifact_type,
            annotations,
            urls,
        } = descriptor;
        Self {
            media_type: media_type.clone(),
            digest: digest.to_string(),
            size: *size,
            platform: platform.as_ref().map(Platform::write),
            artifact_type: artifact_type.clone(),
            annotations: (!annotations.is_empty()).then(|| annotations.clone()),
            urls: (!urls.is_empty()).then(|| urls.clone()),
        }
    }

    fn read(self) -> Result<content::Descriptor, Error> {
        Ok(content::Descriptor {
            digest: Digest::parse(&self.digest)
                .map_err(|source| Error::malformed("a digest in the manifest").source(source))?,
            media_type: self.media_type,
            size: self.size,
            platform: self.platform.map(Platform::read),
            artifact_type: self.artifact_type,
            annotations: self.annotations.unwrap_or_default(),
            urls: self.urls.unwrap_or_default(),
        })
    }
}

fn read_all(all: Vec<Descriptor>) -> Result<Vec<content::Descriptor>, Error> {
    all.into_iter().map(Descriptor::read).collect()
}

// === impl Platform ===

impl Platform {
    fn write(platform: &content::Platform) -> Self {
        let content::Platform {
            os,
            architecture,
            variant,
            os_version,
            os_features,
        } = platform;
        Self {
            architecture: architecture.clone(),
            os: os.clone(),
            variant: variant.clone(),
            os_version: os_version.clone(),
            os_features: (!os_features.is_empty()).then(|| os_features.clone()),
        }
    }

    fn read(self) -> content::Platform {
        content::Platform {
            os: self.os,
            architecture: self.architecture,
            variant: self.variant,
            os_version: self.os_version,
            os_features: self.os_features.unwrap_or_default(),
        }
    }
}
