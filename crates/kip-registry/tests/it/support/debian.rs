//! Debian's `docker-registry`, with and without password and TLS.

use std::fs;

use tempfile::TempDir;

use super::image::{Content, Image};
use super::process::Process;
use super::push;
use super::tls::Leaf;

/// The user that `bob`, `correct horse` is, as `htpasswd` writes it.
pub(crate) const USER: (&str, &str) = ("bob", "correct horse");
const HTPASSWD: &str = "bob:$2b$04$HXtGdCdO.d5TGnlScobxteQ1ngWxiOhNbPOKu1OBmjmtsXEDnHKuK\n";

/// A registry, which ends with the value.
pub(crate) struct Debian {
    process: Process,
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
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\n\
             storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:0'{tls}}}\n{auth}\n"
        );
        fs::write(path("config.yaml"), config).unwrap();
        let process = Process::serve(&folder.path().join("config.yaml"));
        Self {
            process,
            _config: folder,
        }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> &str {
        &self.process.address
    }

    /// Puts an image there by other means than the client that is tested.
    pub(crate) async fn push(&self, repository: &str, tag: &str, image: &Image) {
        push::image(&self.process.address, repository, tag, image).await;
    }

    pub(crate) async fn put(&self, repository: &str, tag: &str, manifest: &Content) {
        push::manifest(&self.process.address, repository, tag, manifest).await;
    }
}
