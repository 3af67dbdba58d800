//! Keeps the proofs in a Secret, so that they outlive the process and are the same for all replicas.

use std::time::{Duration, SystemTime};

use kube::Client;
use ring::rand::{SecureRandom as _, SystemRandom};
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
/// What is new is written down so often, and what others have written is read.
const PAUSE: Duration = Duration::from_secs(10);
/// While the API server does not do its part it is asked so often.
const RETRY: Duration = Duration::from_secs(2);

/// Keeps them.
#[derive(Clone)]
pub struct Remembering {
    secret: OwnSecret,
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
        }
    }

    /// What is remembered, as soon as the API server lets us have it. The first replica makes the key.
    pub async fn first(&self) -> Proofs {
        loop {
            match self.begin().await {
                Ok(Some(proofs)) => return proofs,
                Ok(None) => {}
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
            tokio::time::sleep(PAUSE).await;
            self.share(originals).await;
            count(originals.with_proofs(|proofs| proofs.len()));
        }
    }

    /// Does that once.
    pub async fn share(&self, originals: &Originals) {
        if let Err(error) = self.exchange(originals).await {
            let error = words::of(&error);
            warn!(error, "what was proven cannot be shared");
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
