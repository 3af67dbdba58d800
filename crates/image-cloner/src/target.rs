//! The credentials of the copies' registry, from a folder: a mounted Secret that may change at any time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kip_image::{Keyring, PullSecret, Reference, SecretType};
use kip_registry::Credential;
use tracing::{info, warn};

use crate::copies::Copier;
use crate::naming::Naming;
use crate::words;

/// What a folder has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The user's name; empty where there is none.
    pub user: String,
    /// Who writes, as references of copies find it.
    pub credentials: Vec<Credential>,
}

/// Why a folder cannot be used. It never shows what is in it.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// A file cannot be read.
    #[error("AUTH_DIR: {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One of the two is missing.
    #[error("AUTH_DIR: there is {} and no {missing} beside it; both are needed", path.display())]
    Half {
        /// The file that is there.
        path: PathBuf,
        /// The other one.
        missing: &'static str,
    },
    /// It is no docker config.
    #[error("AUTH_DIR: {} is no docker config", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: kip_image::SecretError,
    },
}

/// Names of a docker config: as a Secret of its type has it, and as Docker has it.
const CONFIGS: [&str; 2] = [".dockerconfigjson", "config.json"];
/// A folder is looked into so often.
const PAUSE: Duration = Duration::from_secs(10);

impl Login {
    /// Reads a folder. One that is not there has nothing.
    ///
    /// # Errors
    /// When something is there that cannot be used.
    pub fn read(folder: &Path, registry: &str) -> Result<Self, LoginError> {
        let [user, password] = ["username", "password"].map(|name| folder.join(name));
        let half = |path: &Path, missing| {
            let path = path.to_owned();
            Err(LoginError::Half { path, missing })
        };
        match (text(&user)?, text(&password)?) {
            (Some(name), Some(word)) => {
                return Ok(Self {
                    credentials: vec![Credential::basic(name.clone(), word)],
                    user: name,
                });
            }
            (Some(_), None) => return half(&user, "password"),
            (None, Some(_)) => return half(&password, "username"),
            (None, None) => {}
        }
        for name in CONFIGS {
            let path = folder.join(name);
            if let Some(bytes) = bytes(&path)? {
                let secret = PullSecret::parse(SecretType::DockerConfigJson, &bytes);
                let secret = secret.map_err(|source| LoginError::Config { path, source })?;
                return Ok(Self::of(&Keyring::new([secret]), registry));
            }
        }
        Ok(Self::default())
    }

    /// The credentials of a docker config that count for the registry.
    fn of(keyring: &Keyring, registry: &str) -> Self {
        // As for any image in it; what it is called does not matter.
        let probe = if registry.is_empty() {
            Reference::parse("docker.io/user/probe")
        } else {
            Reference::parse(&format!("{registry}/probe"))
        };
        let credentials = probe.map_or_else(|_| Vec::new(), |it| Credential::all_for(&it, keyring));
        let user = credentials.iter().find_map(|it| match it {
            Credential::Basic { user, .. } => Some(user.clone()),
            Credential::IdentityToken { .. } => None,
        });
        Self {
            user: user.unwrap_or_default(),
            credentials,
        }
    }

    /// Reads the folder again and again, for ever, and gives the copier what is new.
    pub async fn follow(
        mut self,
        folder: PathBuf,
        registry: String,
        copier: Copier,
        naming: Naming,
    ) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let new = match Self::read(&folder, &registry) {
                Ok(new) if new != self => new,
                Ok(_) => continue,
                Err(error) => {
                    let error = words::of(&error);
                    warn!(
                        error,
                        "the registry's credentials cannot be read; the old ones stay"
                    );
                    continue;
                }
            };
            if naming.is_of_user() && new.user != self.user {
                warn!("names of copies begin with the user's name: that changes with a restart");
            }
            copier.set_writers(new.credentials.clone().into());
            // Told once it is so: who has read this line may ask for a copy.
            info!(user = new.user, "the registry's credentials have changed");
            self = new;
        }
    }
}

/// The text of a file without what surrounds it: editors end a file with a line break.
fn text(path: &Path) -> Result<Option<String>, LoginError> {
    let Some(bytes) = bytes(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|error| LoginError::Read {
        path: path.to_owned(),
        source: std::io::Error::other(error),
    })?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn bytes(path: &Path) -> Result<Option<Vec<u8>>, LoginError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LoginError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::TempDir::new().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn read(files: &[(&str, &str)]) -> Result<Login, LoginError> {
        Login::read(folder(files).path(), "r.example/backup")
    }

    #[test]
    fn a_line_break_at_the_end_harms_nothing() {
        let login = read(&[("username", "bob\n"), ("password", "secret\r\n")]).unwrap();
        assert_eq!(login.user, "bob");
        assert_eq!(login.credentials, [Credential::basic("bob", "secret")]);
    }

    #[test]
    fn a_docker_config_counts_for_its_registry() {
        let config =
            r#"{"auths": {"r.example": {"username": "bob", "password": "secret"}, "q": {}}}"#;
        for name in CONFIGS {
            let login = read(&[(name, config)]).unwrap();
            assert_eq!(login.credentials, [Credential::basic("bob", "secret")]);
            assert_eq!(login.user, "bob");
        }
    }

    #[test]
    fn nothing_is_nobody_and_a_half_is_an_error() {
        assert_eq!(read(&[]).unwrap(), Login::default());
        let missing = Login::read(Path::new("/does/not/exist"), "r.example");
        assert_eq!(missing.unwrap(), Login::default());
        let half = read(&[("username", "bob")]).unwrap_err().to_string();
        assert!(half.contains("no password beside it"), "{half}");
        let half = read(&[("password", "word"), ("username", "\n")]).unwrap_err();
        assert!(!half.to_string().contains("word, "), "{half}");
        let wrong = read(&[("config.json", "{")]).unwrap_err().to_string();
        assert!(wrong.contains("config.json is no docker config"), "{wrong}");
    }
}
