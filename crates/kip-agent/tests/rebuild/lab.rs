//! Where layers are made and unpacked.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::cases::Case;

/// A folder of its own with the Go program.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    corpus: PathBuf,
}

/// A layer as a builder wrote it, and as it lies on a node.
pub(crate) struct Layer {
    pub(crate) tar: Vec<u8>,
    pub(crate) diff_id: String,
    /// Its files.
    pub(crate) top: PathBuf,
    /// Those of the layer below it.
    lower: Vec<PathBuf>,
    pub(crate) created: Vec<i64>,
    work: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let corpus = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&corpus)
            .arg(".")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"))
            .env("GOWORK", "off")
            .env("GOTOOLCHAIN", "local")
            .status()
            .expect("`go` must be installed for this test");
        assert!(built.success(), "go build: {built}");
        // Not a tmpfs: it has no attributes of users.
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        Self { folder, corpus }
    }

    /// Runs the case's script, which leaves `layer.tar`, then unpacks it as a node does. `lower.tar`, where there is one, is what is
    /// below. Where it leaves the folder `fs`, that is the layer's, unpacked or not.
    pub(crate) fn make(&self, case: &Case) -> Layer {
        let name: String = case
            .name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let work = self.folder.path().join(name);
        fs::create_dir(&work).unwrap();
        self.shell(&work, case.script);
        let (top, below) = (work.join("fs"), work.join("lower"));
        let mut lower = Vec::new();
        if work.join("lower.tar").exists() {
            if !below.exists() {
                self.unpack(&below, &work.join("lower.tar"), &[]);
            }
            lower.push(below);
        }
        if !top.exists() {
            self.unpack(&top, &work.join("layer.tar"), &lower);
        }
        self.shell(&work, case.then);
        let tar = fs::read(work.join("layer.tar")).unwrap();
        let created = fs::read_to_string(work.join("created")).unwrap_or_default();
        let created = created.split_whitespace().map(|it| it.parse().unwrap());
        Layer {
            diff_id: digest(&tar),
            tar,
            top,
            lower,
            created: created.collect(),
            work,
        }
    }

    fn unpack(&self, folder: &Path, tar: &Path, lower: &[PathBuf]) {
        fs::create_dir(folder).unwrap();
        let mut command = Command::new(&self.corpus);
        let done = command
            .arg("apply")
            .arg(folder)
            .arg(tar)
            .args(lower)
            .status();
        assert!(done.unwrap().success(), "{} is not unpacked", tar.display());
    }

    fn shell(&self, work: &Path, script: &str) -> String {
        let prelude = include_str!("prelude.sh");
        let output = Command::new("bash")
            .arg("-ec")
            .arg(format!("{prelude}\n{script}"))
            .current_dir(work)
            .env("CORPUS", &self.corpus)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether the tar unpacks to the same files.
    pub(crate) fn compare(&self, layer: &Layer, tar: &[u8]) -> Result<(), String> {
        let (again, folder) = (layer.work.join("again.tar"), layer.work.join("again"));
        fs::write(&again, tar).unwrap();
        self.unpack(&folder, &again, &layer.lower);
        let files = |folder: &Path| self.shell(folder, "files");
        let (expected, found) = (files(&layer.top), files(&folder));
        let mut difference = String::new();
        for (mark, one, other) in [('-', &expected, &found), ('+', &found, &expected)] {
            for line in one
                .lines()
                .filter(|line| !other.lines().any(|it| it == *line))
            {
                writeln!(difference, "{mark} {line}").unwrap();
            }
        }
        if difference.is_empty() {
            Ok(())
        } else {
            Err(format!("other files:\n{difference}"))
        }
    }
}

/// `sha256:…`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
