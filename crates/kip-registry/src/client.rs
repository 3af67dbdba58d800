//! The client: what all requests share.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use kip_image::Reference;
use reqwest::Url;

use crate::auth::{Memory, Scope, Tokens};
use crate::credential::Credential;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::http::{Call, Payload, Transport};
use crate::resolve::RateLimit;
use crate::settings::{Settings, SettingsError};

/// A client of registries. A clone is cheap, and shares connections and tokens.
///
/// Each method takes the credentials to try, in their order; none means to be anonymous. Tokens are shared between calls
/// with the same credential only, and none is used that a call does not bring.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    transport: Transport,
    memory: Memory,
    tokens: Tokens,
}

/// A repository, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Repository<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) name: &'a str,
    pub(crate) credentials: &'a [Credential],
}

impl Client {
    /// A client. Nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        for host in &settings.plain_http {
            let is_host = Url::parse(&format!("http://{host}/")).is_ok_and(|url| {
                url.path() == "/" && url.username().is_empty() && !host.contains('/')
            });
            if !is_host {
                return Err(SettingsError::PlainHttp { host: host.clone() });
            }
        }
        Ok(Self {
            shared: Arc::new(Shared {
                transport: Transport::new(&settings)?,
                settings,
                memory: Memory::new(),
                tokens: Tokens::new(),
            }),
        })
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// How many more images may be pulled, as the registry said last.
    pub fn rate_limit(&self, registry: &str) -> Option<RateLimit> {
        self.memory().rate_limit(registry)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.shared.transport
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.shared.memory
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.shared.tokens
    }

    /// Whether the registry is in the internet. Then it may not send us to where it cannot reach itself.
    async fn is_public(&self, endpoint: &Endpoint) -> bool {
        if let Some(public) = self.memory().is_public(endpoint) {
            return public;
        }
        let public = self.transport().is_public(endpoint.base()).await;
        self.memory().learn_public(endpoint, public);
        public
    }

    /// Whether a request about this registry may go to the internet only. `to` is where it goes: a place that the registry
    /// of the internet has named must be one there as well.
    pub(crate) async fn is_public_only(&self, endpoint: &Endpoint, to: &Url) -> bool {
        !self.settings().private.allow(endpoint.name())
            || (!endpoint.is_origin_of(to) && self.is_public(endpoint).await)
    }

    pub(crate) fn repository<'a>(
        &self,
        reference: &'a Reference,
        credentials: &'a [Credential],
    ) -> Result<Repository<'a>, Error> {
        Ok(Repository {
            endpoint: Endpoint::new(reference.registry(), self.settings()).map_err(|error| {
                error.about(reference.registry(), || reference.repository().to_owned())
            })?,
            name: reference.repository(),
            credentials,
        })
    }
}

// === impl Repository ===

impl<'a> Repository<'a> {
    /// A request that reads.
    pub(crate) fn read(&'a self, method: Method, path: &str) -> Call<'a> {
        Call {
            endpoint: &self.endpoint,
            credentials: self.credentials,
            scope: Scope::pull(self.name),
            method,
            url: self.endpoint.url(self.name, path),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            expected: &[StatusCode::OK],
        }
    }

    /// Says what an error is about: `@sha256:…`, `:latest`.
    pub(crate) fn about(&self, error: Error, what: &str) -> Error {
        error.about(self.endpoint.name(), || format!("{}{what}", self.name))
    }
}
