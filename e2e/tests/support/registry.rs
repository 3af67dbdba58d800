//! A real registry for one test: `docker-registry` (Debian's package), and `skopeo`, which reads what is in it.

#[path = "../../../crates/kip-registry/tests/it/support/process.rs"]
mod process;

use std::fs;
use std::process::Command;

use kip_e2e::registry::Registry;
use serde_json::Value;
use tempfile::TempDir;

use process::Process;

/// A registry process of one test; it ends, and its folder goes, with the value.
pub(crate) struct RegistryProcess {
    pub(crate) client: Registry,
    _process: Process,
    _folder: TempDir,
}

impl RegistryProcess {
    /// Starts it on a free port of this machine.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("kip-registry-").expect("a temporary folder");
        let config = folder.path().join("config.yaml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n",
            folder.path().join("data").display()
        );
        fs::write(&config, text).expect("the registry's config");
        let process = Process::serve(&config);
        Self {
            client: Registry::new(&process.address),
            _process: process,
            _folder: folder,
        }
    }

    /// What skopeo, whose reading of images is not ours, says of a reference.
    pub(crate) fn inspect(&self, repository: &str, mode: &[&str]) -> Value {
        let reference = format!("docker://{}/{repository}", self.client.address());
        let output = Command::new("skopeo")
            .args(["inspect", "--tls-verify=false"])
            .args(mode)
            .arg(&reference)
            .output()
            .expect("skopeo in PATH (Debian: apt-get install skopeo)");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "skopeo inspect {reference}: {said}"
        );
        serde_json::from_slice(&output.stdout).expect("JSON from skopeo")
    }
}
