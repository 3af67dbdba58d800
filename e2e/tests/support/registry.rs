//! A real registry for one test: `docker-registry` (Debian's package), and `skopeo`, which reads what is in it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kip_e2e::registry::Registry;
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a busy machine; a registry is up within a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(30);

/// A registry process of one test; it ends, and its folder goes, with the value.
pub(crate) struct RegistryProcess {
    child: Child,
    pub(crate) client: Registry,
    _folder: TempDir,
}

impl RegistryProcess {
    /// Starts it on a free port of this machine.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("kip-registry-").expect("a temporary folder");
        let config = folder.path().join("config.yaml");
        // Port 0: the system chooses a free one, and the registry's log names it.
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n",
            folder.path().join("data").display()
        );
        fs::write(&config, text).expect("the registry's config");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry in PATH (Debian: apt-get install docker-registry)");
        let log = child.stderr.take().expect("standard error is piped");
        let address = listening_address(log).unwrap_or_else(|log| {
            // The child's end makes no difference to the report.
            let _ = child.kill();
            panic!("docker-registry did not listen within {DEADLINE:?}; it said:\n{log}")
        });
        Self {
            child,
            client: Registry::new(&address),
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

impl Drop for RegistryProcess {
    fn drop(&mut self) {
        // Either fails only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `HOST:PORT` from the registry's log, or all of the log. The log is read to its end, so that the registry
/// never waits for a reader.
fn listening_address(log: impl Read + Send + 'static) -> Result<String, String> {
    let (line_tx, line_rx) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens after the address is known.
            let _ = line_tx.send(line);
        }
    });
    let mut seen = String::new();
    while let Ok(line) = line_rx.recv_timeout(DEADLINE) {
        if let Some((_, rest)) = line.split_once("listening on ") {
            let address = rest.split(['"', ' ']).next().unwrap_or_default();
            return Ok(address.to_owned());
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    Err(seen)
}
