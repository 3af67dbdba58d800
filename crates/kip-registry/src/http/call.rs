//! A request to a registry in the name of the first credential that it takes.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;

use super::{Answer, Outgoing, Payload, redirect, refusal, retry};
use crate::auth::{Challenge, Proof, Scope, parse_challenges};
use crate::client::Client;
use crate::credential::Credential;
use crate::endpoint::Endpoint;
use crate::error::{ANONYMOUS, Error, Kind};
use crate::resolve::RateLimit;

/// So often is a request sent in the name of one credential: without any, with a token that may have ended, with a new
/// one, with one that allows more.
const ROUNDS: usize = 4;

/// A request to a registry.
pub(crate) struct Call<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) credentials: &'a [Credential],
    pub(crate) scope: Scope,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    /// The statuses that are no error.
    pub(crate) expected: &'a [StatusCode],
}

impl Client {
    /// Sends it, again if need be.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Answer, Error> {
        retry::run(&self.settings().retries, || self.call_once(call)).await
    }

    /// Sends it once in the name of each credential until one is taken, as [kubelet does][order]. Nobody is anonymous
    /// who has credentials.
    ///
    /// [order]: https://kubernetes.io/docs/concepts/containers/images/#config-json
    pub(crate) async fn call_once(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let order = self
            .memory()
            .order(call.endpoint, &call.scope, call.credentials);
        if order.is_empty() {
            return self
                .call_as(call, None)
                .await
                .map_err(|error| tell_tried(error, || vec![ANONYMOUS.to_owned()]));
        }
        let mut told: Option<Error> = None;
        for credential in order {
            let error = match self.call_as(call, Some(credential)).await {
                Ok(answer) => {
                    self.memory()
                        .learn_credential(call.endpoint, &call.scope, credential);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if telling(&error) == 0 {
                return Err(error);
            }
            if told
                .as_ref()
                .is_none_or(|told| telling(&error) > telling(told))
            {
                told = Some(error);
            }
        }
        let error = told.unwrap_or_else(|| Error::new(Kind::Unauthorized { tried: Vec::new() }));
        Err(tell_tried(error, || {
            call.credentials.iter().map(Credential::label).collect()
        }))
    }

    async fn call_as(
        &self,
        call: &Call<'_>,
        credential: Option<&Credential>,
    ) -> Result<Answer, Error> {
        let mut scope = call.scope.clone();
        let mut challenge = self.memory().challenge(call.endpoint);
        let mut round = 1;
        loop {
            let proof =
                Proof::new(self, call.endpoint, challenge.as_ref(), &scope, credential).await?;
            let answer =
                redirect::send(self, call.endpoint, self.outgoing(call, &proof).await).await?;
            if let Some(limit) = RateLimit::read(answer.headers()) {
                self.memory().learn_rate_limit(call.endpoint, limit);
            }
            if call.expected.contains(&answer.status()) {
                return Ok(answer);
            }
            // Storage behind the registry may say 401, too. It is not asked twice.
            let asked = answer.status() == StatusCode::UNAUTHORIZED
                && call.endpoint.is_origin_of(answer.url());
            if asked
                && round < ROUNDS
                && let Some(next) = choose(parse_challenges(answer.headers()), credential)
                && proof.can_do_better(self, &next, &mut scope)
            {
                answer.drain().await;
                self.memory().learn_challenge(call.endpoint, &next);
                challenge = Some(next);
                round += 1;
                continue;
            }
            let mut secrets = credential.map_or_else(Vec::new, Credential::secrets);
            secrets.extend(proof.secret().map(str::to_owned));
            return Err(refusal(answer, &secrets).await);
        }
    }

    async fn outgoing<'a>(&self, call: &Call<'a>, proof: &Proof) -> Outgoing<'a> {
        let mut headers = call.headers.clone();
        headers.extend(proof.header().map(|header| (AUTHORIZATION, header.clone())));
        // Only what was uploaded is sent to a place that the registry chose.
        let public_only = self.is_public_only(call.endpoint, &call.url).await;
        Outgoing {
            method: call.method.clone(),
            url: call.url.clone(),
            home: call.endpoint.base().clone(),
            headers,
            payload: call.payload.clone(),
            public_only,
        }
    }
}

/// The challenge that the credential can answer.
fn choose(challenges: Vec<Challenge>, credential: Option<&Credential>) -> Option<Challenge> {
    challenges.into_iter().find(|challenge| match challenge {
        Challenge::Bearer { .. } => true,
        Challenge::Basic => matches!(credential, Some(Credential::Basic { .. })),
    })
}

/// How much a refusal of one credential tells when all are refused; 0 for what has nothing to do with credentials.
/// Registries hide what one may not see as if it were not there, so the next credential may still see it.
fn telling(error: &Error) -> u8 {
    match error.kind() {
        Kind::Unauthorized { .. } => 1,
        Kind::Denied { .. } => 2,
        Kind::NotFound => 3,
        _ => 0,
    }
}

fn tell_tried(mut error: Error, all: impl FnOnce() -> Vec<String>) -> Error {
    if let Kind::Unauthorized { tried } | Kind::Denied { tried } = error.kind_mut() {
        *tried = all();
    }
    error
}
