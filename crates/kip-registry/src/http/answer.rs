//! What comes back.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode};
use reqwest::Url;

use super::failure::explain;
use crate::error::{Error, Kind, Unreachable};

/// An answer whose head was read.
#[derive(Debug)]
pub(crate) struct Answer {
    inner: reqwest::Response,
    idle: Duration,
}

impl Answer {
    pub(super) fn new(inner: reqwest::Response, idle: Duration) -> Self {
        Self { inner, idle }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Where it came from, redirects followed.
    pub(crate) fn url(&self) -> &Url {
        self.inner.url()
    }

    /// The bytes that the head promises. The library cannot tell for `HEAD`, where no body follows.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(&http::header::CONTENT_LENGTH)?.parse().ok()
    }

    /// The next bytes of the body.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(self.idle, self.inner.chunk()).await {
            Ok(chunk) => chunk.map_err(explain),
            Err(_) => Err(Error::new(Kind::Unreachable(Unreachable::Timeout))
                .detail(format!("no byte in {} s", self.idle.as_secs_f32()))),
        }
    }

    /// The whole body, which may not be larger than the limit.
    pub(crate) async fn collect(self, what: &'static str, limit: usize) -> Result<Bytes, Error> {
        self.collect_after(0, what, limit).await
    }

    /// The whole body of one of several answers, which may not be larger than the limit together: so many bytes came
    /// before this one.
    pub(crate) async fn collect_after(
        mut self,
        before: usize,
        what: &'static str,
        limit: usize,
    ) -> Result<Bytes, Error> {
        let left = limit.saturating_sub(before);
        let too_large = || Error::new(Kind::TooLarge { what, limit });
        if self
            .content_length()
            .is_some_and(|length| length > left as u64)
        {
            return Err(too_large());
        }
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > left {
                return Err(too_large());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Reads what is left of a small body, so that the connection can be used again.
    pub(crate) async fn drain(mut self) {
        const LIMIT: usize = 16 << 10;
        let mut read = 0;
        while read < LIMIT {
            match self.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                // Its end, or a connection that is of no use any more.
                Ok(None) | Err(_) => return,
            }
        }
    }
}
