//! What an image stands for at its own registry, and whether who asks may read it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use kip_image::{Digest, Keyring, Reference};
use kip_registry::{Client, Credential, Error, Kind};

use crate::proofs::{Claim, Proofs};

/// Asks the registries of the originals.
pub struct Originals {
    client: Client,
    proofs: Mutex<Proofs>,
    /// For so long a proof counts.
    lifetime: Duration,
}

/// Who asks, for one image.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Tried in order.
    pub credentials: Vec<Credential>,
    /// What tells them from others.
    mark: Vec<u8>,
}

/// What the original's registry says.
#[derive(Debug)]
pub enum Original {
    /// It is there, and may be read.
    There(Digest),
    /// It is not there, or its registry does not answer: a copy is what there is.
    Gone(Error),
    /// It may not be read.
    Denied(Error),
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
    /// Asks by this client. `key` is the same for all replicas, and secret.
    pub fn new(client: Client, key: &[u8], lifetime: Duration) -> Self {
        Self {
            client,
            proofs: Mutex::new(Proofs::new(key)),
            lifetime,
        }
    }

    /// One request. That it is there is a proof for who asks.
    pub async fn of(&self, reference: &Reference, reader: &Reader) -> Original {
        match self.client.resolve(reference, &reader.credentials).await {
            Ok(resolved) => {
                let claim = reader.claim(reference.name(), &resolved.digest);
                self.with_proofs(|proofs| proofs.note(claim, SystemTime::now(), self.lifetime));
                Original::There(resolved.digest)
            }
            Err(error) => match error.kind() {
                Kind::Unauthorized { .. } | Kind::Denied { .. } => Original::Denied(error),
                _ => Original::Gone(error),
            },
        }
    }

    /// Whether who asks could read this content before.
    pub fn is_proven(&self, reference: &Reference, digest: &Digest, reader: &Reader) -> bool {
        let claim = reader.claim(reference.name(), digest);
        self.with_proofs(|proofs| proofs.has(claim, SystemTime::now()))
    }

    /// Reads or changes what is remembered.
    pub fn with_proofs<T>(&self, with: impl FnOnce(&mut Proofs) -> T) -> T {
        with(&mut self.proofs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
