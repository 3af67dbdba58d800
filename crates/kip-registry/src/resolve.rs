//! What a name stands for.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use kip_image::{DEFAULT_TAG, Digest, Reference};

use crate::client::{Client, Repository};
use crate::credential::Credential;
use crate::error::{Error, Kind};
use crate::hash;
use crate::http::{Answer, Call, retry};
use crate::manifest::{self, Manifest};

/// What a name stands for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// The bytes of the manifest or index itself, if the registry says so.
    pub size: Option<u64>,
    /// How many more images may be pulled, if the registry says so.
    pub rate_limit: Option<RateLimit>,
}

/// How many more images may be pulled, as [Docker Hub] says in its answers.
///
/// [Docker Hub]: https://docs.docker.com/docker-hub/usage/pulls/
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// So many now.
    pub remaining: u64,
    /// So many in all.
    pub limit: Option<u64>,
    /// In so long a time.
    pub window: Option<Duration>,
}

/// The digest that registries put into the head.
pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

impl Client {
    /// What the name stands for now. Costs one `HEAD`, which [registries do not count][counted] as a pull; where that
    /// is not served, or says no digest, the manifest itself.
    ///
    /// As many connections are made as requests are under way: who asks for many names bounds how many at a time.
    ///
    /// A name without tag and digest means `latest`; of tag and digest, the digest counts.
    ///
    /// [counted]: https://docs.docker.com/docker-hub/usage/pulls/
    pub async fn resolve(
        &self,
        reference: &Reference,
        credentials: &[Credential],
    ) -> Result<Resolved, Error> {
        let asked = Asked::new(reference);
        let repository = self.repository(reference, credentials)?;
        let about = |error| repository.about(error, &asked.to_string());
        match self.call(&asked.call(&repository, Method::HEAD)).await {
            Ok(answer) => {
                if let Some(resolved) = head(&answer, &asked).map_err(about)? {
                    return Ok(resolved);
                }
            }
            // Not 404: to ask again for what is missing would double the requests, and some registries count them.
            Err(error) if matches!(error.kind(), Kind::Unsupported | Kind::Rejected { .. }) => {}
            Err(error) => return Err(about(error)),
        }
        let manifest = self.manifest(reference, credentials).await?;
        // Nobody vouched for it: a page for people has a digest, too.
        manifest.parse().map_err(about)?;
        Ok(Resolved {
            size: Some(manifest.bytes.len() as u64),
            digest: manifest.digest,
            media_type: manifest.media_type,
            rate_limit: self.rate_limit(reference.registry()),
        })
    }

    /// The manifest or index that the name stands for, byte for byte.
    ///
    /// It is checked against the digest of the name and against the one that the registry says, where there are such.
    pub async fn manifest(
        &self,
        reference: &Reference,
        credentials: &[Credential],
    ) -> Result<Manifest, Error> {
        let asked = Asked::new(reference);
        let repository = self.repository(reference, credentials)?;
        let call = asked.call(&repository, Method::GET);
        let limit = self.settings().limits.manifest_bytes;
        retry::run(&self.settings().retries, || async {
            let answer = self.call_once(&call).await?;
            let announced = announced(&answer)?;
            let media_type = content_type(&answer);
            let bytes = answer.collect("the manifest", limit).await?;
            Manifest::checked(bytes, media_type, [asked.digest(), announced.as_ref()])
        })
        .await
        .map_err(|error| repository.about(error, &asked.to_string()))
    }
}

/// The part of a reference that a registry is asked for.
pub(crate) enum Asked<'a> {
    Tag(&'a str),
    Digest(&'a Digest),
}

impl<'a> Asked<'a> {
    pub(crate) fn new(reference: &'a Reference) -> Self {
        match reference.digest() {
            Some(digest) => Self::Digest(digest),
            None => Self::Tag(reference.tag().unwrap_or(DEFAULT_TAG)),
        }
    }

    fn digest(&self) -> Option<&'a Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
        }
    }

    /// To write, the tag counts.
    pub(crate) fn to_write(reference: &'a Reference) -> Self {
        match (reference.tag(), reference.digest()) {
            (Some(tag), _) => Self::Tag(tag),
            (None, Some(digest)) => Self::Digest(digest),
            (None, None) => Self::Tag(DEFAULT_TAG),
        }
    }

    pub(crate) fn call<'b>(&self, repository: &'b Repository<'b>, method: Method) -> Call<'b> {
        let path = match self {
            Self::Tag(tag) => format!("manifests/{tag}"),
            Self::Digest(digest) => format!("manifests/{digest}"),
        };
        let mut call = repository.read(method, &path);
        call.headers
            .insert(ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
        call
    }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

/// What the answer to `HEAD` says; nothing if it has no digest.
fn head(answer: &Answer, asked: &Asked<'_>) -> Result<Option<Resolved>, Error> {
    let Some(digest) = announced(answer)? else {
        return Ok(None);
    };
    // A registry may name the content by another algorithm than we did.
    if let Some(expected) = asked.digest()
        && expected.algorithm() == digest.algorithm()
    {
        hash::compare(expected, digest.clone())?;
    }
    Ok(Some(Resolved {
        digest: asked.digest().cloned().unwrap_or(digest),
        media_type: content_type(answer).unwrap_or_default(),
        size: answer.content_length(),
        rate_limit: RateLimit::read(answer.headers()),
    }))
}

/// The digest that the registry says.
pub(crate) fn announced(answer: &Answer) -> Result<Option<Digest>, Error> {
    answer
        .header(&DOCKER_CONTENT_DIGEST)
        .filter(|text| !text.is_empty())
        .map(|text| {
            Digest::parse(text).map_err(|source| {
                Error::malformed("Docker-Content-Digest is no digest").source(source)
            })
        })
        .transpose()
}

/// The media type without its parameters.
fn content_type(answer: &Answer) -> Option<String> {
    let value = answer.header(&CONTENT_TYPE)?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    (!media_type.is_empty()).then(|| media_type.to_ascii_lowercase())
}

// === impl RateLimit ===

impl RateLimit {
    /// What the head of an answer says: `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600`.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let read = |name: &str| -> Option<(u64, Option<Duration>)> {
            let value = headers.get(name)?.to_str().ok()?;
            let mut parts = value.split([';', ',']).map(str::trim);
            let count = parts.next()?.parse().ok()?;
            let window = parts
                .find_map(|part| part.strip_prefix("w=")?.parse().ok())
                .map(Duration::from_secs);
            Some((count, window))
        };
        let (remaining, window) = read("ratelimit-remaining")?;
        let limit = read("ratelimit-limit");
        Some(Self {
            remaining,
            limit: limit.map(|(count, _)| count),
            window: window.or(limit.and_then(|(_, window)| window)),
        })
    }
}
