//! Keeps the proofs in a Secret, so that they outlive the process and are the same for all replicas.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::originals::Originals;
use crate::own_secret::{OwnSecret, Read, SecretError};
use crate::proofs::Proofs;
use crate::words;

/// The Secret's key of the key by which proofs are made.
const KEY: &str = "key";
/// The Secret's key of the proofs.
const PROOFS: &str = "proofs";
/// So many bytes has a key: as many as its hash.
const LENGTH: usize = 32;
/// What others have written is read so often, and at once where it matters.
const PAUSE: Duration = Duration::from_secs(30);
/// What is new is written down after so long, with all that has come by then: a registry may be gone a moment later.
const GATHER: Duration = Duration::from_secs(1);
/// A Secret of so many bytes is written once in a second at most, and one that is larger less often.
const BYTES_A_SECOND: f64 = 100_000.0;
/// So often others may write in between; then there is the next time.
const ATTEMPTS: usize = 5;
/// While the API server does not do its part it is asked so often.
const RETRY: Duration = Duration::from_secs(2);

/// Keeps them.
#[derive(Clone)]
pub struct Remembering {
    secret: OwnSecret,
    /// When it was last looked into because it mattered.
    looked: Arc<Mutex<Option<Instant>>>,
}

/// Why they cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum RememberError {
    /// The Secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The Secret has lost what was written into it.
    #[error("the Secret has no key")]
    NoKey,
    /// The operating system has no random numbers.
    #[error("there are no random numbers")]
    Random,
}

impl Remembering {
    /// In a Secret of this namespace.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            secret: OwnSecret::new(client, namespace, name),
            looked: Arc::default(),
        }
    }

    /// What is remembered, as soon as the API server lets us have it. The first replica makes the key.
    pub async fn first(&self) -> Proofs {
        loop {
            match self.begin().await {
                Ok(Some(proofs)) => return proofs,
                Ok(None) => {}
                Err(RememberError::Secret(error)) if error.is_conflict() => continue,
                Err(error) => {
                    let error = words::of(&error);
                    warn!(error, "what was proven cannot be read");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// The same, asked for once.
    ///
    /// # Errors
    /// When the Secret cannot be read or written.
    pub async fn once(&self) -> Result<Proofs, RememberError> {
        let proofs = self.begin().await?;
        proofs.ok_or(RememberError::NoKey)
    }

    /// Writes down what is new, and takes in what others have written, for ever. `count` is told how many there are.
    pub async fn keep(&self, originals: &Originals, count: impl Fn(usize)) {
        loop {
            if timeout(PAUSE, originals.news()).await.is_ok() {
                tokio::time::sleep(GATHER).await;
            }
            self.share(originals).await;
            let (known, bytes) = originals.with_proofs(|it| (it.len(), it.bytes()));
            count(known);
            tokio::time::sleep(Duration::from_secs_f64(bytes / BYTES_A_SECOND)).await;
        }
    }

    /// Looks whether another replica has proven something in the last moments: now it matters. Those who come meanwhile wait
    /// for the same look.
    pub async fn look(&self, originals: &Originals) {
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|at| at.elapsed() >= GATHER) {
            self.share(originals).await;
            *looked = Some(Instant::now());
        }
    }

    /// Does that once.
    pub async fn share(&self, originals: &Originals) {
        for _ in 0..ATTEMPTS {
            match self.exchange(originals).await {
                Ok(()) => return,
                // Another replica has written meanwhile: what it has written is taken in, too.
                Err(RememberError::Secret(error)) if error.is_conflict() => {}
                Err(error) => {
                    let error = words::of(&error);
                    warn!(error, "what was proven cannot be shared");
                    return;
                }
            }
        }
    }

    async fn begin(&self) -> Result<Option<Proofs>, RememberError> {
        let read = self.secret.read().await?;
        if let Some(proofs) = of(&read) {
            return Ok(Some(proofs));
        }
        let mut key = vec![0; LENGTH];
        let random = SystemRandom::new().fill(&mut key);
        random.map_err(|_| RememberError::Random)?;
        // Where another replica was faster this is a conflict, and the next look finds its key.
        Ok(of(&self.secret.write(read, [(KEY, key)]).await?))
    }

    async fn exchange(&self, originals: &Originals) -> Result<(), RememberError> {
        let read = self.secret.read().await?;
        let written = read.get(PROOFS).unwrap_or_default();
        let (key, encoded) = originals.with_proofs(|it| {
            match key_of(&read) {
                // Somebody has changed it: what was proven by the old one is nobody's any more.
                Some(key) if key != it.key() => *it = Proofs::new(key),
                _ => {}
            }
            it.merge(written);
            (it.key(), it.encode(SystemTime::now()))
        });
        if key_of(&read).is_some() && encoded == written {
            return Ok(());
        }
        debug!(bytes = encoded.len(), "proofs are written");
        self.secret
            .write(read, [(KEY, key), (PROOFS, encoded)])
            .await?;
        Ok(())
    }
}

/// What a Secret remembers, where it has a key.
fn of(read: &Read) -> Option<Proofs> {
    let key = key_of(read)?;
    let mut proofs = Proofs::new(key);
    proofs.merge(read.get(PROOFS).unwrap_or_default());
    Some(proofs)
}

fn key_of(read: &Read) -> Option<&[u8]> {
    read.get(KEY).filter(|key| key.len() == LENGTH)
}
