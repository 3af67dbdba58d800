//! Manifests: as bytes, and as what they say.

mod content;
mod wire;

use bytes::Bytes;
use kip_image::{Algorithm, Digest};

pub use content::{Content, Descriptor, Image, Index, Platform};

use crate::error::Error;
use crate::hash;

/// The media types of manifests.
pub mod media_type {
    /// An index of the Open Container Initiative.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// A manifest of the Open Container Initiative.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An index of Docker.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// A manifest of Docker.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

    /// Whether it is an index.
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, OCI_INDEX | DOCKER_INDEX)
    }

    /// Whether it is a manifest of one image, or of another artifact.
    pub fn is_image(media_type: &str) -> bool {
        matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
    }
}

/// All that we can read, for the header `Accept`.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A manifest or an index, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What the registry has.
    pub bytes: Bytes,
    /// The digest of the bytes.
    pub digest: Digest,
    /// What they are: the registry's `Content-Type`, or `mediaType` of the manifest where that says nothing.
    pub media_type: String,
}

impl Manifest {
    /// What somebody else has kept of it. Where its media type is not known, it is what the manifest says itself.
    ///
    /// # Errors
    /// When the bytes have another digest.
    pub fn kept(bytes: Bytes, media_type: Option<String>, digest: &Digest) -> Result<Self, Error> {
        Self::checked(bytes, media_type, [Some(digest), None])
    }

    /// What was read, if it has each of the digests. It goes by the first of them.
    pub(crate) fn checked(
        bytes: Bytes,
        media_type: Option<String>,
        expected: [Option<&Digest>; 2],
    ) -> Result<Self, Error> {
        let mut digest = None;
        for expected in expected.into_iter().flatten() {
            hash::verify(expected, &bytes)?;
            digest.get_or_insert_with(|| expected.clone());
        }
        Ok(Self {
            digest: match digest {
                Some(digest) => digest,
                None => hash::digest(Algorithm::Sha256, &bytes)?,
            },
            media_type: content::media_type(&bytes, media_type),
            bytes,
        })
    }

    /// An index of the OCI that names these.
    pub(crate) fn index_of<'a>(
        manifests: impl Iterator<Item = &'a Descriptor>,
    ) -> Result<Self, Error> {
        let bytes = wire::index_of(manifests)?;
        Self::checked(
            bytes.into(),
            Some(media_type::OCI_INDEX.to_owned()),
            [None, None],
        )
    }

    /// What it says.
    pub fn parse(&self) -> Result<Content, Error> {
        content::parse(&self.bytes, &self.media_type)
    }
}
