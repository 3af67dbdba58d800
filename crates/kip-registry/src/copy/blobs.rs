//! Blobs on their way from one registry to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use kip_image::{Digest, Reference};

use super::plan::Plan;
use super::{Event, How, Job, Progress};
use crate::blob::{Begun, Session};
use crate::client::{Client, Repository};
use crate::credential::Credential;
use crate::error::{Error, Kind};
use crate::http::Source;

/// A blob at the source.
struct AtSource {
    client: Client,
    reference: Reference,
    credentials: Arc<[Credential]>,
    digest: Digest,
    size: u64,
    progress: Progress,
}

/// How many blobs came in each way, and how many bytes were copied.
#[derive(Default)]
struct Counts {
    present: AtomicUsize,
    mounted: AtomicUsize,
    copied: AtomicUsize,
    bytes: AtomicU64,
}

impl Job<'_> {
    /// Brings the blobs to the target; returns how many were there, were mounted, were copied, and their bytes.
    pub(super) async fn copy_blobs(
        &self,
        plan: &Plan,
    ) -> Result<(usize, usize, usize, u64), Error> {
        // The large ones first: the small ones fill the time in which the last large one is copied.
        let mut blobs: Vec<(&Digest, u64)> = plan
            .blobs
            .iter()
            .map(|(digest, &size)| (digest, size))
            .collect();
        blobs.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
        let target = self
            .client
            .repository(self.target.reference, self.target.credentials)?;
        let credentials: Arc<[Credential]> = self.source.credentials.into();
        let counts = Counts::default();
        stream::iter(blobs.into_iter().map(Ok))
            .try_for_each_concurrent(self.parallel(), |(digest, size)| {
                let source = AtSource {
                    client: self.client.clone(),
                    reference: self.source.reference.clone(),
                    credentials: Arc::clone(&credentials),
                    digest: digest.clone(),
                    size,
                    progress: self.progress.clone(),
                };
                let (target, counts) = (&target, &counts);
                async move {
                    let how = self
                        .bring(target, &source)
                        .await
                        .map_err(|error| target.about(error, &format!("@{digest}")))?;
                    counts.add(how, size);
                    self.progress.tell(Event::Blob { digest, how });
                    Ok::<(), Error>(())
                }
            })
            .await?;
        Ok(counts.into_all())
    }

    async fn bring(&self, target: &Repository<'_>, source: &AtSource) -> Result<How, Error> {
        let AtSource { digest, size, .. } = source;
        let mut session = None;
        let within = self.source.reference.registry() == self.target.reference.registry();
        // To mount costs no more than to ask; but where most is there, nothing should be written.
        if !within || self.options.thorough {
            let target = self.target;
            let found = self
                .client
                .blob_exists(target.reference, digest, target.credentials);
            if Self::found(found.await)? {
                return Ok(How::Present);
            }
        }
        if within {
            match self.mount(target, digest).await? {
                Some(Begun::Mounted) => return Ok(How::Mounted),
                Some(Begun::Session(begun)) => session = Some(begun),
                None => {}
            }
        }
        self.progress.tell(Event::Started {
            digest,
            size: *size,
        });
        self.client
            .upload_to(target, digest, *size, source, session)
            .await?;
        Ok(How::Copied)
    }

    /// Asks the target to take the blob from the source's repository; nothing where it does not even understand that.
    async fn mount<'a>(
        &'a self,
        target: &'a Repository<'a>,
        digest: &Digest,
    ) -> Result<Option<Begun<'a>>, Error> {
        let from = self.source.reference.repository();
        match Session::begin(self.client, target, Some((digest, from))).await {
            Ok(begun) => Ok(Some(begun)),
            Err(error) if error.kind().is_transient() => Err(error),
            // Whatever it has against it: an upload will tell whether it is against all writing.
            Err(_) => Ok(None),
        }
    }
}

impl Source for AtSource {
    fn open(
        &self,
        from: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<Bytes, Error>>, Error>> {
        async move {
            let whole = from == 0 && length == self.size;
            let blob = if whole {
                self.client
                    .blob(&self.reference, &self.digest, .., &self.credentials)
                    .await?
            } else {
                let range = from..from.saturating_add(length);
                self.client
                    .blob(&self.reference, &self.digest, range, &self.credentials)
                    .await?
            };
            if let Some(size) = blob.size()
                && size != self.size
            {
                return Err(self.wrong_size(size));
            }
            let progress = self.progress.clone();
            let stream = blob
                .into_stream()
                .inspect_ok(move |chunk| progress.tell(Event::Bytes(chunk.len() as u64)));
            Ok(stream.boxed())
        }
        .boxed()
    }
}

impl AtSource {
    fn wrong_size(&self, size: u64) -> Error {
        Error::new(Kind::Malformed)
            .detail(format!(
                "it has {size} bytes, and its manifest says {}",
                self.size
            ))
            .about(self.reference.registry(), || {
                format!("{}@{}", self.reference.repository(), self.digest)
            })
    }
}

impl Counts {
    fn add(&self, how: How, size: u64) {
        let counter = match how {
            How::Present => &self.present,
            How::Mounted => &self.mounted,
            How::Copied => {
                self.bytes.fetch_add(size, Ordering::Relaxed);
                &self.copied
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn into_all(self) -> (usize, usize, usize, u64) {
        (
            self.present.into_inner(),
            self.mounted.into_inner(),
            self.copied.into_inner(),
            self.bytes.into_inner(),
        )
    }
}
