//! The credentials that `docker login` and its like keep: a `config.json`, which is what a pull secret is made of.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use kip_image::{Keyring, PullSecret, Reference, SecretError, SecretType};
use serde::Deserialize;

use crate::credential::Credential;

/// What a file has.
#[derive(Debug, Default)]
pub struct DockerConfig {
    /// Its credentials.
    pub keyring: Keyring,
    helpers: Helpers,
    path: PathBuf,
}

/// Why a file cannot be used. It never shows what is in it.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: SecretError,
    },
}

/// The programs that keep credentials elsewhere.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Helpers {
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
}

impl DockerConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn read(path: &Path) -> Result<Self, DockerConfigError> {
        let bytes = std::fs::read(path).map_err(|source| DockerConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let secret = PullSecret::parse(SecretType::DockerConfigJson, &bytes).map_err(|source| {
            DockerConfigError::Content {
                path: path.to_owned(),
                source,
            }
        })?;
        // What is of another type than expected is no helper that could be named.
        let helpers: Helpers = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Self {
            keyring: Keyring::new([secret]),
            helpers,
            path: path.to_owned(),
        })
    }

    /// Reads the file that Docker reads by itself; none is as good as an empty one.
    ///
    /// # Errors
    /// It is there, and cannot be read or is no such file.
    pub fn read_default(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, DockerConfigError> {
        let Some(path) = default_path(variable) else {
            return Ok(Self::default());
        };
        match Self::read(&path) {
            Err(DockerConfigError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            read => read,
        }
    }

    /// The program that keeps the credentials for a registry, without its `docker-credential-`, where the file names one.
    pub fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.helpers.cred_helpers.as_ref();
        let own = own.and_then(|helpers| helpers.get(registry));
        let store = self.helpers.creds_store.as_ref();
        own.or(store)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// What a file has that is not used by a program that runs no others.
    pub fn warnings(&self) -> Vec<String> {
        self.helpers.warnings(&self.path)
    }

    /// The credentials for an image, in the order in which to try them.
    pub fn credentials(&self, reference: &Reference) -> Vec<Credential> {
        Credential::all_for(reference, &self.keyring)
    }
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    Some(folder.join("config.json"))
}

impl Helpers {
    fn warnings(&self, path: &Path) -> Vec<String> {
        let store = self.creds_store.as_ref().filter(|name| !name.is_empty());
        let store = store.map(|name| format!("credsStore {name:?}"));
        let helpers = self.cred_helpers.iter().flatten();
        let helpers = helpers.map(|(host, name)| format!("credHelpers {name:?} (for {host:?})"));
        store
            .into_iter()
            .chain(helpers)
            .map(|what| {
                format!(
                    "warning: {}: {what} is not supported: what that program keeps is not used; \
                     --docker-config FILE names a file that holds credentials itself",
                    path.display()
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let all: BTreeMap<_, _> = variables.iter().copied().collect();
        default_path(|name| all.get(name).map(OsString::from))
    }

    #[test]
    fn a_registrys_own_helper_comes_before_the_one_for_all() {
        let helpers = r#"{"credsStore": "desktop", "credHelpers": {"r.example": "pass", "empty.example": ""}}"#;
        let config = DockerConfig {
            helpers: serde_json::from_str(helpers).unwrap(),
            ..DockerConfig::default()
        };
        assert_eq!(config.helper("r.example"), Some("pass"));
        assert_eq!(config.helper("other.example"), Some("desktop"));
        assert_eq!(config.helper("empty.example"), None);
        assert_eq!(config.warnings().len(), 3);
        assert_eq!(DockerConfig::default().helper("r.example"), None);
    }

    #[test]
    fn the_default_file_is_dockers() {
        let both = [("DOCKER_CONFIG", "/d"), ("HOME", "/h")];
        assert_eq!(from(&both), Some("/d/config.json".into()));
        let empty = [("DOCKER_CONFIG", ""), ("HOME", "/h")];
        assert_eq!(from(&empty), Some("/h/.docker/config.json".into()));
        assert_eq!(from(&[]), None);
    }
}
