//! A registry's client for tests: plain HTTP, no credentials, one request after the other.

use std::time::Duration;

use thiserror::Error;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::image::{Blob, Digest, Image, Index, MANIFEST_TYPES};

/// Far beyond what a registry on the same machine needs for the largest sample.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why a registry did not do what it was asked for.
#[derive(Debug, Error)]
pub enum Error {
    /// No answer.
    #[error("{method} {url}: no answer")]
    NoAnswer {
        /// The request's method.
        method: &'static str,
        /// The request's address.
        url: String,
        /// What happened.
        source: ureq::Error,
    },
    /// An answer, but not the one that was needed.
    #[error("{method} {url}: the registry answered {status} instead of {expected}: {body}")]
    Answer {
        /// The request's method.
        method: &'static str,
        /// The request's address.
        url: String,
        /// The answer's status.
        status: StatusCode,
        /// The status that means success.
        expected: StatusCode,
        /// The answer's text, where the registry explains itself.
        body: String,
    },
    /// An answer without a header that the distribution specification demands.
    #[error("{method} {url}: the answer has no header {header:?}")]
    NoHeader {
        /// The request's method.
        method: &'static str,
        /// The request's address.
        url: String,
        /// The missing header.
        header: &'static str,
    },
    /// The registry keeps other bytes than those that were sent.
    #[error("the registry says {stored} of a manifest whose digest is {sent}")]
    OtherDigest {
        /// What was pushed.
        sent: Digest,
        /// What the registry says.
        stored: Digest,
    },
}

/// A registry at `HOST:PORT`.
#[derive(Clone, Debug)]
pub struct Registry {
    agent: Agent,
    address: String,
}

/// A request's method and address, for its errors.
struct Request {
    method: &'static str,
    url: String,
}

// === impl Registry ===

impl Registry {
    /// The registry at `address`, such as `10.0.0.1:5000`. Nothing is sent yet.
    pub fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A proxy knows nothing of registries on this machine.
            .proxy(None)
            .timeout_global(Some(DEADLINE))
            .build();
        Self {
            agent: config.into(),
            address: address.to_owned(),
        }
    }

    /// `HOST:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Pushes what the registry does not have yet of `image`, and makes `tag` point at it.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> Result<(), Error> {
        for blob in image.layers.iter().chain([&image.config]) {
            self.push_blob(repository, blob)?;
        }
        self.push_manifest(repository, tag, &image.manifest, image.media_type)
    }

    /// Pushes an index with all its images, and makes `tag` point at it.
    pub fn push_index(&self, repository: &str, tag: &str, index: &Index) -> Result<(), Error> {
        for image in &index.images {
            self.push(repository, image.digest().as_str(), image)?;
        }
        self.push_manifest(repository, tag, &index.manifest, index.media_type)
    }

    fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Blob,
        media_type: &str,
    ) -> Result<(), Error> {
        let request = self.request("PUT", &format!("{repository}/manifests/{reference}"));
        let response = self
            .agent
            .put(&request.url)
            .header(header::CONTENT_TYPE, media_type)
            .send(&manifest.bytes[..]);
        let response = request.expect(StatusCode::CREATED, response)?;
        let stored = request.digest_in(&response)?;
        if stored == manifest.digest {
            Ok(())
        } else {
            Err(Error::OtherDigest {
                sent: manifest.digest.clone(),
                stored,
            })
        }
    }

    /// The digest of the manifest that `tag` points at; `None` when there is no such tag or repository.
    pub fn resolve(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Error> {
        let request = self.request("HEAD", &format!("{repository}/manifests/{tag}"));
        let response = self
            .agent
            .head(&request.url)
            .header(header::ACCEPT, MANIFEST_TYPES.join(", "))
            .call();
        match request.expect(StatusCode::OK, response) {
            Ok(response) => request.digest_in(&response).map(Some),
            Err(Error::Answer { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a manifest, and with it every tag that points at it. Its blobs stay.
    pub fn delete(&self, repository: &str, digest: &Digest) -> Result<(), Error> {
        let request = self.request("DELETE", &format!("{repository}/manifests/{digest}"));
        let response = self.agent.delete(&request.url).call();
        request.expect(StatusCode::ACCEPTED, response).map(drop)
    }

    fn push_blob(&self, repository: &str, blob: &Blob) -> Result<(), Error> {
        if self.has_blob(repository, &blob.digest)? {
            return Ok(());
        }
        let request = self.request("POST", &format!("{repository}/blobs/uploads/"));
        let response = self.agent.post(&request.url).send_empty();
        let response = request.expect(StatusCode::ACCEPTED, response)?;
        let location = request.header_in(&response, "location")?;
        let request = Request {
            method: "PUT",
            url: self.upload_url(location, &blob.digest),
        };
        let response = self
            .agent
            .put(&request.url)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .send(&blob.bytes[..]);
        request.expect(StatusCode::CREATED, response).map(drop)
    }

    fn has_blob(&self, repository: &str, digest: &Digest) -> Result<bool, Error> {
        let request = self.request("HEAD", &format!("{repository}/blobs/{digest}"));
        let response = self.agent.head(&request.url).call();
        match request.expect(StatusCode::OK, response) {
            Ok(_) => Ok(true),
            Err(Error::Answer { status, .. }) if status == StatusCode::NOT_FOUND => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A `Location` may lack the host, and may carry the registry's own parameters.
    fn upload_url(&self, location: &str, digest: &Digest) -> String {
        let host = match location.strip_prefix('/') {
            Some(_) => format!("http://{}", self.address),
            None => String::new(),
        };
        let separator = if location.contains('?') { '&' } else { '?' };
        format!("{host}{location}{separator}digest={digest}")
    }

    fn request(&self, method: &'static str, path: &str) -> Request {
        Request {
            method,
            url: format!("http://{}/v2/{path}", self.address),
        }
    }
}

// === impl Request ===

impl Request {
    fn expect(
        &self,
        expected: StatusCode,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, Error> {
        let mut response = answer.map_err(|source| self.no_answer(source))?;
        let status = response.status();
        if status == expected {
            return Ok(response);
        }
        let body = response.body_mut().read_to_string();
        Err(Error::Answer {
            method: self.method,
            url: self.url.clone(),
            status,
            expected,
            body: body.map_err(|source| self.no_answer(source))?,
        })
    }

    fn no_answer(&self, source: ureq::Error) -> Error {
        Error::NoAnswer {
            method: self.method,
            url: self.url.clone(),
            source,
        }
    }

    fn digest_in(&self, response: &Response<Body>) -> Result<Digest, Error> {
        self.header_in(response, "docker-content-digest")
            .map(Digest::from_registry)
    }

    fn header_in<'a>(
        &self,
        response: &'a Response<Body>,
        header: &'static str,
    ) -> Result<&'a str, Error> {
        let value = response.headers().get(header);
        value
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| Error::NoHeader {
                method: self.method,
                url: self.url.clone(),
                header,
            })
    }
}
