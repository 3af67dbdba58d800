//! Copies what runs already.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kip_image::Reference;
use tracing::warn;

use super::Running;
use crate::copies::Source;
use crate::originals::{Original, Reader};
use crate::service::Service;
use crate::words;

/// What came of an image.
#[derive(Debug, Clone)]
pub struct Line {
    /// Which one this is, of how many.
    pub number: (usize, usize),
    /// The image.
    pub original: Reference,
    /// Its copy, or why there is none.
    pub copy: Result<Reference, String>,
    /// Whether it was there.
    pub was_there: bool,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, total) = self.number;
        write!(f, "[{number}/{total}] {}: ", self.original)?;
        match &self.copy {
            Ok(copy) if self.was_there => write!(f, "is there: {copy}"),
            Ok(copy) => write!(f, "copied in {:.1} s: {copy}", self.took.as_secs_f64()),
            Err(error) => write!(f, "no copy: {error}"),
        }
    }
}

/// Copies all of them, several at a time, and tells each as it is done. Says how many have no copy.
pub async fn mirror(
    service: &Service,
    images: BTreeMap<Reference, Running>,
    at_once: usize,
    mut tell: impl FnMut(&Line),
) -> usize {
    let total = images.len();
    let done = AtomicUsize::new(0);
    let work = images.into_iter().map(async |(original, running)| {
        let began = Instant::now();
        let found = service.copier.find(&original).await.ok().flatten();
        let copy = copied(service, &original, &running).await;
        Line {
            number: (done.fetch_add(1, Ordering::Relaxed) + 1, total),
            was_there: copy.as_ref().ok() == found.as_ref(),
            original,
            copy,
            took: began.elapsed(),
        }
    });
    let mut lines = stream::iter(work).buffer_unordered(at_once);
    let mut failed = 0;
    while let Some(line) = lines.next().await {
        failed += usize::from(line.copy.is_err());
        tell(&line);
    }
    failed
}

/// By the secrets of the pods that have it. All who may read it now are remembered: they get the copy when it is away.
async fn copied(
    service: &Service,
    original: &Reference,
    running: &Running,
) -> Result<Reference, String> {
    let mut done: Result<Reference, String> = Err("no pod has it any more".to_owned());
    for secrets in &running.secrets {
        let reader = Reader::new(&secrets.keyring, original);
        let digest = match service.originals.of(original, &reader).await {
            Original::There(digest) => digest,
            Original::Denied(why) | Original::Gone(why) => {
                done = done.map_err(|_| why.words.to_string());
                continue;
            }
        };
        let source = Source {
            reference: original.clone(),
            digest: digest.clone(),
            credentials: reader.credentials.clone().into(),
        };
        match service.copier.copy_of(source.clone()).await {
            Ok(copy) => {
                service.originals.note(original, &digest, &reader);
                // Once is enough: it is the same copy.
                if done.is_err()
                    && let Err(error) = service.copier.mend(&source).await
                {
                    let error = words::of(&error);
                    warn!(%copy, error, "what the copy may have lost cannot be brought");
                }
                done = Ok(copy);
            }
            Err(error) => done = done.map_err(|_| words::of(&error)),
        }
    }
    done
}
