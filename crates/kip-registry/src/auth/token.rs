//! Tokens: fetched from a token server, and kept as long as they are good.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Url;
use serde::Deserialize;
use tokio::time::Instant;

use super::Scope;
use super::bounded::Bounded;
use crate::client::Client;
use crate::credential::{Credential, encode_basic};
use crate::endpoint::{Endpoint, is_plain_url};
use crate::error::{Error, Kind, quote};
use crate::http::{Answer, Outgoing, Payload, redirect, refusal};

/// So many tokens are kept. Some are several kilobytes.
const KEPT: usize = 512;

/// How long a token is good [where the server does not say][spec].
///
/// [spec]: https://distribution.github.io/distribution/spec/auth/token/#token-response-fields
const DEFAULT_LIFE: Duration = Duration::from_secs(60);

/// A server that means for ever says so in many ways.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What we call ourselves at token servers, which ask for it.
const CLIENT_ID: &str = "kip-registry";

/// The tokens that are good.
#[derive(Debug)]
pub(crate) struct Tokens(Mutex<Bounded<Key, Token>>);

/// What a token is for, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) registry: String,
    pub(crate) realm: String,
    pub(crate) service: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) credential: Option<Credential>,
}

struct Token {
    value: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Reply {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Bounded::new(KEPT)))
    }

    fn kept(&self) -> MutexGuard<'_, Bounded<Key, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is good still.
    pub(crate) fn get(&self, key: &Key) -> Option<String> {
        let mut kept = self.kept();
        let token = kept.get(key)?;
        (token.until > Instant::now()).then(|| token.value.clone())
    }

    /// Forgets a token that the registry did not take.
    pub(crate) fn forget(&self, key: &Key) {
        self.kept().remove(key);
    }

    /// Asks the token server.
    pub(crate) async fn fetch(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        key: &Key,
    ) -> Result<String, Error> {
        let asked = Instant::now();
        let outgoing = request(client, endpoint, key).await?;
        let answer = redirect::send(client, endpoint, outgoing).await?;
        if answer.status() != StatusCode::OK {
            return Err(refused(answer, key).await);
        }
        let limit = client.settings().limits.token_bytes;
        let reply = answer.collect("a token", limit).await?;
        // The reply is a secret: the parser's error, which may quote it, is not told.
        let reply: Reply = serde_json::from_slice(&reply)
            .map_err(|_| Error::malformed("the token server's answer is no JSON with a token"))?;
        let value = [reply.token, reply.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty())
            .ok_or_else(|| Error::malformed("the token server's answer has no token"))?;
        let life = life(reply.expires_in);
        let token = Token {
            value: value.clone(),
            until: asked + life,
        };
        self.kept().insert(key.clone(), token);
        Ok(value)
    }
}

/// What a token server means that gives no token.
async fn refused(answer: Answer, key: &Key) -> Error {
    let secrets = key
        .credential
        .as_ref()
        .map_or_else(Vec::new, Credential::secrets);
    let mut error = refusal(answer, &secrets).await.context("its token server");
    // It knows nothing of images: these are about the credentials, or about the way in which they were sent.
    if matches!(
        error.kind(),
        Kind::NotFound | Kind::Rejected { .. } | Kind::Unsupported
    ) {
        *error.kind_mut() = Kind::Unauthorized { tried: Vec::new() };
    }
    error
}

/// How long a token is used: a tenth less than it is good, so that it does not end on the way.
fn life(expires_in: Option<f64>) -> Duration {
    let life = expires_in
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(DEFAULT_LIFE);
    life.min(LONGEST_LIFE).mul_f64(0.9)
}

async fn request(
    client: &Client,
    endpoint: &Endpoint,
    key: &Key,
) -> Result<Outgoing<'static>, Error> {
    let realm = realm(client, endpoint, key)?;
    let public_only = client.is_public_only(endpoint, &realm).await;
    let mut outgoing = Outgoing {
        method: Method::GET,
        home: realm.clone(),
        url: realm,
        headers: HeaderMap::new(),
        payload: Payload::Empty,
        public_only,
    };
    match &key.credential {
        Some(Credential::IdentityToken { token, .. }) => exchange(&mut outgoing, key, token),
        Some(Credential::Basic { user, password }) => {
            outgoing
                .headers
                .insert(AUTHORIZATION, basic(user, password)?);
            ask(&mut outgoing.url, key, Some(user));
        }
        None => ask(&mut outgoing.url, key, None),
    }
    Ok(outgoing)
}

/// The token server's URL, if credentials may be sent there: encrypted, or to a host that is named for plain HTTP.
fn realm(client: &Client, endpoint: &Endpoint, key: &Key) -> Result<Url, Error> {
    let realm = Url::parse(&key.realm).map_err(|source| {
        Error::malformed(format!(
            "the token server {:?} is no URL",
            quote(&key.realm)
        ))
        .source(source)
    })?;
    let allowed = match realm.scheme() {
        "https" => realm.has_host(),
        "http" => endpoint.is_origin_of(&realm) || is_plain_url(client.settings(), &realm),
        _ => false,
    };
    if !allowed || !realm.username().is_empty() || realm.password().is_some() {
        return Err(Error::new(Kind::Refused).detail(format!(
            "its token server is at {}://{}, which is neither https nor named for plain HTTP",
            realm.scheme(),
            quote(realm.host_str().unwrap_or_default())
        )));
    }
    Ok(realm)
}

/// [With user and password, or without](https://distribution.github.io/distribution/spec/auth/token/).
fn ask(url: &mut Url, key: &Key, user: Option<&str>) {
    let mut query = url.query_pairs_mut();
    if let Some(service) = &key.service {
        query.append_pair("service", service);
    }
    for scope in key.scope.iter() {
        query.append_pair("scope", scope);
    }
    query.append_pair("client_id", CLIENT_ID);
    if let Some(user) = user {
        query.append_pair("account", user);
    }
}

/// [With an identity token](https://distribution.github.io/distribution/spec/auth/oauth/).
fn exchange(outgoing: &mut Outgoing<'_>, key: &Key, token: &str) {
    // Only to encode the form as it is done in URLs; the URL is not sent.
    let mut form = outgoing.url.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", key.service.as_deref().unwrap_or_default())
        .append_pair("client_id", CLIENT_ID)
        .append_pair("scope", &key.scope.to_string())
        .append_pair("refresh_token", token);
    outgoing.method = Method::POST;
    outgoing.headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    outgoing.payload = Payload::Bytes(Bytes::from(form.query().unwrap_or_default().to_owned()));
}

/// The header for user and password.
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, Error> {
    secret_header("Basic", &encode_basic(user, password))
}

/// The header for a token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    secret_header("Bearer", token)
}

fn secret_header(scheme: &str, secret: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {secret}"))
        .map_err(|_| Error::malformed("the token has characters that a header may not have"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_a_little_shorter_than_it_is_good() {
        for (expires_in, seconds) in [
            (None, 54),
            (Some(300.0), 270),
            (Some(10.0), 9),
            (Some(0.0), 0),
            (Some(-1.0), 54),
            (Some(f64::MAX), 54),
            (Some(1e9), 77760),
        ] {
            assert_eq!(life(expires_in).as_secs(), seconds, "{expires_in:?}");
        }
    }
}
