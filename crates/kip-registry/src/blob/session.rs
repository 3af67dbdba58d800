//! An upload that was begun.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use kip_image::Digest;
use reqwest::Url;

use crate::auth::Scope;
use crate::client::{Client, Repository};
use crate::error::{Error, Kind};
use crate::hash;
use crate::http::{Answer, Call, Payload, redirect};
use crate::resolve::announced;

/// What a registry wants a chunk to have at least.
const CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An upload that was begun.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository<'a>,
    scope: Scope,
    /// Where to send what follows.
    location: Url,
    /// The least that a chunk may have, except the last.
    pub(super) chunk_min: u64,
}

/// What a registry made of the wish to mount a blob.
pub(crate) enum Begun<'a> {
    /// It is there.
    Mounted,
    /// It is to be uploaded.
    Session(Session<'a>),
}

impl<'a> Session<'a> {
    pub(crate) async fn start(
        client: &'a Client,
        repository: &'a Repository<'a>,
    ) -> Result<Self, Error> {
        match Self::begin(client, repository, None).await? {
            Begun::Session(session) => Ok(session),
            Begun::Mounted => Err(Error::malformed(
                "an upload was begun, and it says that it is done",
            )),
        }
    }

    /// Begins an upload, or none where the registry [has the blob][mount] in another of its repositories.
    ///
    /// [mount]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository
    pub(crate) async fn begin(
        client: &'a Client,
        repository: &'a Repository<'a>,
        mount: Option<(&Digest, &str)>,
    ) -> Result<Begun<'a>, Error> {
        let mut call = repository.read(Method::POST, "blobs/uploads/");
        call.scope = Scope::push(repository.name);
        call.expected = &[StatusCode::ACCEPTED];
        if let Some((digest, from)) = mount {
            call.scope = call.scope.and(Scope::pull(from));
            call.expected = &[StatusCode::CREATED, StatusCode::ACCEPTED];
            call.url
                .query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", from);
        }
        let scope = call.scope.clone();
        let answer = client.call(&call).await?;
        if answer.status() == StatusCode::CREATED {
            answer.drain().await;
            return Ok(Begun::Mounted);
        }
        let chunk_min = answer
            .header(&CHUNK_MIN)
            .and_then(|value| value.parse().ok());
        let session = Self {
            client,
            repository,
            scope,
            location: location(client, repository, &answer)?,
            chunk_min: chunk_min.unwrap_or(0),
        };
        answer.drain().await;
        Ok(Begun::Session(session))
    }

    fn call<'b>(&'b self, method: Method, expected: &'b [StatusCode]) -> Call<'b> {
        let mut call = self.repository.read(method, "");
        call.scope = self.scope.clone();
        call.url = self.location.clone();
        call.expected = expected;
        call
    }

    /// Sends the last bytes, which may be all or none, and ends the upload.
    pub(super) async fn finish(&self, digest: &Digest, payload: Payload<'_>) -> Result<(), Error> {
        let mut call = self.call(Method::PUT, &[StatusCode::CREATED, StatusCode::NO_CONTENT]);
        call.url
            .query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        call.headers.insert(CONTENT_TYPE, OCTETS);
        if matches!(payload, Payload::Empty) {
            call.headers
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        call.payload = payload;
        let answer = self.client.call_once(&call).await?;
        if let Some(stored) = announced(&answer)?
            && stored.algorithm() == digest.algorithm()
        {
            hash::compare(digest, stored)?;
        }
        answer.drain().await;
        Ok(())
    }

    /// Sends a chunk.
    pub(super) async fn patch(
        &mut self,
        from: u64,
        length: u64,
        payload: Payload<'_>,
    ) -> Result<(), Error> {
        let range = format!("{from}-{}", from + length.saturating_sub(1));
        let mut call = self.call(Method::PATCH, &[StatusCode::ACCEPTED]);
        call.headers.insert(CONTENT_TYPE, OCTETS);
        call.headers.extend(
            HeaderValue::from_str(&range).map(|range| (http::header::CONTENT_RANGE, range)),
        );
        call.payload = payload;
        let answer = self.client.call_once(&call).await?;
        self.location = location(self.client, self.repository, &answer)?;
        answer.drain().await;
        Ok(())
    }

    /// How many bytes the registry has.
    pub(super) async fn progress(&mut self) -> Result<u64, Error> {
        let call = self.call(Method::GET, &[StatusCode::NO_CONTENT, StatusCode::ACCEPTED]);
        let answer = self.client.call(&call).await?;
        let uploaded = answer
            .header(&http::header::RANGE)
            .and_then(super::range::uploaded)
            .ok_or_else(|| {
                Error::malformed("the registry does not say how much of an upload it has")
            })?;
        self.location = location(self.client, self.repository, &answer)?;
        answer.drain().await;
        Ok(uploaded)
    }

    /// Tells the registry that nothing more will come. It finds out by itself, too, a week later or so.
    pub(crate) async fn cancel(self) {
        let call = self.call(
            Method::DELETE,
            &[StatusCode::NO_CONTENT, StatusCode::ACCEPTED, StatusCode::OK],
        );
        if let Ok(answer) = self.client.call_once(&call).await {
            answer.drain().await;
        }
    }
}

/// Where to send what follows: somewhere at the registry, or elsewhere if plain HTTP or TLS may be spoken there.
fn location(client: &Client, repository: &Repository<'_>, answer: &Answer) -> Result<Url, Error> {
    let location = redirect::target(answer)?;
    redirect::allow(client.settings(), repository.endpoint.base(), &location)?;
    if location.cannot_be_a_base() {
        return Err(Error::new(Kind::Refused).detail("it sends an upload to no host"));
    }
    Ok(location)
}
