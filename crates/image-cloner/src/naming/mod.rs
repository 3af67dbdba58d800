//! Which name a copy has.
//!
//! # No two images share a name
//! A copy's name is `PREFIX/HOST/REPOSITORY:TAG`, each part of it made so that it can be read back:
//!
//! - `HOST` is the source's registry. A port follows two underscores (`localhost__5000`), which no host name has. A host that
//!   cannot be written so, one with capitals or an address in brackets, is `x_` and its bytes in hexadecimal: a single
//!   underscore is in no other `HOST`.
//! - `REPOSITORY` is the source's.
//! - `TAG` is the source's. A source without a tag has its digest as one, `kept_sha256_…`, since registries throw away what has
//!   no tag. A source's tag that begins with `kept_` is `kept_t_` and that tag.
//!
//! Where the whole is longer than registries take, or where they take one part only, the place of `HOST/REPOSITORY` has
//! a flat name: a few readable words and the whole SHA-256 of `HOST/REPOSITORY`.
//!
//! [`Scheme::Legacy`] is what image-cloner did first: the last part of the repository alone. Such names collide.

mod flat;
mod host;
#[cfg(test)]
mod tests;

use kip_image::{DEFAULT_REGISTRY, DEFAULT_TAG, Digest, ParseError, Reference};

/// How names are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `PREFIX/HOST/REPOSITORY`.
    #[default]
    Path,
    /// `PREFIX/WORDS-HASH`, for registries that take no further parts, such as Docker Hub.
    Flat,
    /// `PREFIX/LAST`, the last part of the repository: names collide.
    Legacy,
}

/// Gives each image its place among the copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    registry: Box<str>,
    /// What the repository of each copy begins with: empty, or with a slash at its end.
    path: Box<str>,
    is_of_user: bool,
    scheme: Scheme,
}

/// Why there are no names under a prefix.
#[derive(Debug, thiserror::Error)]
pub enum PrefixError {
    /// It is no registry with a repository.
    #[error(
        "the registry of the copies, {text:?}, is no place for images, such as registry.example/backup"
    )]
    Invalid {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// It has a tag or a digest.
    #[error(
        "the registry of the copies, {0:?}, has a tag or a digest: it is what their names begin with"
    )]
    NotAName(String),
    /// Docker Hub has no images but a user's.
    #[error("the copies go to Docker Hub, where only users have images: a user's name is missing")]
    NoUser,
    /// It leaves no room.
    #[error(
        "the registry of the copies, {0:?}, is too long: names begin with it, and may have {LONGEST} characters"
    )]
    TooLong(String),
}

/// Names may have so many characters, the registry included: many clients refuse more ([distribution specification]).
///
/// [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
pub const LONGEST: usize = 255;

/// What the tags of copies begin with that are not the source's own.
const KEPT: &str = "kept_";

impl Naming {
    /// Names under `registry[/repository]`, and under the user's name where no repository is given. No registry is Docker
    /// Hub.
    ///
    /// # Errors
    /// When no name could be made.
    pub fn new(registry: &str, user: &str, scheme: Scheme) -> Result<Self, PrefixError> {
        let registry = registry.trim_end_matches('/');
        let given = if registry.is_empty() {
            DEFAULT_REGISTRY
        } else {
            registry
        };
        let is_of_user = !given.contains('/') && !user.is_empty();
        let text = if is_of_user {
            format!("{given}/{user}")
        } else {
            given.to_owned()
        };
        // What stands before an image is read by the rules of images.
        let probe = match Reference::parse(&format!("{text}/x")) {
            Ok(probe) => probe,
            Err(source) => return Err(PrefixError::Invalid { text, source }),
        };
        let Some(path) = probe.repository().strip_suffix('x') else {
            return Err(PrefixError::NotAName(text));
        };
        if probe.registry() == DEFAULT_REGISTRY && !text.contains('/') {
            return Err(PrefixError::NoUser);
        }
        if probe.registry().len() + 1 + path.len() + flat::LONGEST > LONGEST {
            return Err(PrefixError::TooLong(text));
        }
        Ok(Self {
            registry: probe.registry().into(),
            path: path.into(),
            is_of_user,
            scheme,
        })
    }

    /// Whether the reference is among the copies.
    pub fn is_copy(&self, reference: &Reference) -> bool {
        reference.registry() == &*self.registry && reference.repository().starts_with(&*self.path)
    }

    /// Whether names begin with the user's, since no other path was given.
    pub fn is_of_user(&self) -> bool {
        self.is_of_user
    }

    /// The registry of the copies, as references name it.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// What the repositories of a registry's copies begin with, without a slash at the end; `None` where names are made
    /// otherwise.
    pub fn part(&self, registry: &str) -> Option<String> {
        let part = host::part(registry);
        (self.scheme == Scheme::Path).then(|| format!("{}{part}", self.path))
    }

    /// Whether two images can have one name.
    pub fn collides(&self) -> bool {
        self.scheme == Scheme::Legacy
    }

    /// Where the copy of an image is, with its tag.
    ///
    /// # Errors
    /// Where a legacy name is longer than the rules of images allow.
    pub fn place(&self, source: &Reference) -> Result<Reference, ParseError> {
        let tag = match self.scheme {
            Scheme::Legacy if source.digest().is_none() => {
                source.tag().unwrap_or(DEFAULT_TAG).to_owned()
            }
            _ => tag(source),
        };
        let Self { registry, path, .. } = self;
        Reference::parse(&format!(
            "{registry}/{path}{}:{tag}",
            self.repository(source)
        ))
    }

    /// The same place, with the tag that keeps a content there when the place's own tag has moved on.
    ///
    /// # Errors
    /// As [`Naming::place`].
    pub fn kept(&self, place: &Reference, digest: &Digest) -> Result<Reference, ParseError> {
        Reference::parse(&format!("{}:{}", place.name(), kept(digest)))
    }

    /// The repository of the copy, below the prefix.
    fn repository(&self, source: &Reference) -> String {
        match self.scheme {
            Scheme::Legacy => source.base_name().to_owned(),
            Scheme::Flat => flat::part(source),
            Scheme::Path => {
                let name = format!("{}/{}", host::part(source.registry()), source.repository());
                let length = self.registry.len() + 1 + self.path.len() + name.len();
                if length > LONGEST {
                    flat::part(source)
                } else {
                    name
                }
            }
        }
    }
}

/// The tag of the copy: another source is another one.
fn tag(source: &Reference) -> String {
    if let Some(digest) = source.digest() {
        return kept(digest);
    }
    let tag = source.tag().unwrap_or(DEFAULT_TAG);
    if !tag.starts_with(KEPT) {
        return tag.to_owned();
    }
    let escaped = format!("{KEPT}t_{tag}");
    if escaped.len() > Reference::TAG_MAX {
        hashed(tag)
    } else {
        escaped
    }
}

/// The tag of a content.
fn kept(digest: &Digest) -> String {
    let text = format!("{KEPT}{}_{}", digest.algorithm().as_str(), digest.hex());
    if text.len() > Reference::TAG_MAX {
        hashed(&digest.to_string())
    } else {
        text
    }
}

/// What is too long for a tag. No tag reads as a digest, for that has a colon.
fn hashed(text: &str) -> String {
    format!("{KEPT}h_{}", flat::hash(text))
}
