//! References: registry, repository, tag and digest.

mod grammar;

use std::fmt;
use std::str::FromStr;

use crate::digest::{self, Digest};
use crate::error::{Fault, ParseError, Problem, Subject};

/// The registry of a reference that names none.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// The tag that is pulled for a reference without tag and digest.
pub const DEFAULT_TAG: &str = "latest";

/// What Docker Hub was called first; still found in configurations.
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";

/// The namespace of a Docker Hub repository that names none, with its slash.
const OFFICIAL: &str = "library/";

/// An image reference, normalised: `registry/repository[:tag][@digest]`. What it may look like, and what is meant where
/// something is left out, is told under [Image names] in the documentation of Kubernetes.
///
/// [Image names]: https://kubernetes.io/docs/concepts/containers/images/#image-names
///
/// Equality, order and hash are those of the normalised form: `nginx` and `docker.io/library/nginx` are the
/// same. No tag is made up: see [`with_default_tag`](Self::with_default_tag).
///
/// # Normalisation
/// What stands before the first `/` is the registry if it has a `.`, a `:` or an upper-case letter, or is
/// `localhost`; otherwise the registry is `docker.io`. `index.docker.io` is `docker.io`. A Docker Hub
/// repository of one part is in `library`.
///
/// # Differences to the Go module
/// - `foo_bar.com/x` is refused: the first part reads as a registry but is no host name. The Go module then
///   answers with a repository that has no registry, and a reference here always has one.
/// - [`familiar`](Self::familiar) never prints what would be read as another reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// `registry/repository[:tag]`
    text: Box<str>,
    registry_end: usize,
    repository_end: usize,
    digest: Option<Digest>,
}

impl Reference {
    /// So many characters may the repository have, `library/` included and the registry not.
    pub const REPOSITORY_MAX: usize = 255;

    /// So many characters may the tag have.
    pub const TAG_MAX: usize = 128;

    /// Reads a reference as a user writes it, or as it is printed.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        scan(text).map_err(|fault| ParseError::new(Subject::Reference, text, fault))
    }

    fn assemble(registry: &str, path: &[&str], tag: Option<&str>, digest: Option<Digest>) -> Self {
        let mut text = String::from(registry);
        let registry_end = text.len();
        text.push('/');
        text.extend(path.iter().copied());
        let repository_end = text.len();
        if let Some(tag) = tag {
            text.push(':');
            text.push_str(tag);
        }
        Self {
            text: text.into(),
            registry_end,
            repository_end,
            digest,
        }
    }

    /// The registry's host, with its port if it has one: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub fn registry(&self) -> &str {
        &self.text[..self.registry_end]
    }

    /// The repository: `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.text[self.registry_end + 1..self.repository_end]
    }

    /// Registry and repository: `docker.io/library/nginx`.
    pub fn name(&self) -> &str {
        &self.text[..self.repository_end]
    }

    /// The last part of the repository: `nginx`.
    pub fn base_name(&self) -> &str {
        let repository = self.repository();
        repository
            .rsplit_once('/')
            .map_or(repository, |(_, last)| last)
    }

    /// The tag, if one is given.
    pub fn tag(&self) -> Option<&str> {
        // Between the repository and the tag there is a colon.
        self.text.get(self.repository_end + 1..)
    }

    /// The tag that is pulled: the one given, else `latest`, but none where only a digest is given.
    pub fn tag_or_latest(&self) -> Option<&str> {
        match (self.tag(), &self.digest) {
            (None, None) => Some(DEFAULT_TAG),
            (tag, _) => tag,
        }
    }

    /// The digest, if one is given. Runtimes pull by it and ignore the tag beside it.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same, tagged `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(self) -> Self {
        if self.tag().is_some() || self.digest.is_some() {
            return self;
        }
        Self::assemble(
            self.registry(),
            &[self.repository()],
            Some(DEFAULT_TAG),
            None,
        )
    }

    /// The same, pinned to a digest; the tag stays, for people to read.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }

    /// What containerd and Docker ask the registry for, with either a tag or a digest: the digest where both are
    /// given, `latest` where none is.
    #[must_use]
    pub fn as_pulled(self) -> Self {
        if self.tag().is_some() && self.digest.is_some() {
            return Self {
                text: self.name().into(),
                ..self
            };
        }
        self.with_default_tag()
    }

    /// The shortest form that is read as this reference, as Docker prints it: `nginx:1`, without `docker.io` and
    /// `library`.
    pub fn familiar(&self) -> impl fmt::Display + '_ {
        Familiar(self)
    }

    fn fmt_suffixes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text[self.repository_end..])?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Reads a reference from left to right, so that the first character that does not fit is the one reported.
fn scan(text: &str) -> Result<Reference, Fault> {
    if text.is_empty() {
        return Err(Problem::Empty.at(0));
    }
    if digest::is_image_id(text) {
        return Err(Problem::ImageId.at(0));
    }
    let (registry, rest) = split_registry(text);
    let rest_at = text.len() - rest.len();
    let registry = match registry {
        Some(registry) => {
            grammar::registry(registry, rest)?;
            if registry == LEGACY_DEFAULT_REGISTRY {
                DEFAULT_REGISTRY
            } else {
                registry
            }
        }
        None => DEFAULT_REGISTRY,
    };

    let (path, tag, digest) = split_suffixes(rest);
    let namespace = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        OFFICIAL
    } else {
        ""
    };
    grammar::path(path, namespace.len()).map_err(|fault| fault.shifted(rest_at))?;
    if let Some(tag) = tag {
        grammar::tag(tag).map_err(|fault| fault.shifted(rest_at + path.len() + 1))?;
    }
    let digest = digest
        .map(|digest| {
            digest::scan(digest).map_err(|fault| fault.shifted(text.len() - digest.len()))
        })
        .transpose()?;
    Ok(Reference::assemble(
        registry,
        &[namespace, path],
        tag,
        digest,
    ))
}

/// Splits off what stands before the first `/`, if it is a registry.
fn split_registry(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, text),
    }
}

fn is_registry(first: &str) -> bool {
    first == "localhost"
        || first
            .bytes()
            .any(|byte| matches!(byte, b'.' | b':' | b'A'..=b'Z'))
}

/// Splits into path, what follows the `:`, and what follows the `@`.
fn split_suffixes(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (before, digest) = match text.split_once('@') {
        Some((before, digest)) => (before, Some(digest)),
        None => (text, None),
    };
    match before.split_once(':') {
        Some((path, tag)) => (path, Some(tag), digest),
        None => (before, None, digest),
    }
}

struct Familiar<'a>(&'a Reference);

impl Familiar<'_> {
    /// Registry and repository without what is implied.
    fn name(&self) -> &str {
        let Self(reference) = self;
        let repository = reference.repository();
        if reference.registry() != DEFAULT_REGISTRY {
            return reference.name();
        }
        match repository.strip_prefix(OFFICIAL) {
            Some(single) if !single.contains('/') => {
                let bare = reference.tag().is_none() && reference.digest.is_none();
                if bare && digest::is_image_id(single) {
                    repository
                } else {
                    single
                }
            }
            // Its first part would be read as the registry.
            _ if split_registry(repository).0.is_some() => reference.name(),
            _ => repository,
        }
    }
}

impl fmt::Display for Familiar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.0.fmt_suffixes(f)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.fmt_suffixes(f)
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Reference {
    type Error = ParseError;

    fn try_from(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
