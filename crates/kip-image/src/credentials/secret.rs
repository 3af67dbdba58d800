//! Pull secrets: the Secrets of the two types that kubelet takes credentials from.

use std::fmt;

use super::config::{self, Entries};
use super::credential::Credential;
use super::error::{EntryName, SecretError};
use super::pattern::Key;

/// The types of [pull secrets].
///
/// [pull secrets]: https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretType {
    /// `kubernetes.io/dockerconfigjson`: a `~/.docker/config.json`, with `auths`.
    DockerConfigJson,
    /// `kubernetes.io/dockercfg`: a `~/.dockercfg` of old, which is what `auths` is.
    DockerCfg,
}

impl SecretType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::DockerConfigJson, Self::DockerCfg];

    /// The type in the Secret: `kubernetes.io/dockerconfigjson`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::DockerCfg => "kubernetes.io/dockercfg",
        }
    }

    /// The key in the Secret's `data`: `.dockerconfigjson`.
    pub fn data_key(self) -> &'static str {
        match self {
            Self::DockerConfigJson => ".dockerconfigjson",
            Self::DockerCfg => ".dockercfg",
        }
    }

    /// The type that a Secret's field `type` names, if it is one of them.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for SecretType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The credentials of one Secret, to make a [`Keyring`](super::Keyring) of.
///
/// An entry has `username` and `password`, or `auth`, which is both in base64 and wins. Names of fields are read in
/// any case. `credsStore`, `credHelpers` and the like name programs of the machine on which `docker login` ran:
/// [kubelet does not read them][config], and the entry is empty then.
///
/// # Differences to kubelet
/// - Of two entries whose keys mean the same (`quay.io` and `https://quay.io/`) kubelet tries one first, now this,
///   now that one. Here it is the one that is first in the order of bytes.
/// - A text that is not UTF-8, in JSON or in `auth`, is refused. Kubelet reads it, and then cannot send it to the
///   runtime.
/// - An `identitytoken` is read, and given out [apart](Credential::identity_token).
///
/// [config]: https://kubernetes.io/docs/concepts/containers/images/#config-json
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret {
    entries: Entries,
}

impl PullSecret {
    /// Reads what a Secret of this type has in its `data` under [`SecretType::data_key`], base64 taken off.
    ///
    /// Kubelet does not pull at all with a secret that this refuses, also where the fault is in the entry of another
    /// registry.
    pub fn parse(kind: SecretType, data: &[u8]) -> Result<Self, SecretError> {
        config::read(kind, data).map(|entries| Self { entries })
    }

    /// Reads a Secret by its `type`, and by what gives the `data` of a key. `None` where kubelet passes over it
    /// without a word: it is of another type, or the data of the type's key is missing or empty.
    ///
    /// ```
    /// use kip_image::PullSecret;
    /// use std::collections::BTreeMap;
    ///
    /// let data = BTreeMap::from([(".dockercfg", br#"{"quay.io": {"username": "u", "password": "p"}}"#)]);
    /// let get = |key: &str| data.get(key).map(|bytes| bytes.as_slice());
    /// assert_eq!(PullSecret::from_data("kubernetes.io/dockercfg", get)?.unwrap().len(), 1);
    /// assert_eq!(PullSecret::from_data("Opaque", get)?, None);
    /// # Ok::<(), kip_image::SecretError>(())
    /// ```
    pub fn from_data<'d>(
        kind: &str,
        get: impl FnOnce(&str) -> Option<&'d [u8]>,
    ) -> Result<Option<Self>, SecretError> {
        let Some(kind) = SecretType::from_name(kind) else {
            return Ok(None);
        };
        let data = get(kind.data_key()).filter(|data| !data.is_empty());
        data.map(|data| Self::parse(kind, data)).transpose()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries that match no image ever, because their key is no URL. Kubelet leaves them out, and says so in no
    /// other place than its log.
    pub fn unusable(&self) -> impl Iterator<Item = &EntryName> {
        self.entries
            .iter()
            .filter(|(key, _)| Key::parse(key).and_then(|key| key.pattern()).is_none())
            .map(|(_, (name, _))| name)
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = (Box<str>, Credential)> {
        self.entries
            .into_iter()
            .map(|(key, (_, credential))| (key, credential))
    }
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.values()).finish()
    }
}
