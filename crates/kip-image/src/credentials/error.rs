//! What is wrong with a pull secret, and where: never with a text that may be secret.

use std::fmt;
use std::net::Ipv6Addr;

use super::secret::SecretType;

/// Why a pull secret cannot be read.
///
/// The message names the field and what was expected. It has nothing of the secret's content but the host of an
/// entry, and that only where it looks like a host.
///
/// ```
/// use kip_image::{PullSecret, SecretType};
///
/// let data = br#"{"auths": {"quay.io": {"auth": "aHVudGVyMg=="}}}"#;
/// let error = PullSecret::parse(SecretType::DockerConfigJson, data).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid .dockerconfigjson: auths, entry 1 (quay.io), auth: there is no ':' in what the base64 stands for; \
///      expected: base64 of USER:PASSWORD"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretError {
    pub(super) kind: SecretType,
    pub(super) location: Location,
    pub(super) problem: SecretProblem,
}

/// The ways in which a pull secret can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretProblem {
    /// It is no JSON. Line and column count from 1, the latter in bytes.
    Syntax {
        /// The line.
        line: usize,
        /// The byte in the line; 0 if the fault is the end of the line before.
        column: usize,
    },
    /// It ends where JSON goes on.
    Truncated,
    /// A field is of another type: an object or a text was expected.
    Type,
    /// `auth` is not base64.
    AuthEncoding {
        /// Where the first character stands that base64 does not have, counted from 1; `None` if the length or the
        /// padding is what is wrong.
        at: Option<usize>,
    },
    /// `auth` is base64 of something that is not UTF-8.
    AuthText,
    /// `auth` is base64 of something without a colon.
    AuthColon,
}

/// Where in the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    Document,
    Auths,
    Headers,
    Entry(EntryName),
    Field(EntryName, &'static str),
}

/// An entry of `auths`, named so that nothing secret is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    number: usize,
    host: Option<Box<str>>,
}

impl EntryName {
    /// The name of the entry that is the `number`th, and has this key.
    pub(super) fn new(number: usize, key: &str) -> Self {
        Self {
            number,
            host: host(key).map(Into::into),
        }
    }

    /// Where it stands in `auths`, counted from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The registry's host and port. `None` if the key does not look like one: who knows what it is then.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

/// The host in a key, with its port, if it looks like the name of a registry.
fn host(key: &str) -> Option<&str> {
    /// So long may a part of a DNS name be; a token has longer ones.
    const PART_MAX: usize = 63;
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = key.split('/').next()?;
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-.*".contains(&byte);
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let is_name = name == "localhost"
        || address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        || (port.is_some() || name.contains('.'))
            && name.bytes().all(may_stand)
            && name.split('.').all(|part| part.len() <= PART_MAX);
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_name && port.is_none_or(is_port)).then_some(host)
}

impl SecretError {
    /// What is wrong.
    pub fn problem(&self) -> SecretProblem {
        self.problem
    }

    /// The entry of `auths` that is wrong, if it is one.
    pub fn entry(&self) -> Option<&EntryName> {
        match &self.location {
            Location::Entry(name) | Location::Field(name, _) => Some(name),
            Location::Document | Location::Auths | Location::Headers => None,
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.number)?;
        match &self.host {
            Some(host) => write!(f, " ({host})"),
            None => Ok(()),
        }
    }
}

impl Location {
    /// The old type has no `auths`: it is what they are.
    fn name(&self, kind: SecretType) -> String {
        let auths = match kind {
            SecretType::DockerConfigJson => "auths, ",
            SecretType::DockerCfg => "",
        };
        match self {
            Self::Auths if kind == SecretType::DockerConfigJson => "auths".to_owned(),
            Self::Document | Self::Auths => "the document".to_owned(),
            Self::Headers => "HttpHeaders".to_owned(),
            Self::Entry(name) => format!("{auths}{name}"),
            Self::Field(name, field) => format!("{auths}{name}, {field}"),
        }
    }

    fn expected(&self) -> &'static str {
        match self {
            Self::Document => r#"an object such as {"auths": {"quay.io": {"auth": "…"}}}"#,
            Self::Auths => r#"an object such as {"quay.io": {"auth": "…"}}"#,
            Self::Headers => "an object of texts",
            Self::Entry(_) => r#"an object such as {"auth": "…"}"#,
            Self::Field(_, "auth") => "base64 of USER:PASSWORD",
            Self::Field(..) => "a text",
        }
    }
}

impl fmt::Display for SecretProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, column } => write!(f, "no JSON from line {line}, column {column}"),
            Self::Truncated => f.write_str("the JSON has no end"),
            Self::Type => f.write_str("of the wrong type"),
            Self::AuthEncoding { at: Some(at) } => write!(f, "no base64 at character {at}"),
            Self::AuthEncoding { at: None } => f.write_str("no base64, by its length or padding"),
            Self::AuthText => f.write_str("what the base64 stands for is no UTF-8"),
            Self::AuthColon => f.write_str("there is no ':' in what the base64 stands for"),
        }
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            location,
            problem,
        } = self;
        write!(f, "invalid {}: ", kind.data_key())?;
        if matches!(
            problem,
            SecretProblem::Syntax { .. } | SecretProblem::Truncated
        ) {
            return problem.fmt(f);
        }
        let (place, expected) = (location.name(*kind), location.expected());
        write!(f, "{place}: {problem}; expected: {expected}")
    }
}

impl std::error::Error for SecretError {}
