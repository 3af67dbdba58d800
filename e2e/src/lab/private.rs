//! A registry beside the cluster's own one: one that wants to know who asks and gives out what is in that, since both read the
//! same folder; or one that has images of its own, and asks nobody.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use super::cluster::Cluster;
use super::logs::RegistryLog;
use crate::registry::Registry;

/// Who may ask. All have the same password.
pub const USERS: [&str; 2] = ["one", "two"];
const PASSWORD: &str = "secret-word";
/// Of that password, by bcrypt.
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuUOabO4v2PoT/v47Y.znQK.9MsMDnesq";

/// The registry; it ends when this is dropped.
pub struct Private {
    /// `HOST:PORT`, for the nodes.
    pub address: String,
    folder: PathBuf,
    hosts: Vec<PathBuf>,
    process: Option<Child>,
}

impl Private {
    /// Starts it, and tells the nodes to speak plain HTTP with it.
    ///
    /// # Errors
    /// When the cluster is not a local one, or the registry's program is not there.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        Self::start_with(cluster, None, false).await
    }

    /// Starts one that has images of its own, and gives them to everybody.
    ///
    /// # Errors
    /// As [`Private::start`].
    pub async fn start_open(cluster: &Cluster) -> Result<Self> {
        Self::start_with(cluster, None, true).await
    }

    /// The client of one that is open.
    pub fn client(&self) -> Registry {
        Registry::new(&self.address)
    }

    /// Starts it with TLS, by an authority of its own that the nodes are told to trust.
    ///
    /// # Errors
    /// As [`Private::start`].
    pub async fn start_with_tls(cluster: &Cluster) -> Result<(Self, String)> {
        let (host, _) = cluster.registry.split_once(':').context("HOST:PORT")?;
        let own = rcgen::generate_simple_self_signed([host.to_owned()])?;
        let certificate = own.cert.pem();
        let pair = (certificate.as_str(), own.signing_key.serialize_pem());
        let private = Self::start_with(cluster, Some(pair), false).await?;
        Ok((private, certificate))
    }

    async fn start_with(
        cluster: &Cluster,
        tls: Option<(&str, String)>,
        is_open: bool,
    ) -> Result<Self> {
        let root = std::env::var("KIP_CLUSTER_DIR").context("this needs the local cluster")?;
        let root = Path::new(&root);
        let (host, _) = cluster.registry.split_once(':').context("HOST:PORT")?;
        let port = TcpListener::bind((host, 0))?.local_addr()?.port();
        let address = format!("{host}:{port}");
        let folder = std::env::temp_dir().join(format!("kip-e2e-registry-{port}"));
        fs::create_dir_all(&folder)?;
        let users = USERS.map(|user| format!("{user}:{HASH}\n")).concat();
        fs::write(folder.join("users"), users)?;
        let mut config = json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": root.join("registry")}},
            "auth": {"htpasswd": {"realm": "private", "path": folder.join("users")}},
            "http": {"addr": address, "secret": "of no use here"},
        });
        if is_open {
            config["storage"]["filesystem"]["rootdirectory"] = json!(folder.join("images"));
            // The program takes an empty section for one without a name.
            config.as_object_mut().map(|config| config.remove("auth"));
        }
        let mut scheme = "http";
        let mut trust = String::new();
        if let Some((certificate, key)) = tls {
            let [ca, key_file] = ["ca.crt", "key"].map(|name| folder.join(name));
            fs::write(&ca, certificate)?;
            fs::write(&key_file, key)?;
            config["http"]["tls"] = json!({"certificate": ca, "key": key_file});
            scheme = "https";
            trust = format!("ca = {:?}\n", ca.display().to_string());
        }
        fs::write(folder.join("registry.yaml"), config.to_string())?;
        let mut private = Self {
            address,
            folder,
            hosts: Vec::new(),
            process: None,
        };
        for node in cluster.nodes().await? {
            let hosts = root.join("n").join(node).join("registries");
            let hosts = hosts.join(&private.address);
            fs::create_dir_all(&hosts)?;
            let url = format!("{scheme}://{}", private.address);
            let text = format!(
                "server = \"{url}\"\n[host.\"{url}\"]\ncapabilities = [\"pull\", \"resolve\"]\n{trust}"
            );
            fs::write(hosts.join("hosts.toml"), text)?;
            private.hosts.push(hosts);
        }
        private.resume()?;
        Ok(private)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn resume(&mut self) -> Result<()> {
        let config = self.folder.join("registry.yaml");
        let log = || {
            File::options()
                .create(true)
                .append(true)
                .open(self.folder.join("log"))
        };
        let start = |program: &str| {
            Command::new(program)
                .arg("serve")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(log()?)
                .stderr(Stdio::null())
                .spawn()
        };
        let process = start("docker-registry").or_else(|_| start("registry"));
        let process = self
            .process
            .insert(process.context("no docker-registry in PATH")?);
        for _ in 0..200 {
            if TcpStream::connect(&self.address).is_ok() {
                return Ok(());
            }
            if let Some(status) = process.try_wait()? {
                bail!("the registry ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the registry does not serve at {}", self.address)
    }

    /// The access log, from now on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> Result<RegistryLog> {
        RegistryLog::open(&self.folder.join("log"))
    }

    /// Ends it, as a crash would.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Best effort: it may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// The same image as this one of the cluster's registry, as this registry has it.
    pub fn reference(&self, public: &str) -> String {
        let name = public.split_once('/').map_or(public, |(_, name)| name);
        format!("{}/{name}", self.address)
    }

    /// The pull secret of one of the users.
    ///
    /// # Panics
    /// Never: all of it is text.
    #[allow(clippy::expect_used, reason = "only literals and texts get here")]
    pub fn secret(&self, name: &str, user: &str) -> Secret {
        let entry = json!({"username": user, "password": PASSWORD});
        let auths = json!({"auths": {self.address.as_str(): entry}});
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": auths.to_string()},
        }))
        .expect("it is a Secret")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.stop();
        // Best effort: files of a cluster that goes, and in the folder for temporary ones.
        for hosts in &self.hosts {
            let _ = fs::remove_dir_all(hosts);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
