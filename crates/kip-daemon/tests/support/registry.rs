//! A real registry with images: `docker-registry` (Debian's package), filled by this repository's own client, which has
//! tests of its own beside it.

#[path = "../../../kip-registry/tests/it/support/process.rs"]
mod process;

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use kip_image::{Digest, Reference};
use kip_registry::media_type::{OCI_INDEX, OCI_MANIFEST};
use kip_registry::{Client, Credential, Manifest, Settings};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use process::Process;

/// The user that a registry with a password lets in, as `htpasswd` writes it.
pub(crate) const USER: (&str, &str) = ("bob", "correct horse");
const HTPASSWD: &str = "bob:$2b$04$HXtGdCdO.d5TGnlScobxteQ1ngWxiOhNbPOKu1OBmjmtsXEDnHKuK\n";

pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A registry of one test; it ends, and what is in it goes, with the value.
pub(crate) struct Registry {
    process: Process,
    folder: TempDir,
    runtime: Runtime,
    pub(crate) client: Client,
    pub(crate) credentials: Vec<Credential>,
}

impl Registry {
    /// One that lets anybody in.
    pub(crate) fn open() -> Self {
        Self::start("", Vec::new())
    }

    /// One that wants the password of [`USER`].
    pub(crate) fn closed() -> Self {
        let credentials = vec![Credential::basic(USER.0, USER.1)];
        Self::start(
            "auth: {htpasswd: {realm: test, path: FOLDER/htpasswd}}",
            credentials,
        )
    }

    /// One that speaks TLS, by a certificate for 127.0.0.1 that only who has the file `ca.crt` trusts.
    #[allow(dead_code, reason = "one of two tests that have this module needs it")]
    pub(crate) fn with_tls() -> Self {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let own = own.expect("a certificate");
        let tls = "addr: '127.0.0.1:0', tls: {certificate: FOLDER/ca.crt, key: FOLDER/key}";
        let files = [
            ("ca.crt", own.cert.pem()),
            ("key", own.signing_key.serialize_pem()),
        ];
        Self::serve(tls, "", Vec::new(), &files)
    }

    /// A file beside the registry.
    #[allow(dead_code, reason = "one of two tests that have this module needs it")]
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(auth: &str, credentials: Vec<Credential>) -> Self {
        Self::serve("addr: '127.0.0.1:0'", auth, credentials, &[])
    }

    fn serve(
        http: &str,
        auth: &str,
        credentials: Vec<Credential>,
        files: &[(&str, String)],
    ) -> Self {
        let folder = TempDir::with_prefix("kip-daemon-").expect("a temporary folder");
        fs::write(folder.path().join("htpasswd"), HTPASSWD).expect("the password file");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: FOLDER/data}}}}\n\
             http: {{{http}}}\n"
        );
        let path = folder.path().display().to_string();
        let config = (config + auth).replace("FOLDER", &path);
        fs::write(folder.path().join("config.yaml"), config).expect("the registry's config");
        let process = Process::serve(&folder.path().join("config.yaml"));
        let mut settings = Settings::default();
        match files {
            [] => drop(settings.plain_http.insert(process.address.clone())),
            [(_, ca), ..] => settings.extra_ca.push(ca.clone().into_bytes()),
        }
        Self {
            process,
            folder,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            client: Client::new(settings).expect("settings of a test"),
            credentials,
        }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> &str {
        &self.process.address
    }

    /// The reference of what is there by this name.
    pub(crate) fn reference(&self, name: &str) -> Reference {
        let text = format!("{}/{name}", self.host());
        Reference::parse(&text).expect("a reference of a test")
    }

    /// Waits for what is asked of it.
    pub(crate) fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }

    fn blob(&self, name: &str, media_type: &str, bytes: &[u8]) -> Value {
        let (reference, digest) = (self.reference(name), sha256(bytes));
        let bytes = Bytes::copy_from_slice(bytes);
        let size = bytes.len() as u64;
        self.wait(
            self.client
                .upload(&reference, &digest, size, &bytes, &self.credentials),
        )
        .expect("the registry takes it");
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
    }

    fn manifest(&self, name: &str, media_type: &str, content: &Value) -> Value {
        let bytes = Bytes::from(content.to_string());
        let manifest = Manifest {
            digest: sha256(&bytes),
            media_type: media_type.to_owned(),
            bytes,
        };
        let reference = self.reference(name);
        self.wait(
            self.client
                .put_manifest(&reference, &manifest, &self.credentials),
        )
        .expect("the registry takes it");
        let (digest, size) = (manifest.digest.to_string(), manifest.bytes.len());
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// Puts an artifact there, and returns what an index says of it.
    pub(crate) fn artifact(
        &self,
        name: &str,
        config: (&str, &str),
        layers: (&str, &[&[u8]]),
    ) -> Value {
        let config = self.blob(name, config.0, config.1.as_bytes());
        let blobs = layers.1.iter();
        let layers: Vec<Value> = blobs
            .map(|layer| self.blob(name, layers.0, layer))
            .collect();
        let content = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers,
        });
        self.manifest(name, OCI_MANIFEST, &content)
    }

    /// Puts an image for an architecture there.
    pub(crate) fn image(&self, name: &str, architecture: &str, layers: &[&[u8]]) -> Value {
        let config = json!({"os": "linux", "architecture": architecture}).to_string();
        self.artifact(name, (CONFIG, &config), (LAYER, layers))
    }

    /// Puts an index there, of manifests and their platforms: `OS/ARCHITECTURE`, or nothing.
    pub(crate) fn index(&self, name: &str, manifests: &[(&Value, &str)]) -> Value {
        let manifests: Vec<Value> = manifests
            .iter()
            .map(|(manifest, platform)| {
                let mut manifest = (*manifest).clone();
                if let Some((os, architecture)) = platform.split_once('/') {
                    manifest["platform"] = json!({"os": os, "architecture": architecture});
                }
                manifest
            })
            .collect();
        let content = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        self.manifest(name, OCI_INDEX, &content)
    }

    /// Puts an image for both architectures there, with these layers for either.
    pub(crate) fn both(&self, name: &str, amd64: &[&[u8]], arm64: &[&[u8]]) -> Value {
        let amd64 = self.image(name, "amd64", amd64);
        let arm64 = self.image(name, "arm64", arm64);
        self.index(name, &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")])
    }

    /// Takes something out that is named still: `manifests/revisions` or `layers`.
    pub(crate) fn lose(&self, repository: &str, kind: &str, digest: &str) {
        let mut path: PathBuf = self
            .folder
            .path()
            .join("data/docker/registry/v2/repositories");
        path.extend([repository, &format!("_{kind}"), &digest.replace(':', "/")]);
        fs::remove_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    let hash = Sha256::digest(bytes);
    let hex = hash
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    Digest::parse(&format!("sha256:{hex}")).expect("a digest")
}
