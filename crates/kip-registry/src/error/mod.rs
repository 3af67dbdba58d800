//! What went wrong, where, and what to do about it.

mod text;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use kip_image::Digest;

pub(crate) use text::{quote, scrub};

type Source = Box<dyn StdError + Send + Sync>;

/// A request that failed.
///
/// The message names registry, repository and reference, what happened and what to do. It never holds a secret, and its
/// length has a bound whatever the registry said. The cause, where another library found it, is in `source`.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    registry: String,
    /// `library/nginx:1.27`, `library/nginx@sha256:…`
    subject: String,
    /// What is known beyond the kind: the registry's own words, a host name.
    detail: Option<String>,
    source: Option<Source>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The registry has no such repository, tag, manifest or blob, or does not show it to us.
    NotFound,
    /// The registry wants credentials, or none of those that were tried was right.
    Unauthorized {
        /// What was tried, without secrets: `anonymous`, `user "bob"`.
        tried: Vec<String>,
    },
    /// The credentials are right but do not allow this.
    Denied {
        /// What was tried, without secrets.
        tried: Vec<String>,
    },
    /// Too many requests.
    RateLimited {
        /// When to ask again, if the registry says so.
        retry_after: Option<Duration>,
    },
    /// There is no way to the registry, or it broke.
    Unreachable(Unreachable),
    /// The registry's certificate is not trusted, or TLS is not spoken.
    Tls,
    /// The registry failed.
    Server {
        /// Its answer's status.
        status: u16,
        /// When to ask again, if the registry says so.
        retry_after: Option<Duration>,
    },
    /// More than the limit would have to be read.
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit, in bytes or entries.
        limit: usize,
    },
    /// The bytes are not those that the digest names.
    DigestMismatch {
        /// What was asked for or announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The answer breaks the protocol.
    Malformed,
    /// The registry sends us to where we do not go.
    Refused,
    /// The registry, or this client, cannot do that.
    Unsupported,
    /// The registry did not take what was sent.
    Rejected {
        /// Its answer's status.
        status: u16,
    },
    /// What was to be sent could not be read.
    Input,
}

/// How the way to a registry broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreachable {
    /// The host's name has no address.
    Dns,
    /// No connection.
    Connect,
    /// Silence for longer than the settings allow.
    Timeout,
    /// The connection was cut.
    Interrupted,
    /// The proxy did not let us through.
    Proxy,
}

// === impl Kind ===

impl Kind {
    /// A word for it, for metrics: one of a closed set.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Denied { .. } => "denied",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unreachable(_) => "unreachable",
            Self::Tls => "tls",
            Self::Server { .. } => "server",
            Self::TooLarge { .. } => "too_large",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::Unsupported => "unsupported",
            Self::Rejected { .. } => "rejected",
            Self::Input => "input",
        }
    }

    /// Whether the same may go well a little later, nothing else changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unreachable(_) => true,
            Self::Server { status, .. } => matches!(status, 408 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// When the registry wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found; check the name, and that the credentials may see it"),
            Self::Unauthorized { tried } if tried.iter().all(|one| one == ANONYMOUS) => {
                f.write_str("the registry wants credentials, or has no such repository; check the name, or give credentials")
            }
            Self::Unauthorized { tried } => {
                write!(f, "no credentials are right (tried: {}); check the secret", tried.join(", "))
            }
            Self::Denied { tried } => write!(
                f,
                "access denied (tried: {}); give them access, or other credentials",
                tried.join(", ")
            ),
            Self::RateLimited { retry_after: Some(wait) } => {
                write!(f, "too many requests; ask again in {} s, or with credentials", wait.as_secs())
            }
            Self::RateLimited { retry_after: None } => {
                f.write_str("too many requests; ask again later, or with credentials")
            }
            Self::Unreachable(how) => how.fmt(f),
            Self::Tls => f.write_str(
                "no trusted TLS connection; trust the registry's CA, or name the host for plain HTTP if it has no TLS",
            ),
            Self::Server { status, .. } => write!(f, "the registry failed with status {status}; try again later"),
            Self::TooLarge { what, limit } => {
                write!(f, "{what} is larger than the limit of {limit}; raise the limit if this is meant to be")
            }
            Self::DigestMismatch { expected, found } => write!(
                f,
                "the content is {found}, not {expected}; the registry, or somebody on the way, changed it"
            ),
            Self::Malformed => f.write_str("the answer breaks the registry protocol; check that the host is a registry"),
            Self::Refused => f.write_str("the registry sends us to where no request is sent; check its setup"),
            Self::Unsupported => f.write_str("not supported"),
            Self::Rejected { status } => write!(f, "the registry refused what was sent, with status {status}"),
            Self::Input => f.write_str("what was to be sent could not be read"),
        }
    }
}

/// What was tried where no credential was.
pub(crate) const ANONYMOUS: &str = "anonymous";

// === impl Unreachable ===

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host's name has no address; check the name and the DNS",
            Self::Connect => "no connection; check address, port and firewall",
            Self::Timeout => "no answer in time; check the network, or try again later",
            Self::Interrupted => "the connection was cut; try again later",
            Self::Proxy => "the proxy did not let us through; check the proxy's settings",
        })
    }
}

// === impl Error ===

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            registry: String::new(),
            subject: String::new(),
            detail: None,
            source: None,
        }))
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed).detail(detail)
    }

    /// What was to be sent could not be read: for what an upload is made of.
    pub fn input(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Input).source(source)
    }

    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub(crate) fn source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says what it is about, unless that is known already.
    #[must_use]
    pub(crate) fn about(mut self, registry: &str, subject: impl FnOnce() -> String) -> Self {
        if self.0.registry.is_empty() {
            registry.clone_into(&mut self.0.registry);
            self.0.subject = subject();
        }
        self
    }

    /// Says whose words the detail is.
    #[must_use]
    pub(crate) fn context(mut self, who: &str) -> Self {
        self.0.detail = Some(match self.0.detail.take() {
            Some(detail) => format!("{who}: {detail}"),
            None => who.to_owned(),
        });
        self
    }

    /// What happened.
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub(crate) fn kind_mut(&mut self) -> &mut Kind {
        &mut self.0.kind
    }

    /// The registry that was asked, as references name it.
    pub fn registry(&self) -> &str {
        &self.0.registry
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            registry,
            subject,
            detail,
            ..
        } = &*self.0;
        if !registry.is_empty() {
            write!(f, "{registry}/{subject}: ")?;
        }
        kind.fmt(f)?;
        match detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &format_args!("{self}"))
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
