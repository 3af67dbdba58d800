//! Blobs that are read.

use std::ops::RangeBounds;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, Stream};
use http::{Method, StatusCode};
use kip_image::{Digest, Reference};

use super::range::{Part, content_range};
use crate::client::Client;
use crate::credential::Credential;
use crate::error::{Error, Kind, Unreachable};
use crate::hash::{Hasher, compare};
use crate::http::{Answer, retry};

/// A blob that is being read.
///
/// Where the connection breaks, it goes on from there with another. The whole of a blob is checked: its last bytes only
/// come when all of them have the digest. A part of a blob cannot be checked.
#[derive(Debug)]
pub struct Blob {
    from: From,
    answer: Answer,
    /// Where the next byte of the answer belongs.
    offset: u64,
    /// The end, if it is known.
    end: Option<u64>,
    /// The size of the whole, if it is known.
    size: Option<u64>,
    /// So many bytes are not wanted, since the registry began at the start again.
    skip: u64,
    hasher: Option<Hasher>,
    /// What came last: it is only handed out when something follows it, or when all is checked.
    held: Option<Bytes>,
    failures: u32,
    done: bool,
}

/// Where a blob is.
#[derive(Debug, Clone)]
struct From {
    client: Client,
    reference: Reference,
    credentials: Arc<[Credential]>,
    digest: Digest,
    to: Option<u64>,
}

impl Client {
    /// Reads a blob of the reference's repository, or a part of it: `..` for the whole, `100..`, `0..50`.
    pub async fn blob(
        &self,
        repository: &Reference,
        digest: &Digest,
        range: impl RangeBounds<u64>,
        credentials: &[Credential],
    ) -> Result<Blob, Error> {
        let part = Part::new(&range);
        let from = From {
            client: self.clone(),
            reference: repository.clone(),
            credentials: credentials.into(),
            digest: digest.clone(),
            to: part.to,
        };
        if part.is_empty() {
            return Err(from.about(Error::input(format!(
                "bytes {} to {:?} are none",
                part.from, part.to
            ))));
        }
        let answer = from
            .open(part.from)
            .await
            .map_err(|error| from.about(error))?;
        Blob::new(from.clone(), answer, part).map_err(|error| from.about(error))
    }

    /// Whether the reference's repository has a blob.
    pub async fn blob_exists(
        &self,
        repository: &Reference,
        digest: &Digest,
        credentials: &[Credential],
    ) -> Result<bool, Error> {
        let repository = self.repository(repository, credentials)?;
        let call = repository.read(Method::HEAD, &format!("blobs/{digest}"));
        match self.call(&call).await {
            Ok(_) => Ok(true),
            Err(error) if *error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(repository.about(error, &format!("@{digest}"))),
        }
    }
}

// === impl From ===

impl From {
    async fn open(&self, from: u64) -> Result<Answer, Error> {
        let repository = self.client.repository(&self.reference, &self.credentials)?;
        let mut call = repository.read(Method::GET, &format!("blobs/{}", self.digest));
        let part = Part { from, to: self.to };
        part.insert(&mut call.headers);
        if !part.is_whole() {
            call.expected = &[StatusCode::OK, StatusCode::PARTIAL_CONTENT];
        }
        self.client.call(&call).await
    }

    fn about(&self, error: Error) -> Error {
        error.about(self.reference.registry(), || {
            format!("{}@{}", self.reference.repository(), self.digest)
        })
    }
}

// === impl Blob ===

impl Blob {
    fn new(from: From, answer: Answer, part: Part) -> Result<Self, Error> {
        let hasher = part
            .is_whole()
            .then(|| Hasher::new(from.digest.algorithm()));
        let mut blob = Self {
            from,
            answer,
            offset: part.from,
            end: part.to,
            size: None,
            skip: 0,
            hasher,
            held: None,
            failures: 0,
            done: false,
        };
        blob.begin()?;
        Ok(blob)
    }

    /// Reads the head of an answer that should begin at the offset.
    fn begin(&mut self) -> Result<(), Error> {
        let (start, size) = if self.answer.status() == StatusCode::PARTIAL_CONTENT {
            content_range(&self.answer)?
        } else {
            (0, self.answer.content_length())
        };
        self.skip = self.offset.checked_sub(start).ok_or_else(|| {
            Error::malformed(format!(
                "bytes from {start} on came, not from {} on",
                self.offset
            ))
        })?;
        self.size = self.size.or(size);
        self.end = match (self.end, self.size) {
            (Some(end), Some(size)) => Some(end.min(size)),
            (end, size) => end.or(size),
        };
        Ok(())
    }

    /// The bytes of the whole blob, if the registry says how many.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next bytes; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.next().await {
            Ok(chunk) => Ok(chunk),
            Err(error) => {
                self.done = true;
                self.held = None;
                Err(self.from.about(error))
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.done {
            match self.answer.chunk().await {
                Ok(Some(bytes)) => {
                    if let Some(before) = self.take(bytes) {
                        return Ok(Some(before));
                    }
                }
                Ok(None) if self.end.is_some_and(|end| self.offset < end) => {
                    let early = Error::new(Kind::Unreachable(Unreachable::Interrupted))
                        .detail(format!("the blob ended after {} bytes", self.offset));
                    self.resume(early).await?;
                }
                Ok(None) => self.finish()?,
                Err(error) => self.resume(error).await?,
            }
            // What the registry sends beyond the end of a part is not waited for.
            if self.skip == 0
                && self.hasher.is_none()
                && self.end.is_some_and(|end| self.offset >= end)
            {
                self.done = true;
            }
        }
        Ok(self.held.take())
    }

    /// Takes bytes in; what came before them may be handed out.
    fn take(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        bytes.advance(usize::try_from(skipped).unwrap_or(bytes.len()));
        if let (None, Some(end)) = (&self.hasher, self.end) {
            let left = end.saturating_sub(self.offset);
            bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if bytes.is_empty() {
            return None;
        }
        self.offset += bytes.len() as u64;
        // Progress: what broke before is over.
        self.failures = 0;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        self.held.replace(bytes)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.done = true;
        match self.hasher.take() {
            Some(hasher) => compare(&self.from.digest, hasher.finish()?),
            None => Ok(()),
        }
    }

    /// Goes on with another connection where the last one broke.
    async fn resume(&mut self, error: Error) -> Result<(), Error> {
        let retries = &self.from.client.settings().retries;
        let wait = retry::wait(retries, self.failures, &error).ok_or(error)?;
        self.failures += 1;
        tokio::time::sleep(wait).await;
        self.answer = self.from.open(self.offset).await?;
        self.begin()
    }

    /// The bytes as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        stream::try_unfold(self, |mut blob| async move {
            Ok(blob.chunk().await?.map(|chunk| (chunk, blob)))
        })
    }

    /// All bytes, if they are not more than the limit.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > limit {
                return Err(self.from.about(Error::new(Kind::TooLarge {
                    what: "the blob",
                    limit,
                })));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}
