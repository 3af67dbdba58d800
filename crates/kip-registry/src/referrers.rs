//! What refers to a manifest: signatures, attestations, lists of contents.

use http::header::{ACCEPT, CONTENT_TYPE, LINK};
use http::{HeaderValue, Method};
use kip_image::{Digest, Reference};
use reqwest::Url;

use crate::client::{Client, Repository};
use crate::credential::Credential;
use crate::error::{Error, Kind};
use crate::http::{Answer, redirect};
use crate::manifest::{Content, Descriptor, Manifest, media_type};

/// What refers to a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrers {
    /// The manifests that do.
    pub manifests: Vec<Descriptor>,
    /// Where the list is from.
    pub from: ReferrersFrom,
}

/// Where a list of referrers is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferrersFrom {
    /// The registry [keeps it](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers).
    Registry,
    /// Whoever writes a referrer keeps it, under [a tag][schema].
    ///
    /// [schema]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
    Tag,
}

impl Client {
    /// What refers to a manifest of the reference's repository.
    pub async fn referrers(
        &self,
        repository: &Reference,
        subject: &Digest,
        credentials: &[Credential],
    ) -> Result<Referrers, Error> {
        let weighed = self.weighed_referrers(repository, subject, credentials);
        Ok(weighed.await?.0)
    }

    /// The same, with the bytes of the list.
    pub(crate) async fn weighed_referrers(
        &self,
        repository: &Reference,
        subject: &Digest,
        credentials: &[Credential],
    ) -> Result<(Referrers, usize), Error> {
        let of = self.repository(repository, credentials)?;
        match self.listed(&of, subject).await {
            Ok(Some((manifests, bytes))) => {
                let from = ReferrersFrom::Registry;
                return Ok((Referrers { manifests, from }, bytes));
            }
            Ok(None) => {}
            Err(error) if is_not_served(&error) => {}
            Err(error) => return Err(of.about(error, &format!("@{subject}"))),
        }
        self.referrers_by_tag(repository, subject, credentials)
            .await
    }

    /// The list that is kept under a tag, with its bytes. None is an empty one.
    async fn referrers_by_tag(
        &self,
        repository: &Reference,
        subject: &Digest,
        credentials: &[Credential],
    ) -> Result<(Referrers, usize), Error> {
        let tag = fallback_tag(repository, subject)?;
        let (manifests, bytes) = match self.manifest(&tag, credentials).await {
            Ok(manifest) => match manifest.parse()? {
                Content::Index(index) => (index.manifests, manifest.bytes.len()),
                // Somebody's tag that only looks like it.
                Content::Image(_) => (Vec::new(), 0),
            },
            Err(error) if *error.kind() == Kind::NotFound => (Vec::new(), 0),
            Err(error) => return Err(error),
        };
        check_count(self, manifests.len())?;
        let from = ReferrersFrom::Tag;
        Ok((Referrers { manifests, from }, bytes))
    }

    /// The registry's own list, of several pages, and their bytes; nothing if what it says is none.
    async fn listed(
        &self,
        of: &Repository<'_>,
        subject: &Digest,
    ) -> Result<Option<(Vec<Descriptor>, usize)>, Error> {
        let limit = self.settings().limits.manifest_bytes;
        let mut call = of.read(Method::GET, &format!("referrers/{subject}"));
        call.headers
            .insert(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
        let mut all: Vec<Descriptor> = Vec::new();
        let mut read = 0;
        loop {
            let answer = self.call(&call).await?;
            // Some answer any address with a page for people.
            if !answer
                .header(&CONTENT_TYPE)
                .is_some_and(|value| value.starts_with(media_type::OCI_INDEX))
            {
                return Ok(None);
            }
            let next = next_page(&answer, of)?;
            let bytes = answer
                .collect_after(read, "a list of referrers", limit)
                .await?;
            read += bytes.len();
            let page =
                Manifest::checked(bytes, Some(media_type::OCI_INDEX.to_owned()), [None, None])?;
            let Content::Index(page) = page.parse()? else {
                return Ok(None);
            };
            let is_empty = page.manifests.is_empty();
            all.extend(page.manifests);
            check_count(self, all.len())?;
            match next {
                // A page without anything would be a way to keep us for ever.
                Some(next) if !is_empty => call.url = next,
                _ => return Ok(Some((all, read))),
            }
        }
    }
}

/// The tag under which the list is kept where the registry keeps none.
pub(crate) fn fallback_tag(repository: &Reference, subject: &Digest) -> Result<Reference, Error> {
    sibling(repository, &digest_tag(subject, ""))
}

/// `sha256-…`, cut as the specification says, with something behind it.
pub(crate) fn digest_tag(subject: &Digest, suffix: &str) -> String {
    let tag = format!("{}-{}", subject.algorithm(), subject.hex());
    let tag: String = tag
        .chars()
        .take(Reference::TAG_MAX - suffix.len())
        .collect();
    tag + suffix
}

/// Another tag of the same repository.
pub(crate) fn sibling(repository: &Reference, tag: &str) -> Result<Reference, Error> {
    Reference::parse(&format!("{}:{tag}", repository.name()))
        .map_err(|source| Error::malformed("a tag").source(source))
}

fn check_count(client: &Client, count: usize) -> Result<(), Error> {
    let limit = client.settings().limits.index_entries;
    if count > limit {
        return Err(Error::new(Kind::TooLarge {
            what: "a list of referrers",
            limit,
        }));
    }
    Ok(())
}

/// The registry does not know the question, whatever it says of what was asked for.
fn is_not_served(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::NotFound | Kind::Unsupported | Kind::Rejected { .. }
    )
}

/// The page after this one: `Link: </v2/…>; rel="next"`. It is of the same registry.
fn next_page(answer: &Answer, of: &Repository<'_>) -> Result<Option<Url>, Error> {
    let Some(link) = answer.header(&LINK).and_then(read_next) else {
        return Ok(None);
    };
    let url = redirect::join(answer.url(), link)?;
    if !of.endpoint.is_origin_of(&url) {
        return Err(Error::new(Kind::Refused).detail("the next page of a list is on another host"));
    }
    Ok(Some(url))
}

fn read_next(link: &str) -> Option<&str> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.split(';').any(|parameter| {
        parameter
            .trim()
            .strip_prefix("rel=")
            .is_some_and(|rel| rel.trim_matches('"') == "next")
    });
    is_next.then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_for_a_long_digest_is_cut() {
        let short = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        assert_eq!(digest_tag(&short, ""), format!("sha256-{}", "a".repeat(64)));
        assert_eq!(
            digest_tag(&short, ".sig"),
            format!("sha256-{}.sig", "a".repeat(64))
        );
        let long = Digest::parse(&format!("sha512:{}", "a".repeat(128))).unwrap();
        assert_eq!(digest_tag(&long, "").len(), Reference::TAG_MAX);
    }

    #[test]
    fn only_a_link_to_the_next_page_is_followed() {
        assert_eq!(read_next(r#"</v2/x?n=1>; rel="next""#), Some("/v2/x?n=1"));
        assert_eq!(read_next("<x>;rel=next"), Some("x"));
        assert_eq!(read_next(r#"<x>; rel="prev""#), None);
        assert_eq!(read_next("x; rel=next"), None);
    }
}
