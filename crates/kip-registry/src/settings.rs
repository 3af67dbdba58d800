//! What a client is made with.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// What a [`Client`](crate::Client) is made with. The default suits public registries.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hosts, as `host` or `host:port` as references name them, that are spoken to without TLS. No other host
    /// ever is.
    pub plain_http: BTreeSet<String>,
    /// The registries that may have addresses that are not of the internet.
    pub private: PrivateHosts,
    /// Certificates of authorities, in PEM, that are trusted beside the system's.
    pub extra_ca: Vec<Vec<u8>>,
    /// The proxies on the way to registries.
    pub proxies: Proxies,
    /// What the client calls itself.
    pub user_agent: String,
    /// What is read at most.
    pub limits: Limits,
    /// So long may it take to be connected, TLS included.
    pub connect_timeout: Duration,
    /// So long may a connection be silent while something is waited for. The answer to a whole blob that was sent may
    /// take five times as long, since registries put it into place first.
    pub idle_timeout: Duration,
    /// How often and when a request that failed is sent again.
    pub retries: Retries,
}

/// The registries that may have private, link-local, loopback or other [special addresses][iana]. Where others name the
/// registries, they could else have the client speak to what only it can reach.
///
/// Behind a proxy only the proxy knows addresses: there a host's name alone is looked at.
///
/// [iana]: https://www.iana.org/assignments/iana-ipv4-special-registry
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PrivateHosts {
    /// Every one. Of the internet's registries none may send the client to such an address all the same.
    #[default]
    All,
    /// These, as `host` or `host:port` as references name them. What others send the client to must be of the internet, too.
    Only(BTreeSet<String>),
}

/// What is read at most. Registries are named by users, and may be anybody's.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The bytes of a manifest, or of all pages of a list of referrers together. Registries [need not take more][rule]
    /// than 4 MiB.
    ///
    /// [rule]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
    pub manifest_bytes: usize,
    /// The bytes that one copy holds in memory: of all manifests, indexes and lists of referrers that it reads, together.
    /// Some more may be on their way, [`parallel`](crate::Options::parallel) times `manifest_bytes` at most.
    pub all_manifest_bytes: usize,
    /// The manifests in an index, or referrers of a manifest.
    pub index_entries: usize,
    /// The bytes of a token server's answer.
    pub token_bytes: usize,
    /// How deep indexes may hold indexes, and referrers referrers.
    pub depth: usize,
    /// How often a request may be sent elsewhere.
    pub redirects: usize,
}

/// How often and when a request that failed is sent again.
///
/// Only failures that may pass are tried again: no connection, a connection that was cut or is silent, and the
/// answers 408, 429, 500, 502, 503 and 504.
#[derive(Clone, Debug)]
pub struct Retries {
    /// How often after the first time.
    pub count: u32,
    /// The wait before the first of them. It is doubled each time, and a random part of up to a half is taken off.
    pub first_wait: Duration,
    /// The longest wait. Where a registry asks for a longer one (`Retry-After`), the request fails at once with
    /// [`Kind::RateLimited`](crate::Kind::RateLimited) or [`Kind::Server`](crate::Kind::Server).
    pub longest_wait: Duration,
}

/// The proxies on the way to registries.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For hosts that are spoken to without TLS: a URL, such as `http://user:password@proxy:3128`.
    pub http: Option<String>,
    /// For all other hosts. The tunnel through it is encrypted to the registry.
    pub https: Option<String>,
    /// The hosts that are asked directly, in the form of `NO_PROXY`: `.svc,10.0.0.0/8,registry.example`.
    pub except: Option<String>,
}

/// What no proxy is asked for, whatever the environment says.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// What should be certificates is none.
    #[error(
        "extra_ca: the entry {index} (from 0) has no certificate in PEM; for example -----BEGIN CERTIFICATE-----"
    )]
    ExtraCa {
        /// Which of the entries.
        index: usize,
        /// What is wrong with it, where its form is right.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A proxy's URL is none. It may hold a password, and is not quoted.
    #[error("proxies.{field}: not a URL; for example http://proxy.example:3128")]
    Proxy {
        /// `http` or `https`.
        field: &'static str,
    },
    /// What should name a host does not.
    #[error("plain_http: {host:?} is no host; for example registry.example:5000")]
    PlainHttp {
        /// The entry.
        host: String,
    },
    /// The user agent has characters that a header may not have.
    #[error("user_agent: {value:?} cannot be sent in a header; for example image-puller/1.0")]
    UserAgent {
        /// What was given.
        value: String,
    },
    /// The TLS library cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            plain_http: BTreeSet::new(),
            private: PrivateHosts::All,
            extra_ca: Vec::new(),
            proxies: Proxies::default(),
            user_agent: concat!("kip-registry/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            retries: Retries::default(),
        }
    }
}

// === impl PrivateHosts ===

impl PrivateHosts {
    /// Whether the registry may have such an address.
    pub(crate) fn allow(&self, registry: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(hosts) => hosts.contains(registry),
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            all_manifest_bytes: 16 << 20,
            index_entries: 1000,
            token_bytes: 64 << 10,
            depth: 6,
            redirects: 5,
        }
    }
}

// === impl Retries ===

impl Default for Retries {
    fn default() -> Self {
        Self {
            count: 4,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

// === impl Proxies ===

impl Proxies {
    /// No proxy, whatever the environment says.
    pub fn none() -> Self {
        Self::default()
    }

    /// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, or the same in lower case, which comes first.
    /// Hosts on this machine are asked directly, as everywhere in Kubernetes.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The same for any set of variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            [name.to_ascii_lowercase().as_str(), name]
                .into_iter()
                .find_map(&variable)
                .filter(|value| !value.trim().is_empty())
        };
        let all = either("ALL_PROXY");
        Self {
            http: either("HTTP_PROXY").or_else(|| all.clone()),
            https: either("HTTPS_PROXY").or(all),
            except: Some(
                either("NO_PROXY").map_or(LOOPBACK.to_owned(), |no| format!("{no},{LOOPBACK}")),
            ),
        }
    }
}

impl fmt::Debug for Proxies {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redact = |url: &Option<String>| {
            url.as_deref().map(|url| match url.rsplit_once('@') {
                Some((_, host)) => format!("…@{host}"),
                None => url.to_owned(),
            })
        };
        f.debug_struct("Proxies")
            .field("http", &redact(&self.http))
            .field("https", &redact(&self.https))
            .field("except", &self.except)
            .finish()
    }
}
