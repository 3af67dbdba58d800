//! One request and its answer: connections, TLS, proxies, deadlines.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::time::Instant;

use super::address::{self, PublicOnly};
use super::body::{Payload, Watch};
use super::failure::explain;
use super::{Answer, address::Private};
use crate::error::{Error, Kind, Unreachable};
use crate::settings::{Proxies, Settings, SettingsError};
use crate::tls;

/// So many connections of a host wait to be used again.
const POOL: usize = 16;

/// A registry may first put a whole blob into place before it answers.
const COMMIT_FACTOR: u32 = 5;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Transport {
    open: reqwest::Client,
    /// Connects to addresses of the internet only.
    public: reqwest::Client,
    proxies: Matcher,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

/// A request.
#[derive(Clone)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Whom the header `Authorization` is for.
    pub(crate) home: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    /// Whether it may only go to the internet.
    pub(crate) public_only: bool,
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let tls = tls::config(&settings.extra_ca)?;
        let builder = || -> Result<reqwest::ClientBuilder, SettingsError> {
            // Redirects are followed by us. One connection for each request at a time: a blob's bytes do not hold up
            // a manifest's.
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(Policy::none())
                .user_agent(settings.user_agent.as_str())
                .connect_timeout(settings.connect_timeout)
                .pool_max_idle_per_host(POOL)
                .referer(false)
                .no_proxy();
            with_proxies(builder, &settings.proxies)
        };
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|_| SettingsError::UserAgent {
                value: settings.user_agent.clone(),
            })
        };
        Ok(Self {
            open: build(builder()?)?,
            public: build(builder()?.dns_resolver(Arc::new(PublicOnly)))?,
            proxies: matcher(&settings.proxies),
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
        })
    }

    /// Sends it, and waits for the head of the answer.
    pub(crate) async fn send(&self, outgoing: &Outgoing<'_>) -> Result<Answer, Error> {
        let client = self.client_for(outgoing)?;
        let watch = Watch::new();
        let mut request = client
            .request(outgoing.method.clone(), outgoing.url.clone())
            .headers(outgoing.headers.clone());
        if let Some(body) = outgoing.payload.open(&watch).await? {
            request = request.body(body);
        } else if outgoing.method == Method::POST {
            // Some proxies want to be told that there is nothing.
            request = request.header(http::header::CONTENT_LENGTH, 0);
        }
        let response = self.wait(request.send(), &watch, &outgoing.payload).await;
        match response {
            Some(Ok(response)) => Ok(Answer::new(response, self.idle_timeout)),
            Some(Err(error)) => Err(watch.take_failure().unwrap_or_else(|| explain(error))),
            None => Err(
                Error::new(Kind::Unreachable(Unreachable::Timeout)).detail(format!(
                    "no answer in {} s",
                    self.idle_timeout.as_secs_f32()
                )),
            ),
        }
    }

    fn client_for(&self, outgoing: &Outgoing<'_>) -> Result<&reqwest::Client, Error> {
        if !outgoing.public_only {
            return Ok(&self.open);
        }
        address::refuse_private_name(&outgoing.url).map_err(refused)?;
        // Only the proxy knows the host's addresses then.
        let proxied = self.is_proxied(&outgoing.url);
        Ok(if proxied { &self.open } else { &self.public })
    }

    /// The answer, or nothing where the other side was silent for too long.
    async fn wait<T>(
        &self,
        answer: impl Future<Output = T>,
        watch: &Watch,
        payload: &Payload<'_>,
    ) -> Option<T> {
        let at_end = if payload.is_stream() {
            self.idle_timeout * COMMIT_FACTOR
        } else {
            self.idle_timeout
        };
        // To connect is a part of the first wait, and has its own limit.
        let idle = self.idle_timeout + self.connect_timeout;
        let mut answer = std::pin::pin!(answer);
        loop {
            // The deadline moves with the body, in both directions.
            let look = watch
                .deadline(idle, at_end)
                .min(Instant::now() + self.idle_timeout);
            match tokio::time::timeout_at(look, &mut answer).await {
                Ok(answer) => return Some(answer),
                Err(_) if watch.deadline(idle, at_end) <= Instant::now() => return None,
                Err(_) => {}
            }
        }
    }

    /// Whether a proxy stands between us and the URL's host.
    fn is_proxied(&self, url: &Url) -> bool {
        url.as_str()
            .parse()
            .is_ok_and(|uri| self.proxies.intercept(&uri).is_some())
    }

    /// Whether the host is in the internet, as far as can be seen from here.
    pub(crate) async fn is_public(&self, url: &Url) -> bool {
        if self.is_proxied(url) {
            return address::refuse_private_name(url).is_ok();
        }
        address::is_public_host(url).await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn refused(private: Private) -> Error {
    Error::new(Kind::Refused).detail(private.to_string())
}

type Make = fn(&str) -> reqwest::Result<reqwest::Proxy>;

fn with_proxies(
    mut builder: reqwest::ClientBuilder,
    proxies: &Proxies,
) -> Result<reqwest::ClientBuilder, SettingsError> {
    let except = || {
        proxies
            .except
            .as_deref()
            .and_then(reqwest::NoProxy::from_string)
    };
    let kinds: [(_, _, Make); 2] = [
        ("http", &proxies.http, |url| reqwest::Proxy::http(url)),
        ("https", &proxies.https, |url| reqwest::Proxy::https(url)),
    ];
    for (field, url, make) in kinds {
        if let Some(url) = url {
            let proxy = make(url).map_err(|_| SettingsError::Proxy { field })?;
            builder = builder.proxy(proxy.no_proxy(except()));
        }
    }
    Ok(builder)
}

fn matcher(proxies: &Proxies) -> Matcher {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Matcher::builder()
        .http(text(&proxies.http))
        .https(text(&proxies.https))
        .no(text(&proxies.except))
        .build()
}
