//! What an image stands for at its own registry, and whether who asks may read it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use kip_image::{Digest, Keyring, Reference};
use kip_registry::{Client, Credential, Error, Kind};
use tokio::sync::{Notify, Semaphore};

use crate::memo::Memo;
use crate::proofs::{Claim, Proofs};

/// Asks the registries of the originals. Clones are the same one.
#[derive(Clone)]
pub struct Originals(Arc<Inner>);

struct Inner {
    client: Client,
    proofs: Mutex<Proofs>,
    settings: Settings,
    /// Who asks for what.
    asked: Memo<(Vec<u8>, Reference), Original>,
    slots: Semaphore,
    news: Notify,
}

/// How originals are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// For so long a proof counts.
    pub lifetime: Duration,
    /// For so long nobody asks again what a reference stands for.
    pub fresh: Duration,
}

/// Registries are asked so many questions at the same time; who asks more waits.
const AT_ONCE: usize = 64;
/// Who asks, for one image.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Tried in order.
    pub credentials: Vec<Credential>,
    /// What tells them from others.
    mark: Vec<u8>,
}

/// What the original's registry says.
#[derive(Debug, Clone)]
pub enum Original {
    /// It is there, and may be read.
    There(Digest),
    /// It is not there, or its registry does not answer: a copy is what there is.
    Gone(Arc<Error>),
    /// It may not be read.
    Denied(Arc<Error>),
}

impl Reader {
    /// Who has these pull secrets.
    pub fn new(keyring: &Keyring, reference: &Reference) -> Self {
        let credentials = Credential::all_for(reference, keyring);
        let parts = credentials.iter().flat_map(|it| match it {
            Credential::Basic { user, password } => ["user", user, password],
            Credential::IdentityToken { token, .. } => ["token", "", token],
        });
        let mark = parts.flat_map(|part| {
            // Lengths keep a name's end from being read as a password's beginning.
            let length = (part.len() as u64).to_be_bytes();
            length.into_iter().chain(part.bytes()).collect::<Vec<u8>>()
        });
        Self {
            mark: mark.collect(),
            credentials,
        }
    }

    fn claim<'a>(&'a self, name: &'a str, digest: &'a Digest) -> Claim<'a> {
        Claim {
            credentials: &self.mark,
            name,
            digest,
        }
    }
}

impl Originals {
    /// Asks by this client. What is remembered of earlier times comes with it.
    pub fn new(client: Client, proofs: Proofs, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            client,
            proofs: Mutex::new(proofs),
            settings,
            asked: Memo::new(settings.fresh),
            slots: Semaphore::new(AT_ONCE),
            news: Notify::new(),
        }))
    }

    /// One request, or none where the answer is known or on its way. That it is there is a proof for who asks.
    pub async fn of(&self, reference: &Reference, reader: &Reader) -> Original {
        let question = (reader.mark.clone(), reference.clone());
        let is_there = |answer: &Original| matches!(answer, Original::There(_));
        let answer = self.0.asked.of(question, is_there, || {
            let (inner, reader, reference) = (self.0.clone(), reader.clone(), reference.clone());
            async move { inner.ask(&reference, &reader).await }.boxed()
        });
        answer.await
    }

    /// Whether who asks could read this content before.
    pub fn is_proven(&self, reference: &Reference, digest: &Digest, reader: &Reader) -> bool {
        let claim = reader.claim(reference.name(), digest);
        self.with_proofs(|proofs| proofs.has(claim, SystemTime::now()))
    }

    /// Waits until something is proven that was not.
    pub async fn news(&self) {
        self.0.news.notified().await;
    }

    /// Reads or changes what is remembered.
    pub fn with_proofs<T>(&self, with: impl FnOnce(&mut Proofs) -> T) -> T {
        with(&mut lock(&self.0.proofs))
    }
}

impl Inner {
    async fn ask(&self, reference: &Reference, reader: &Reader) -> Original {
        // It is never closed.
        let _slot = self.slots.acquire().await;
        match self.client.resolve(reference, &reader.credentials).await {
            Ok(resolved) => {
                let claim = reader.claim(reference.name(), &resolved.digest);
                let lifetime = self.settings.lifetime;
                if lock(&self.proofs).note(claim, SystemTime::now(), lifetime) {
                    self.news.notify_one();
                }
                Original::There(resolved.digest)
            }
            Err(error) => match error.kind() {
                Kind::Unauthorized { .. } | Kind::Denied { .. } => {
                    Original::Denied(Arc::new(error))
                }
                _ => Original::Gone(Arc::new(error)),
            },
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
