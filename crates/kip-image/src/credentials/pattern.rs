//! What the key of a credential matches.

use std::borrow::Cow;
use std::ops::Range;

use super::glob;
use super::url::Url;
use crate::reference::Reference;

/// The key of a credential, as it is sorted, looked up and shown: host, port and path of what a secret has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Box<[u8]>);

impl Key {
    /// Reads a key of `auths`; `None` where it is no URL, which kubelet leaves out with a line in its log.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or(text);
        let url = Url::parse(rest.as_bytes())?;
        let mut path = &*url.path;
        // Docker's registries of old have their version in the key: https://index.docker.io/v1/
        if path.starts_with(b"/v1/") || path.starts_with(b"/v2/") {
            path = &path[3..];
        }
        if path == b"/" {
            path = b"";
        }
        Some(Self([&*url.host, path].concat().into()))
    }

    /// What it matches; `None` if that is nothing at all.
    pub(super) fn pattern(&self) -> Option<Pattern> {
        let Self(key) = self;
        // Again, as kubelet does: an escape that is still there is read a second time.
        let url = Url::parse(key)?;
        let (host, port) = url.host_and_port();
        let host = if glob::is_pattern(host) {
            Host::Parts(host.split(|byte| *byte == b'.').map(Part::new).collect())
        } else {
            Host::Exact(host.into())
        };
        Some(Pattern {
            host,
            port: port.into(),
            path: url.path.into(),
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For people: user, query and fragment of what the secret has are not in it.
    pub(super) fn show(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

/// A key that is ready to be matched.
#[derive(Clone)]
pub(super) struct Pattern {
    host: Host,
    /// Empty if there is none.
    port: Box<[u8]>,
    path: Box<[u8]>,
}

#[derive(Clone)]
enum Host {
    Exact(Box<[u8]>),
    Parts(Box<[Part]>),
}

/// What stands between two dots.
#[derive(Clone)]
enum Part {
    Exact(Box<[u8]>),
    /// `*`
    Any,
    Glob(Box<[u8]>),
}

/// The name of an image, to be matched.
#[derive(Clone)]
pub(super) struct Target<'t> {
    url: Url<'t>,
    /// Where the host without port stands in the URL's.
    host: Range<usize>,
    port: Range<usize>,
}

impl<'t> Target<'t> {
    /// Of any text; `None` if nothing matches it.
    pub(super) fn parse(name: &'t str) -> Option<Self> {
        let url = Url::parse(name.as_bytes())?;
        let (host, port) = url.host_and_port();
        let all = url.host.len();
        // In brackets, the host is one byte away from either end.
        let start = usize::from(host.len() < all && url.host.starts_with(b"["));
        Some(Self {
            host: start..start + host.len(),
            port: all - port.len()..all,
            url,
        })
    }

    /// Of a reference, whose registry Go reads as it stands, but for what it makes of brackets.
    pub(super) fn of(image: &'t Reference) -> Option<Self> {
        let registry = image.registry();
        if registry.starts_with('[') {
            return Self::parse(image.name());
        }
        let host = registry.find(':').unwrap_or(registry.len());
        let path = &image.name()[registry.len()..];
        Some(Self {
            url: Url {
                host: registry.as_bytes().into(),
                path: path.as_bytes().into(),
            },
            host: 0..host,
            port: registry.len().min(host + 1)..registry.len(),
        })
    }

    fn host(&self) -> &[u8] {
        &self.url.host[self.host.clone()]
    }

    fn port(&self) -> &[u8] {
        &self.url.host[self.port.clone()]
    }
}

impl Pattern {
    /// Whether the host fits part by part, the port is the same, and the path begins with that of the key, which may
    /// end within a part.
    pub(super) fn matches(&self, target: &Target<'_>) -> bool {
        self.host.matches(target.host())
            && *self.port == *target.port()
            && target.url.path.starts_with(&self.path)
    }
}

impl Host {
    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => **exact == *host,
            Self::Parts(parts) => {
                let mut found = host.split(|byte| *byte == b'.');
                let all = parts
                    .iter()
                    .all(|part| found.next().is_some_and(|text| part.matches(text)));
                all && found.next().is_none()
            }
        }
    }
}

impl Part {
    fn new(text: &[u8]) -> Self {
        match text {
            b"*" => Self::Any,
            _ if glob::is_pattern(text) => Self::Glob(text.into()),
            _ => Self::Exact(text.into()),
        }
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => **exact == *text,
            Self::Any => true,
            Self::Glob(pattern) => glob::matches(pattern, text),
        }
    }
}
