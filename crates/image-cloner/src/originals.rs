//! What an image stands for at its own registry, and whether who asks may read it.

mod registries;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use kip_image::{Digest, Keyring, Reference};
use kip_registry::{Client, Credential, Kind};
use tokio::sync::Notify;
use tokio::time::timeout;

use self::registries::Registries;
use crate::memo::Memo;
use crate::proofs::{Claim, Proofs};
use crate::words;

/// Asks the registries of the originals. Clones are the same one.
#[derive(Clone)]
pub struct Originals(Arc<Inner>);

struct Inner {
    client: Client,
    proofs: Mutex<Proofs>,
    settings: Settings,
    /// Who asks for what.
    asked: Memo<(Vec<u8>, Reference), Original>,
    registries: Registries,
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

/// So many answers are remembered.
const ANSWERS: usize = 10_000;
/// So many credentials are tried for an image.
const CREDENTIALS: usize = 16;
/// A question takes no longer, with all that is tried again.
const LONGEST: Duration = Duration::from_secs(10);

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
    Gone(Why),
    /// It may not be read.
    Denied(Why),
}

/// Why there is no answer, or no good one.
#[derive(Debug, Clone)]
pub struct Why {
    /// In plain words.
    pub words: Arc<str>,
}

impl Reader {
    /// Who has these pull secrets.
    pub fn new(keyring: &Keyring, reference: &Reference) -> Self {
        let mut credentials = Credential::all_for(reference, keyring);
        credentials.truncate(CREDENTIALS);
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

    /// Who has none.
    pub fn anybody() -> Self {
        Self {
            credentials: Vec::new(),
            mark: Vec::new(),
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
            asked: Memo::new(settings.fresh, ANSWERS),
            registries: Registries::default(),
            news: Notify::new(),
        }))
    }

    /// One request, or none where the answer is known or on its way.
    pub async fn of(&self, reference: &Reference, reader: &Reader) -> Original {
        let question = (reader.mark.clone(), reference.clone());
        let is_there = |answer: &Original| matches!(answer, Original::There(_));
        let answer = self.0.asked.of(question, is_there, || {
            let (inner, reader, reference) = (self.0.clone(), reader.clone(), reference.clone());
            async move { inner.ask(&reference, &reader).await }.boxed()
        });
        answer.await
    }

    /// Whether who asks could read this content before, or anybody could.
    pub fn is_proven(&self, reference: &Reference, digest: &Digest, reader: &Reader) -> bool {
        let now = SystemTime::now();
        let own = reader.claim(reference.name(), digest);
        let anybody = Claim {
            credentials: &[],
            ..own
        };
        self.with_proofs(|proofs| proofs.has(own, now) || proofs.has(anybody, now))
    }

    /// Who asks has read this content.
    pub fn note(&self, reference: &Reference, digest: &Digest, reader: &Reader) {
        let claim = reader.claim(reference.name(), digest);
        let lifetime = self.0.settings.lifetime;
        if self.with_proofs(|proofs| proofs.note(claim, SystemTime::now(), lifetime)) {
            self.0.news.notify_one();
        }
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
        let registry = reference.registry();
        // Nobody waits for a registry that was away a moment ago.
        if let Some(words) = self.registries.away(registry) {
            return Original::Gone(Why { words });
        }
        let Some(_place) = self.registries.place(registry).await else {
            let words = Arc::from("too many questions wait for this registry");
            return Original::Gone(Why { words });
        };
        let resolved = self.client.resolve(reference, &reader.credentials);
        let Ok(resolved) = timeout(LONGEST, resolved).await else {
            // It may have answered all the time: to one of many credentials after the other.
            let words = format!("{registry}: no answer in {} s", LONGEST.as_secs()).into();
            return Original::Gone(Why { words });
        };
        match resolved {
            Ok(resolved) => Original::There(resolved.digest),
            Err(error) => {
                let words = words::of(&error);
                match error.kind() {
                    Kind::Unauthorized { .. } | Kind::Denied { .. } => Original::Denied(Why {
                        words: words.into(),
                    }),
                    // Only this is about the registry itself: an error or a limit may be about who asks, or for what.
                    Kind::Unreachable(_) => {
                        let words = self.registries.is_away(registry, words);
                        Original::Gone(Why { words })
                    }
                    _ => Original::Gone(Why {
                        words: words.into(),
                    }),
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
