//! What a name stands for.

use std::time::Duration;

use kip_image::{Digest, Reference};

use crate::client::Client;
use crate::credential::Credential;
use crate::error::{Error, Kind};
use crate::manifest::Manifest;

/// What a name stands for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// The bytes of the manifest or index itself, if the registry says so.
    pub size: Option<u64>,
    /// How many more images may be pulled, if the registry says so.
    pub rate_limit: Option<RateLimit>,
}

/// How many more images may be pulled, as [Docker Hub] says in its answers.
///
/// [Docker Hub]: https://docs.docker.com/docker-hub/usage/pulls/
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// So many now.
    pub remaining: u64,
    /// So many in all.
    pub limit: Option<u64>,
    /// In so long a time.
    pub window: Option<Duration>,
}

impl Client {
    /// What the name stands for now. Costs one `HEAD`, which registries do not count as a pull.
    pub async fn resolve(
        &self,
        _reference: &Reference,
        _credentials: &[Credential],
    ) -> Result<Resolved, Error> {
        Err(Error::new(Kind::Unsupported))
    }

    /// The manifest or index that the name stands for, byte for byte.
    pub async fn manifest(
        &self,
        _reference: &Reference,
        _credentials: &[Credential],
    ) -> Result<Manifest, Error> {
        Err(Error::new(Kind::Unsupported))
    }
}
