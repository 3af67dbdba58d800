//! A second registry, in Go, that keeps lists of referrers itself.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The registry, which ends with the value.
pub(crate) struct Second {
    child: Child,
    address: String,
}

/// The program, built once: two tests at a time would be in each other's way.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kip-registry-second");
        let built = Command::new("go")
            .args(["build", "-mod=readonly", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go"))
            .status()
            .expect("this test needs the Go toolchain: the command `go` must be in PATH");
        assert!(built.success(), "go build failed: {built}");
        program
    })
}

impl Second {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let mut child = Command::new(program())
            // Its end is the registry's end, also when this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("what was just built starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        Self {
            child,
            address: address.trim().to_owned(),
        }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> &str {
        &self.address
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Either fails only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
