//! What is known of registries: their challenges, and which credential each repository took.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bounded::Bounded;
use super::{Challenge, Scope};
use crate::credential::Credential;
use crate::endpoint::Endpoint;
use crate::resolve::RateLimit;

/// Registries that are known at most, and repositories.
const REGISTRIES: usize = 1024;
const REPOSITORIES: usize = 8192;

/// What is known of registries.
#[derive(Debug)]
pub(crate) struct Memory(Mutex<Known>);

#[derive(Debug)]
struct Known {
    challenges: Bounded<String, Challenge>,
    /// The credential that worked, by registry and scope.
    worked: Bounded<(String, Scope), Credential>,
    rate_limits: Bounded<String, RateLimit>,
    public: Bounded<String, bool>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Known {
            challenges: Bounded::new(REGISTRIES),
            worked: Bounded::new(REPOSITORIES),
            rate_limits: Bounded::new(REGISTRIES),
            public: Bounded::new(REGISTRIES),
        }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change is one call: it is whole whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn challenge(&self, endpoint: &Endpoint) -> Option<Challenge> {
        self.known()
            .challenges
            .get(&endpoint.name().to_owned())
            .cloned()
    }

    pub(crate) fn learn_challenge(&self, endpoint: &Endpoint, challenge: &Challenge) {
        self.known()
            .challenges
            .insert(endpoint.name().to_owned(), challenge.clone().lasting());
    }

    /// The credentials in the order in which to try them: the one that worked is first. None but those given are.
    pub(crate) fn order<'a>(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        credentials: &'a [Credential],
    ) -> Vec<&'a Credential> {
        let mut all: Vec<&Credential> = credentials.iter().collect();
        if all.len() > 1 {
            let key = (endpoint.name().to_owned(), scope.clone());
            if let Some(worked) = self.known().worked.get(&key)
                && let Some(at) = all.iter().position(|&credential| credential == worked)
            {
                all[..=at].rotate_right(1);
            }
        }
        all
    }

    pub(crate) fn learn_credential(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        credential: &Credential,
    ) {
        let key = (endpoint.name().to_owned(), scope.clone());
        self.known().worked.insert(key, credential.clone());
    }

    pub(crate) fn rate_limit(&self, registry: &str) -> Option<RateLimit> {
        self.known().rate_limits.get(&registry.to_owned()).copied()
    }

    pub(crate) fn learn_rate_limit(&self, endpoint: &Endpoint, limit: RateLimit) {
        self.known()
            .rate_limits
            .insert(endpoint.name().to_owned(), limit);
    }

    pub(crate) fn is_public(&self, endpoint: &Endpoint) -> Option<bool> {
        self.known()
            .public
            .get(&endpoint.name().to_owned())
            .copied()
    }

    pub(crate) fn learn_public(&self, endpoint: &Endpoint, public: bool) {
        self.known()
            .public
            .insert(endpoint.name().to_owned(), public);
    }
}
