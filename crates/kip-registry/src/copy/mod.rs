//! Copies of images from one registry to another.
//!
//! 1. [`plan`]: read the manifests that the target has not got, or all, from the index down, and what refers to them.
//! 2. [`blobs`]: bring the blobs that they name, several at a time.
//! 3. Write the manifests, the lowest first, so that whatever a registry shows is whole; the tag comes last.

mod blobs;
mod lists;
mod plan;

use std::fmt;
use std::sync::Arc;

use futures::{TryStreamExt, stream};
use kip_image::{Digest, Reference};

use crate::client::Client;
use crate::credential::Credential;
use crate::error::{Error, Kind};
use crate::manifest::Manifest;
use crate::referrers::sibling;
use plan::{Node, Plan};

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
    /// Whether what [refers](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers) to
    /// the image and to its manifests is copied too: signatures, attestations, lists of contents.
    pub referrers: bool,
    /// Whether the tags are copied too under which `cosign` keeps such things by default: `sha256-….sig`, `.att` and
    /// `.sbom`, for the digest that is copied.
    pub cosign_tags: bool,
    /// So many blobs at the same time, and so many manifests.
    pub parallel: usize,
    /// So many bytes may the blobs have at most that the image's manifests name: configurations and layers, of all
    /// platforms and of what refers to them, each digest once. What the target has of them counts, too, unless it has the
    /// manifest that names them and the copy is not [thorough](Self::thorough). More is [`Kind::TooLarge`], before any blob is copied. None is no limit.
    pub max_bytes: Option<u64>,
    /// Whether the target is asked for all that an image is made of even where it has what names it, and what is missing is
    /// copied. A registry's clean-up may have taken the platforms from an index, or the blobs from a manifest. It costs a
    /// `HEAD` for each manifest and blob, and a `GET` for each manifest. What a blob at the target has in it is not looked at.
    pub thorough: bool,
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
    /// So many more bytes were handed to the target. An upload that begins again counts again.
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

/// Is told what happens, from several tasks at the same time. It must not block.
#[derive(Clone)]
pub struct Progress(Option<Arc<Tell>>);

type Tell = dyn Fn(Event<'_>) + Send + Sync;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The digest of the manifest or index, the same at both places.
    pub digest: Digest,
    /// The manifests and indexes that were written, referrers and lists of them included.
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

/// What all parts of a copy share.
struct Job<'a> {
    client: &'a Client,
    source: Place<'a>,
    target: Place<'a>,
    options: &'a Options,
    progress: &'a Progress,
}

/// Copies an image, byte for byte, with all its platforms.
///
/// What the target has is not copied again: a manifest that is there is taken to be there with all that it names, unless
/// [`Options::thorough`] says otherwise. The target's tag is written last, or nothing but digests where the target's
/// reference has no tag.
///
/// No more than a few hundred kilobytes of each blob are in memory, and nothing is written to a disk.
pub async fn copy(
    client: &Client,
    source: Place<'_>,
    target: Place<'_>,
    options: &Options,
    progress: &Progress,
) -> Result<Copied, Error> {
    let job = Job {
        client,
        source,
        target,
        options,
        progress,
    };
    let root = client
        .manifest(source.reference, source.credentials)
        .await?;
    let digest = root.digest.clone();
    let plan = job.plan(root).await?;
    let (present, mounted, copied, bytes) = job.copy_blobs(&plan).await?;
    let manifests = job.write_manifests(&plan).await?;
    Ok(Copied {
        digest,
        manifests,
        present,
        mounted,
        copied,
        bytes,
    })
}

impl Job<'_> {
    /// Writes the manifests, the lowest first, and returns how many.
    async fn write_manifests(&self, plan: &Plan) -> Result<usize, Error> {
        let mut written = 0;
        let levels = plan.levels();
        for level in levels.iter().skip(1).rev() {
            stream::iter(level.iter().map(Ok))
                .try_for_each_concurrent(self.parallel(), |node| self.write(node))
                .await?;
            written += level.len();
        }
        written += self.write_lists(plan).await?;
        for node in levels.iter().take(1).flatten() {
            self.write(node).await?;
            written += 1;
        }
        Ok(written)
    }

    async fn write(&self, node: &Node) -> Result<(), Error> {
        let reference = match &node.tag {
            Some(tag) => sibling(self.target.reference, tag)?,
            None => self.at_target(&node.manifest.digest),
        };
        self.put(&reference, &node.manifest).await
    }

    async fn put(&self, reference: &Reference, manifest: &Manifest) -> Result<(), Error> {
        self.client
            .put_manifest(reference, manifest, self.target.credentials)
            .await?;
        self.progress.tell(Event::Manifest {
            digest: &manifest.digest,
        });
        Ok(())
    }

    /// Whether it is at the target. Where we may not ask, the write will tell: some registries show a repository only
    /// once something was written.
    fn found(found: Result<bool, Error>) -> Result<bool, Error> {
        match found {
            Err(error)
                if matches!(
                    error.kind(),
                    Kind::Unauthorized { .. } | Kind::Denied { .. }
                ) =>
            {
                Ok(false)
            }
            found => found,
        }
    }

    fn at_source(&self, digest: &Digest) -> Reference {
        self.source.reference.clone().with_digest(digest.clone())
    }

    /// By the digest alone.
    fn at_target(&self, digest: &Digest) -> Reference {
        self.target
            .reference
            .clone()
            .with_digest(digest.clone())
            .as_pulled()
    }

    fn parallel(&self) -> usize {
        self.options.parallel.max(1)
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            referrers: true,
            cosign_tags: true,
            parallel: 4,
            max_bytes: None,
            thorough: false,
        }
    }
}

// === impl Progress ===

impl Progress {
    /// Nobody is told.
    pub fn none() -> Self {
        Self(None)
    }

    /// Somebody is told.
    pub fn new(tell: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    fn tell(&self, event: Event<'_>) {
        if let Some(tell) = &self.0 {
            tell(event);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.0.is_some()).finish()
    }
}
