//! The Go module, as a program that is asked over pipes.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// What the Go module makes of an input.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `ParseNormalizedNamed` and `ParseDockerRef`, which accept the same.
    pub(crate) named: Option<Parts>,
    /// `ParseAnyReference`: the printed form, and whether it is a digest alone.
    pub(crate) any: Option<(String, bool)>,
}

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: String,
    pub(crate) printed: String,
    pub(crate) familiar: String,
    pub(crate) pulled: String,
}

/// What the program prints for the fields of something refused.
const REFUSED: &str = "!";

/// Asks for all inputs at once.
pub(crate) fn ask(inputs: &[String]) -> Vec<Answer> {
    let mut program = Command::new(build())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program that was just built starts");
    let mut stdin = BufWriter::new(program.stdin.take().expect("a pipe"));
    let stdout = BufReader::new(program.stdout.take().expect("a pipe"));
    let answers: Vec<_> = thread::scope(|scope| {
        // Both pipes at once, or each side waits for the other when they are full.
        scope.spawn(move || {
            for input in inputs {
                writeln!(stdin, "{}", hex(input)).expect("the program reads");
            }
        });
        stdout
            .lines()
            .map(|line| answer(&line.expect("the program prints text")))
            .collect()
    });
    let status = program.wait().expect("the program ends");
    assert!(status.success(), "the Go program failed: {status}");
    assert_eq!(answers.len(), inputs.len(), "one answer for each input");
    answers
}

fn build() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kip-image-reference");
    let status = Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go"))
        .status()
        .expect("this test needs the Go toolchain: the command `go` must be in PATH");
    assert!(status.success(), "go build failed: {status}");
    program
}

fn hex(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(2 * text.len()), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a String takes any text");
            hex
        })
}

fn answer(line: &str) -> Answer {
    let fields: [&str; 9] = line
        .split('\t')
        .collect::<Vec<_>>()
        .try_into()
        .expect("nine fields");
    let [
        registry,
        repository,
        tag,
        digest,
        printed,
        familiar,
        pulled,
        any,
        is_id,
    ] = fields.map(str::to_owned);
    assert_eq!(
        printed == REFUSED,
        pulled == REFUSED,
        "accepted in one form only: {line}"
    );
    let accepted = printed != REFUSED;
    let parts = Parts {
        registry,
        repository,
        tag,
        digest,
        printed,
        familiar,
        pulled,
    };
    Answer {
        named: accepted.then_some(parts),
        any: (any != REFUSED).then_some((any, is_id == "true")),
    }
}
