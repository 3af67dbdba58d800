//! The Go modules, as programs that are asked over pipes.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// What the programs print for what is refused.
pub(crate) const REFUSED: &str = "!";

/// Asks one of the programs of `tests/go` for all lines at once.
pub(crate) fn ask(
    program: &str,
    lines: impl ExactSizeIterator<Item = String> + Send,
) -> Vec<String> {
    let asked = lines.len();
    let mut program = Command::new(build(program))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program that was just built starts");
    let mut stdin = BufWriter::new(program.stdin.take().expect("a pipe"));
    let stdout = BufReader::new(program.stdout.take().expect("a pipe"));
    let answers: Vec<_> = thread::scope(|scope| {
        // Both pipes at once, or each side waits for the other when they are full.
        scope.spawn(move || {
            for line in lines {
                writeln!(stdin, "{line}").expect("the program reads");
            }
        });
        stdout
            .lines()
            .map(|line| line.expect("the program prints text"))
            .collect()
    });
    let status = program.wait().expect("the program ends");
    assert!(status.success(), "the Go program failed: {status}");
    assert_eq!(answers.len(), asked, "one answer for each line");
    answers
}

fn build(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kip-image-{program}"));
    let status = Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&path)
        .arg(format!("./{program}"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go"))
        .status()
        .expect("this test needs the Go toolchain: the command `go` must be in PATH");
    assert!(status.success(), "go build failed: {status}");
    path
}

/// A field for the programs.
pub(crate) fn hex(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    text.iter()
        .fold(String::with_capacity(2 * text.len()), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a String takes any text");
            hex
        })
}
