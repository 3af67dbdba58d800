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
    _mounts: Mounts,
}

impl Storage {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            root: folder.join("root"),
            run_root: folder.join("run"),
            _mounts: Mounts(folder.to_owned()),
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

/// What is mounted below a folder is unmounted when this goes: a driver leaves its folder mounted on itself, a test that fails leaves
/// more, and then the folder cannot be removed.
struct Mounts(PathBuf);

impl Drop for Mounts {
    fn drop(&mut self) {
        let Ok(folder) = self.0.canonicalize() else {
            return;
        };
        let all = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = all.lines().filter_map(|line| line.split(' ').nth(1));
        let below: Vec<_> = points
            .filter(|it| Path::new(it).starts_with(&folder))
            .collect();
        for point in below.iter().rev() {
            let _ = Command::new("umount")
                .args(["--lazy", point])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// A daemon with a folder of its own. It ends with the test.
pub(crate) struct Daemon {
    // In this order: it ends before what it mounted is unmounted.
    process: Process,
    _mounts: Mounts,
}

struct Process(Child);

impl Daemon {
    /// Starts it and waits until it serves.
    pub(crate) fn start(
        folder: &Path,
        program: &str,
        arguments: &[&str],
        serves: impl Fn() -> bool,
    ) -> Self {
        let path = folder.join("log");
        let log = std::fs::File::create(&path).unwrap();
        // It ends even when the test is killed.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", program])
            .args(arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Self {
            process: Process(process),
            _mounts: Mounts(folder.to_owned()),
        };
        for _ in 0..300 {
            if serves() {
                return daemon;
            }
            if daemon.process.0.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{program}: {}", std::fs::read_to_string(path).unwrap());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Debian's smallest system has no other `kill` than the shell's.
        let _ = Command::new("sh")
            .args(["-c", "kill \"$0\"", &self.0.id().to_string()])
            .status();
        for _ in 0..300 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the program ends well.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// Docker's daemon. It ends the containerd that it starts.
pub(crate) struct Dockerd {
    pub(crate) root: PathBuf,
    host: String,
    _daemon: Daemon,
}

impl Dockerd {
    pub(crate) fn start(folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (root, host) = (path("data"), format!("unix://{}", path("docker.sock")));
        let (exec, pid) = (path("exec"), path("pid"));
        let arguments = [
            ["--data-root", &root],
            ["--exec-root", &exec],
            ["--pidfile", &pid],
            ["--host", &host],
            ["--storage-driver", "overlay2"],
            ["--iptables=false", "--bridge=none"],
        ];
        let serves = || succeeds("docker", &["--host", &host, "version"]);
        let daemon = Daemon::start(folder, "dockerd", &arguments.concat(), serves);
        Self {
            root: root.into(),
            host,
            _daemon: daemon,
        }
    }

    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        run("docker", &[&["--host", &self.host], arguments].concat())
    }
}
