//! Manifests that are written.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use kip_image::Reference;

use crate::auth::Scope;
use crate::client::Client;
use crate::credential::Credential;
use crate::error::{Error, Kind};
use crate::hash;
use crate::http::Payload;
use crate::manifest::Manifest;
use crate::referrers::sibling;
use crate::resolve::{Asked, announced};

/// [Said by registries][subject] that keep lists of referrers.
///
/// [subject]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What a registry made of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Whether it put the manifest into the list of what refers to its subject. If not, that list is a tag, and
    /// whoever writes the manifest has to write it.
    pub in_referrers: bool,
}

impl Client {
    /// Writes a manifest or an index, byte for byte: to the reference's tag, or by its digest where it has no tag.
    /// All that it names must be there.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
        credentials: &[Credential],
    ) -> Result<Stored, Error> {
        let asked = Asked::to_write(reference);
        let repository = self.repository(reference, credentials)?;
        let about = |error| repository.about(error, &asked.to_string());
        for digest in [Some(&manifest.digest), reference.digest()]
            .into_iter()
            .flatten()
        {
            hash::verify(digest, &manifest.bytes).map_err(about)?;
        }
        let mut call = asked.call(&repository, Method::PUT);
        call.scope = Scope::push(repository.name);
        call.expected = &[StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED];
        call.payload = Payload::Bytes(manifest.bytes.clone());
        let media_type = HeaderValue::from_str(&manifest.media_type)
            .map_err(|source| about(Error::input(source).detail("the manifest's media type")))?;
        call.headers.insert(CONTENT_TYPE, media_type);
        let answer = match self.call(&call).await {
            Ok(answer) => answer,
            Err(error) => {
                return self
                    .stored_before(reference, manifest, credentials, error)
                    .await
                    .map_err(about);
            }
        };
        // Some say no digest, and none a wrong one by mistake.
        if let Some(stored) = announced(&answer).map_err(about)?
            && stored.algorithm() == manifest.digest.algorithm()
        {
            hash::compare(&manifest.digest, stored).map_err(about)?;
        }
        let in_referrers = answer.headers().contains_key(OCI_SUBJECT);
        answer.drain().await;
        Ok(Stored { in_referrers })
    }

    /// A tag that must not change is refused even where it would not. That is as good as written.
    async fn stored_before(
        &self,
        reference: &Reference,
        manifest: &Manifest,
        credentials: &[Credential],
        error: Error,
    ) -> Result<Stored, Error> {
        let immutable = matches!(error.kind(), Kind::Rejected { .. } | Kind::Denied { .. });
        if immutable
            && let Some(tag) = reference.tag()
            && let Ok(tag) = sibling(reference, tag)
            && let Ok(there) = self.resolve(&tag, credentials).await
            && there.digest == manifest.digest
        {
            return Ok(Stored {
                in_referrers: false,
            });
        }
        Err(error)
    }
}
