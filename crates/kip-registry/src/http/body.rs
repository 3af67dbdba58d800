//! What is sent: nothing, bytes, or a stream that can be opened again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::error::Error;

/// Where the bytes of an upload come from. It is opened again when the upload has to begin again, or to go on in the
/// middle.
pub trait Source: Send + Sync {
    /// So many bytes from an offset on.
    fn open(
        &self,
        from: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<Bytes, Error>>, Error>>;
}

impl Source for Bytes {
    fn open(
        &self,
        from: u64,
        length: u64,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<Bytes, Error>>, Error>> {
        let at = |offset| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(self.len())
        };
        let rest = self.slice(at(from)..at(from.saturating_add(length)));
        let stream: BoxStream<'static, _> = Box::pin(stream::iter([Ok(rest)]));
        futures::future::ready(Ok(stream)).boxed()
    }
}

/// What is sent with a request.
#[derive(Clone)]
pub(crate) enum Payload<'a> {
    Empty,
    Bytes(Bytes),
    /// So many bytes of a source, from an offset on.
    Source {
        source: &'a dyn Source,
        from: u64,
        length: u64,
    },
}

/// What a body that is being sent tells the one who waits for the answer.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<Watched>>);

struct Watched {
    at: Instant,
    state: State,
    /// Why the body ended before its end.
    failure: Option<Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The receiver is to take more, or to answer.
    Receiver,
    /// The source is to give more.
    Source,
    /// All is sent.
    Done,
}

/// A stream of a known length as a body.
pub(super) struct Streamed {
    /// Never locked: the lock makes it shareable, as the library wants it.
    stream: Mutex<BoxStream<'static, Result<Bytes, Error>>>,
    left: u64,
    watch: Watch,
}

// === impl Payload ===

impl Payload<'_> {
    /// The body for one attempt to send it.
    pub(super) async fn open(&self, watch: &Watch) -> Result<Option<reqwest::Body>, Error> {
        Ok(match self {
            Payload::Empty => None,
            Payload::Bytes(bytes) => Some(bytes.clone().into()),
            Payload::Source {
                source,
                from,
                length,
            } => Some(reqwest::Body::wrap(Streamed {
                stream: Mutex::new(source.open(*from, *length).await?),
                left: *length,
                watch: watch.clone(),
            })),
        })
    }

    /// Whether it is a stream, whose first byte and last are far from each other.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Payload::Source { .. })
    }
}

// === impl Watch ===

impl Watch {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Watched {
            at: Instant::now(),
            state: State::Receiver,
            failure: None,
        })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Watched) -> T) -> T {
        // The state is whole after each change, whoever panicked between them.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, state: State) {
        self.with(|watched| {
            watched.at = Instant::now();
            watched.state = state;
        });
    }

    /// When the receiver has been silent for too long, unless it moves before.
    pub(super) fn deadline(&self, idle: Duration, at_end: Duration) -> Instant {
        self.with(|watched| match watched.state {
            State::Receiver => watched.at + idle,
            // The source has a deadline of its own.
            State::Source => Instant::now() + idle,
            State::Done => watched.at + at_end,
        })
    }

    /// Why the body ended before its end, if the source was the reason.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.with(|watched| watched.failure.take())
    }
}

// === impl Streamed ===

impl Streamed {
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.watch.with(|watched| watched.failure = Some(error));
        Poll::Ready(Some(Err(Broken)))
    }
}

/// The body cannot go on. Why is told to the one who waits for the answer.
#[derive(Debug, thiserror::Error)]
#[error("what was to be sent could not be read")]
pub(super) struct Broken;

impl Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if this.left == 0 {
            this.watch.note(State::Done);
            return Poll::Ready(None);
        }
        let stream = this
            .stream
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let next = stream.as_mut().poll_next(context);
        if next.is_pending() {
            this.watch.note(State::Source);
        }
        match ready!(next) {
            Some(Ok(mut bytes)) => {
                // A part of the source: the rest is not wanted.
                bytes.truncate(usize::try_from(this.left).unwrap_or(usize::MAX));
                this.left -= bytes.len() as u64;
                let done = this.left == 0;
                this.watch
                    .note(if done { State::Done } else { State::Receiver });
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Err(error)) => this.fail(error),
            None => {
                let left = this.left;
                this.fail(Error::input(format!(
                    "it ended {left} bytes before its end"
                )))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
