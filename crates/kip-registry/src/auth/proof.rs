//! What is sent with a request, so that the registry knows who asks.

use http::HeaderValue;

use super::token::{basic, bearer};
use super::{Challenge, Key, Scope};
use crate::client::Client;
use crate::credential::Credential;
use crate::endpoint::Endpoint;
use crate::error::Error;

/// What is sent with a request, so that the registry knows who asks.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Nothing: nothing was asked for yet, or there is nothing to send.
    None,
    /// User and password.
    Basic(HeaderValue),
    /// A token.
    Bearer {
        /// The header.
        header: HeaderValue,
        /// The token itself.
        token: String,
        /// What it is for.
        key: Key,
        /// Whether it was used before, and may have ended early.
        kept: bool,
    },
}

impl Proof {
    /// What the challenge asks for, as far as the credential can give it.
    pub(crate) async fn new(
        client: &Client,
        endpoint: &Endpoint,
        challenge: Option<&Challenge>,
        scope: &Scope,
        credential: Option<&Credential>,
    ) -> Result<Self, Error> {
        match (challenge, credential) {
            (Some(Challenge::Basic), Some(Credential::Basic { user, password })) => {
                basic(user, password).map(Self::Basic)
            }
            (Some(Challenge::Bearer { realm, service, .. }), credential) => {
                let key = Key {
                    registry: endpoint.name().to_owned(),
                    realm: realm.clone(),
                    service: service.clone(),
                    scope: scope.clone(),
                    credential: credential.cloned(),
                };
                let (token, kept) = match client.tokens().get(&key) {
                    Some(token) => (token, true),
                    None => (client.tokens().fetch(client, endpoint, &key).await?, false),
                };
                Ok(Self::Bearer {
                    header: bearer(&token)?,
                    token,
                    key,
                    kept,
                })
            }
            _ => Ok(Self::None),
        }
    }

    /// The header `Authorization`.
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::None => None,
            Self::Basic(header) | Self::Bearer { header, .. } => Some(header),
        }
    }

    /// What must not be seen of it.
    pub(crate) fn secret(&self) -> Option<&str> {
        match self {
            Self::Bearer { token, .. } => Some(token),
            Self::None | Self::Basic(_) => None,
        }
    }

    /// Whether there is something new to answer to a challenge that came back for this. Widens the scope if the
    /// registry asks for more than it was given.
    pub(crate) fn can_do_better(
        &self,
        client: &Client,
        challenge: &Challenge,
        scope: &mut Scope,
    ) -> bool {
        match (self, challenge) {
            (Self::None, _)
            | (Self::Basic(_), Challenge::Bearer { .. })
            | (Self::Bearer { .. }, Challenge::Basic) => true,
            (Self::Basic(_), Challenge::Basic) => false,
            (
                Self::Bearer { key, kept, .. },
                Challenge::Bearer {
                    realm,
                    service,
                    scope: asked,
                    error,
                },
            ) => {
                client.tokens().forget(key);
                let elsewhere = *realm != key.realm || *service != key.service;
                let insufficient = error
                    .as_deref()
                    .is_none_or(|error| error == "insufficient_scope");
                let widened =
                    insufficient && asked.as_deref().is_some_and(|asked| scope.widen(asked));
                *kept || elsewhere || widened
            }
        }
    }
}
