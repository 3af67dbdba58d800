//! An index: images of one name for several processors.

use serde::Serialize;

use super::{Blob, Descriptor, Error, Image};

/// The media type of an [`Index`].
pub(super) const MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Images of one name for several processors.
#[derive(Clone, Debug)]
pub struct Index {
    /// The images.
    pub images: Vec<Image>,
    /// The list of them.
    pub manifest: Blob,
    /// Its media type.
    pub media_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexFile<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<IndexEntry<'a>>,
}

#[derive(Serialize)]
struct IndexEntry<'a> {
    #[serde(flatten)]
    descriptor: Descriptor<'a>,
    platform: Platform,
}

#[derive(Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

impl<'a> IndexEntry<'a> {
    fn of(image: &'a Image) -> Self {
        Self {
            descriptor: image.manifest.descriptor(image.media_type),
            platform: Platform {
                architecture: image.architecture,
                os: "linux",
            },
        }
    }
}

impl Index {
    /// An index in OCI's format.
    pub fn new(images: Vec<Image>) -> Result<Self, Error> {
        let manifest = Blob::json(&IndexFile {
            schema_version: 2,
            media_type: MEDIA_TYPE,
            manifests: images.iter().map(IndexEntry::of).collect(),
        })?;
        Ok(Self {
            images,
            manifest,
            media_type: MEDIA_TYPE,
        })
    }
}
