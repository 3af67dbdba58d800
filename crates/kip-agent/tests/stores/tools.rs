//! The runtimes, each with folders of its own, so that nothing of the machine is touched.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs a program to its end and gives what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A store of containers/storage.
pub(crate) struct Storage {
    pub(crate) root: PathBuf,
    run_root: PathBuf,
}

impl Storage {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            root: folder.join("root"),
            run_root: folder.join("run"),
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let (root, run_root) = (self.root.to_str().unwrap(), self.run_root.to_str().unwrap());
        let own = [
            "--root",
            root,
            "--runroot",
            run_root,
            "--storage-driver",
            "overlay",
        ];
        run(program, &[&own, arguments].concat())
    }

    pub(crate) fn buildah(&self, arguments: &[&str]) -> String {
        self.run("buildah", arguments)
    }

    pub(crate) fn podman(&self, arguments: &[&str]) -> String {
        self.run("podman", arguments)
    }

    /// Copies an image out of the store.
    pub(crate) fn skopeo(&self, name: &str, to: &str, options: &[&str]) {
        let (root, run_root) = (self.root.display(), self.run_root.display());
        let from = format!("containers-storage:[overlay@{root}+{run_root}]{name}");
        run(
            "skopeo",
            &[&["copy", "--quiet"], options, &[&from, to]].concat(),
        );
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // The driver leaves its folder mounted on itself, and then it cannot be removed.
        let overlay = self.root.join("overlay");
        let _ = Command::new("umount")
            .arg(overlay)
            .stderr(Stdio::null())
            .status();
    }
}

/// A Docker daemon that ends with the test.
pub(crate) struct Dockerd {
    pub(crate) root: PathBuf,
    host: String,
    daemon: Child,
}

impl Dockerd {
    pub(crate) fn start(folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (root, host) = (path("data"), format!("unix://{}", path("docker.sock")));
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let daemon = Command::new("dockerd")
            .args([
                "--data-root",
                &root,
                "--exec-root",
                &path("exec"),
                "--pidfile",
                &path("pid"),
            ])
            .args([
                "--host",
                &host,
                "--iptables=false",
                "--bridge=none",
                "--storage-driver",
                "overlay2",
            ])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let dockerd = Self {
            root: root.into(),
            host,
            daemon,
        };
        for _ in 0..300 {
            let version = Command::new("docker")
                .args(["--host", &dockerd.host, "version"])
                .output();
            if version.unwrap().status.success() {
                return dockerd;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!(
            "dockerd: {}",
            std::fs::read_to_string(folder.join("log")).unwrap()
        );
    }

    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        run("docker", &[&["--host", &self.host], arguments].concat())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // It ends the containerd that it started.
        let _ = Command::new("kill")
            .arg(self.daemon.id().to_string())
            .status();
        let _ = self.daemon.wait();
    }
}
