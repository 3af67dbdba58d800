//! What was asked of whom: the API server's audit log and the registry's access log.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

/// Reads what is added to a file from now on, also where that is moved away and begun anew.
struct Tail {
    path: PathBuf,
    file: File,
    start: u64,
}

impl Tail {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            path: path.to_owned(),
            start: file.metadata()?.len(),
            file,
        })
    }

    fn text(&self) -> Result<String> {
        let mut bytes = rest(&self.file, self.start)?;
        let now = File::open(&self.path)?;
        if now.metadata()?.ino() != self.file.metadata()?.ino() {
            bytes.extend(rest(&now, 0)?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What a file has from there on; all of it where it is shorter by now.
fn rest(file: &File, start: u64) -> Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let start = if length < start { 0 } else { start };
    let mut bytes = vec![0; usize::try_from(length - start)?];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// The API server's audit log.
pub struct AuditLog(Tail);

/// A request that was answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// For example `patch`.
    pub verb: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// When it arrived.
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    /// When it was answered.
    #[serde(rename = "stageTimestamp")]
    pub answered: Timestamp,
    stage: String,
    user: User,
    impersonated_user: Option<User>,
    user_agent: Option<String>,
    response_status: Option<ResponseStatus>,
    object_ref: Option<ObjectRef>,
    /// What admission has said of it, by key.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Clone, Deserialize)]
struct ResponseStatus {
    code: Option<u16>,
}

#[derive(Debug, Clone, Deserialize)]
struct ObjectRef {
    resource: Option<String>,
    namespace: Option<String>,
}

impl Request {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// The answer's HTTP status.
    pub fn code(&self) -> u16 {
        self.response_status
            .as_ref()
            .and_then(|status| status.code)
            .unwrap_or(0)
    }

    /// The resource, for example `daemonsets`.
    pub fn resource(&self) -> &str {
        self.object_ref
            .as_ref()
            .and_then(|object| object.resource.as_deref())
            .unwrap_or_default()
    }

    /// The namespace of the object.
    pub fn namespace(&self) -> &str {
        self.object_ref
            .as_ref()
            .and_then(|object| object.namespace.as_deref())
            .unwrap_or_default()
    }

    /// Who asked.
    pub fn user(&self) -> &str {
        &self.user.username
    }

    /// As whom; empty where somebody asked for themselves.
    pub fn acting_as(&self) -> &str {
        self.impersonated_user
            .as_ref()
            .map_or("", |user| &user.username)
    }

    /// By which program.
    pub fn agent(&self) -> &str {
        self.user_agent.as_deref().unwrap_or_default()
    }
}

impl AuditLog {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Tail::open(path).map(Self)
    }

    /// Requests that were answered since.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let text = self.0.text()?;
        // The last line may be half written.
        let lines = text
            .lines()
            .filter(|line| line.starts_with('{') && line.ends_with('}'));
        let mut requests = Vec::new();
        for line in lines {
            if let Ok(request) = serde_json::from_str::<Request>(line)
                && request.stage == "ResponseComplete"
            {
                requests.push(request);
            }
        }
        Ok(requests)
    }
}

/// A registry's access log.
pub struct RegistryLog(Tail);

impl RegistryLog {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Tail::open(path).map(Self)
    }

    /// The request lines of nodes since, for example `GET /v2/demo/scratch/manifests/1 HTTP/1.1`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn requests(&self) -> Result<Vec<String>> {
        self.requests_of("containerd/")
    }

    /// The request lines of whoever calls itself so.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn requests_of(&self, agent: &str) -> Result<Vec<String>> {
        let text = self.0.text()?;
        Ok(text
            .lines()
            .filter(|line| line.contains(agent))
            .filter_map(|line| line.split('"').nth(1))
            .map(str::to_owned)
            .collect())
    }
}
