//! The daemon as a process on this machine, with a kubeconfig: for what needs no node.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

use super::cluster::repository;

/// A running daemon; it is killed when this is dropped, and its log printed if that is because a test has failed.
pub struct Daemon {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Daemon {
    /// Starts `bin/kip-daemon run` with these settings.
    ///
    /// # Errors
    /// When the program is not there: `make build` makes it.
    pub fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let program = repository().join("bin/kip-daemon");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log =
            std::env::temp_dir().join(format!("kip-daemon-{}-{port}.log", std::process::id()));
        let child = Command::new(&program)
            .args(["run", "--listen", &format!("127.0.0.1:{port}")])
            .envs(settings.iter().copied())
            .env("LOG_LEVEL", "debug")
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("{} (make build makes it)", program.display()))?;
        Ok(Self { child, port, log })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks its HTTP port: status and body; `None` while it cannot be reached.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut response = agent
            .get(format!("http://127.0.0.1:{}{path}", self.port))
            .call()
            .ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), text))
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// The operating system's.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Best effort: a test that has failed already is not helped by another panic.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- log of the daemon\n{}", self.log());
        }
        let _ = std::fs::remove_file(&self.log);
    }
}
