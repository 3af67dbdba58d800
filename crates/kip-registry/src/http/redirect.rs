//! Redirects: where they may lead, and what is sent along.

use http::header::{AUTHORIZATION, LOCATION};
use http::{Method, StatusCode};
use reqwest::Url;

use super::{Answer, Outgoing};
use crate::client::Client;
use crate::endpoint::{Endpoint, is_plain_url};
use crate::error::{Error, Kind};
use crate::settings::Settings;

/// Sends a request, and follows the redirects that it meets.
///
/// Credentials go where they are meant for only, and not even there once another host had a say.
pub(crate) async fn send(
    client: &Client,
    endpoint: &Endpoint,
    mut outgoing: Outgoing<'_>,
) -> Result<Answer, Error> {
    let settings = client.settings();
    let mut redirects = 0;
    loop {
        if outgoing.home.origin() != outgoing.url.origin() {
            outgoing.headers.remove(AUTHORIZATION);
        }
        let answer = client.transport().send(&outgoing).await?;
        if !is_redirect(answer.status()) {
            return Ok(answer);
        }
        if !may_follow(&outgoing) {
            return Err(Error::new(Kind::Refused).detail("it redirects what is written"));
        }
        redirects += 1;
        if redirects > settings.limits.redirects {
            return Err(Error::new(Kind::Refused)
                .detail(format!("more than {} redirects", settings.limits.redirects)));
        }
        let next = target(&answer)?;
        allow(settings, answer.url(), &next)?;
        // Once a registry of the internet has sent us elsewhere, all the rest of the way is through the internet.
        outgoing.public_only = outgoing.public_only || client.is_public_only(endpoint, &next).await;
        answer.drain().await;
        outgoing.url = next;
    }
}

/// Where the header `Location` leads, which may be relative.
pub(crate) fn target(answer: &Answer) -> Result<Url, Error> {
    let location = answer
        .header(&LOCATION)
        .ok_or_else(|| Error::malformed("the answer has no Location"))?;
    join(answer.url(), location)
}

/// Where a link leads, which may be relative.
pub(crate) fn join(from: &Url, link: &str) -> Result<Url, Error> {
    let target = from
        .join(link)
        .map_err(|source| Error::malformed("the answer's link is no URL").source(source))?;
    // The library would send them as credentials.
    if !target.username().is_empty() || target.password().is_some() {
        return Err(Error::new(Kind::Refused).detail("its link has a user"));
    }
    Ok(target)
}

/// Whether a server may send us from the one to the other.
pub(crate) fn allow(settings: &Settings, from: &Url, to: &Url) -> Result<(), Error> {
    let refused = |why: &str| {
        let host = to.host_str().unwrap_or_default();
        Err(Error::new(Kind::Refused).detail(format!("{why} {}://{host}", to.scheme())))
    };
    match to.scheme() {
        "https" => Ok(()),
        "http" if from.scheme() == "https" => refused("it gives up TLS for"),
        "http" if is_plain_url(settings, to) => Ok(()),
        "http" => refused("the host is not named for plain HTTP:"),
        _ => refused("this is not HTTP:"),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What only reads can be sent to another place as it is.
fn may_follow(outgoing: &Outgoing<'_>) -> bool {
    matches!(outgoing.method, Method::GET | Method::HEAD)
}
