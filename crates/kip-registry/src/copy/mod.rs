//! Copies of images from one registry to another.

use kip_image::{Digest, Reference};

use crate::client::Client;
use crate::credential::Credential;
use crate::error::{Error, Kind};

/// A name, and who asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The name.
    pub reference: &'a Reference,
    /// The credentials, tried in order.
    pub credentials: &'a [Credential],
}

/// How to copy.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether what refers to the image (signatures, attestations) is copied too.
    pub referrers: bool,
    /// So many blobs at the same time.
    pub parallel: usize,
}

/// Something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A blob is being copied.
    Started {
        /// Which.
        digest: &'a Digest,
        /// Its bytes.
        size: u64,
    },
    /// So many more bytes were handed to the target.
    Bytes(u64),
    /// A blob is at the target.
    Blob {
        /// Which.
        digest: &'a Digest,
        /// How it came there.
        how: How,
    },
    /// A manifest is at the target.
    Manifest {
        /// Which.
        digest: &'a Digest,
    },
}

/// How a blob came to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// It was there.
    Present,
    /// The target took it from another of its repositories.
    Mounted,
    /// Its bytes were copied.
    Copied,
}

/// Is told what happens, from several tasks at the same time.
pub type Progress<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The digest of the manifest or index, the same at both places.
    pub digest: Digest,
    /// The manifests and indexes that were put, referrers included.
    pub manifests: usize,
    /// The blobs that were there.
    pub present: usize,
    /// The blobs that were mounted.
    pub mounted: usize,
    /// The blobs that were copied.
    pub copied: usize,
    /// The bytes of those.
    pub bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            referrers: true,
            parallel: 4,
        }
    }
}

/// Copies an image, byte for byte, with all its platforms.
pub async fn copy(
    _client: &Client,
    _source: Place<'_>,
    _target: Place<'_>,
    _options: &Options,
    _progress: Progress<'_>,
) -> Result<Copied, Error> {
    Err(Error::new(Kind::Unsupported))
}
