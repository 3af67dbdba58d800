//! Debian's `docker-registry` as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::image::{Content, Image};
use super::push;
use super::tls::Leaf;

/// Long enough for a busy machine; a registry is up within a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(30);

/// The user that `bob`, `correct horse` is, as `htpasswd` writes it.
pub(crate) const USER: (&str, &str) = ("bob", "correct horse");
const HTPASSWD: &str = "bob:$2b$04$HXtGdCdO.d5TGnlScobxteQ1ngWxiOhNbPOKu1OBmjmtsXEDnHKuK\n";

/// A registry, which ends with the value.
pub(crate) struct Debian {
    child: Child,
    address: String,
    _config: TempDir,
}

/// How a registry is set up.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Whether it wants the one user's password.
    pub(crate) password: bool,
    /// Its certificate.
    pub(crate) tls: Option<&'a Leaf>,
}

impl Debian {
    /// Starts one on a free port, with the images that are in the folder.
    pub(crate) fn start(data: &TempDir, setup: &Setup<'_>) -> Self {
        let folder = TempDir::with_prefix("kip-registry-").unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let tls = setup.tls.map_or(String::new(), |leaf| {
            let (certificate, key) = (path("certificate.pem"), path("key.pem"));
            fs::write(&certificate, leaf.certificate.pem()).unwrap();
            fs::write(&key, leaf.key.serialize_pem()).unwrap();
            format!(", tls: {{certificate: {certificate}, key: {key}}}")
        });
        let auth = if setup.password {
            fs::write(path("htpasswd"), HTPASSWD).unwrap();
            format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}",
                path("htpasswd")
            )
        } else {
            String::new()
        };
        let storage = data.path().display();
        // Port 0: the system chooses a free one, and the registry's log names it.
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\n\
             storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:0'{tls}}}\n{auth}\n"
        );
        fs::write(path("config.yaml"), config).unwrap();
        let mut child = Command::new("docker-registry")
            .args(["serve", &path("config.yaml")])
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
            address,
            _config: folder,
        }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> &str {
        &self.address
    }

    /// Puts an image there by other means than the client that is tested.
    pub(crate) async fn push(&self, repository: &str, tag: &str, image: &Image) {
        push::image(&self.address, repository, tag, image).await;
    }

    pub(crate) async fn put(&self, repository: &str, tag: &str, manifest: &Content) {
        push::manifest(&self.address, repository, tag, manifest).await;
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // Either fails only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `HOST:PORT` from the registry's log, or all of the log. The log is read to its end, so that the registry never waits
/// for a reader.
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
            let address = rest.split(['"', ' ', ',']).next().unwrap_or_default();
            return Ok(address.to_owned());
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    Err(seen)
}
