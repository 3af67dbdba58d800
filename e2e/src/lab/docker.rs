//! A Docker daemon of a test's own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use anyhow::{Context as _, Result, ensure};

use super::eventually;

/// A Docker daemon with folders of its own, so that nothing of the machine is touched. It ends when this is dropped, and with it the
/// containerd that it starts.
pub struct Docker {
    process: Child,
    host: String,
    log: PathBuf,
}

impl Docker {
    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    /// When there is none: Debian has it in `docker.io` and `docker-cli`.
    pub async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir(folder)?;
        let path = |name: &str| folder.join(name).display().to_string();
        let host = format!("unix://{}", path("socket"));
        let log = folder.join("log");
        let file = File::create(&log)?;
        // It ends even when the test is killed. This driver mounts nothing.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "dockerd", "--storage-driver", "vfs"])
            .args(["--iptables=false", "--bridge=none", "--host", &host])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid")])
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("dockerd")?;
        let docker = Self { process, host, log };
        eventually("Docker serves", async || docker.run(&["version"])).await;
        Ok(docker)
    }

    /// What `DOCKER_HOST` has to be.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Runs `docker`, and gives what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("docker");
        command.args(["--host", &self.host]).args(arguments);
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().context("docker")?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "docker {arguments:?}: {said}");
        Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Not killed: it has a containerd to end. Best effort: a failed test is not helped by another panic.
        let pid = self.process.id().to_string();
        let _ = Command::new("sh")
            .args(["-c", "kill \"$0\"", &pid])
            .status();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("---- log of Docker\n{log}");
        }
    }
}
