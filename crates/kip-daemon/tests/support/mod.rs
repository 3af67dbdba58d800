//! What the tests of the built program share.

use std::env;
use std::io::Read as _;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// How long a program that has nothing to wait for may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The program with an environment that holds nothing but these variables.
///
/// It is this build's, or that which `KIP_DAEMON_PROGRAM` names, such as one for another processor; it runs by itself,
/// or by the words of `KIP_DAEMON_RUNNER`, such as `/usr/bin/qemu-aarch64`.
pub(crate) fn program<'a>(
    arguments: &[&str],
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Command {
    let program = env::var("KIP_DAEMON_PROGRAM");
    let program = program
        .as_deref()
        .unwrap_or(env!("CARGO_BIN_EXE_kip-daemon"));
    let runner = env::var("KIP_DAEMON_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().chain([program]);
    let mut command = Command::new(words.next().expect("the program at least"));
    command
        .args(words)
        .args(arguments)
        .env_clear()
        .envs(environment);
    command
}

/// Runs it to its end, which must come soon.
pub(crate) fn output<'a>(
    arguments: &[&str],
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Output {
    finish(&mut program(arguments, environment))
}

/// Runs a program to its end, which must come soon.
pub(crate) fn finish(command: &mut Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stderr = child.stderr.take().expect("it is piped");
    let mut stdout = child.stdout.take().expect("it is piped");
    let (ended_tx, ended) = channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let read = stderr.read_to_end(&mut said);
        // The test may have given up.
        let _ = ended_tx.send(read.map(|_| said));
    });
    // A pipe holds only so much: it has to be emptied while the program writes.
    let printed = std::thread::spawn(move || {
        let mut printed = Vec::new();
        stdout.read_to_end(&mut printed).map(|_| printed)
    });
    let Ok(said) = ended.recv_timeout(DEADLINE) else {
        child.kill().expect("it runs still");
        child.wait().expect("it ends");
        panic!("{command:?} has not ended after {DEADLINE:?}");
    };
    Output {
        status: child.wait().expect("it ends"),
        stdout: printed.join().expect("no panic").expect("it can be read"),
        stderr: said.expect("it can be read"),
    }
}

/// Standard output or standard error as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program writes UTF-8")
}
