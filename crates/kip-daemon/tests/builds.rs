//! The program that `KIP_DAEMON_PROGRAM` names, built for another processor, beside the one that was built with these
//! tests. `hack/test.sh arm64` runs them, and the tests of the command line and of the golden files with that program.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "support/cases.rs"]
mod files;
mod support;
#[path = "support/tls.rs"]
mod tls;
#[path = "support/wrong.rs"]
mod wrong;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use support::{finish, output, program, text};
use wrong::{WRONG, long};

/// How long an emulated daemon may take to come to its first answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Without another program the tests would compare one with itself.
fn assert_another_is_named() {
    assert!(
        std::env::var_os("KIP_DAEMON_PROGRAM").is_some(),
        "KIP_DAEMON_PROGRAM names no program: run hack/test.sh arm64"
    );
}

/// Runs both and compares standard output, standard error and status.
fn assert_same<'a>(
    arguments: &[&str],
    environment: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
) {
    let theirs = output(arguments, environment.clone());
    let mut own = Command::new(env!("CARGO_BIN_EXE_kip-daemon"));
    let ours = finish(own.args(arguments).env_clear().envs(environment));
    for (theirs, ours) in [
        (&theirs.stdout, &ours.stdout),
        (&theirs.stderr, &ours.stderr),
    ] {
        assert_eq!(text(theirs), text(ours), "{arguments:?}");
    }
    assert_eq!(theirs.status, ours.status, "{arguments:?}");
}

#[test]
#[ignore = "needs a program for another processor: hack/test.sh arm64"]
fn every_golden_input_is_checked_and_rendered_to_the_same_bytes() {
    assert_another_is_named();
    let cases = files::cases("env");
    assert!(cases.len() >= 12, "only {} files", cases.len());
    for case in cases {
        let settings = files::settings(&case);
        let settings = || {
            settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
        };
        assert_same(&["check"], settings());
        assert_same(&["render"], settings());
        assert_same(&["render", "--output", "json"], settings());
    }
}

#[test]
#[ignore = "needs a program for another processor: hack/test.sh arm64"]
fn the_version_the_help_and_every_mistake_are_told_in_the_same_words() {
    assert_another_is_named();
    for argument in ["--version", "--help", "--no-such-option"] {
        assert_same(&[argument], []);
    }
    for (variable, value, _) in WRONG {
        assert_same(&["check"], [("IMAGES", "nginx"), (*variable, *value)]);
    }
    assert_same(&["check"], [("IMAGES", long('\u{e9}', "!").as_str())]);
}

/// The TLS library is assembly and C for each processor: nothing else of the program is.
#[test]
#[ignore = "needs a program for another processor: hack/test.sh arm64"]
fn it_reads_an_answer_over_tls_and_shows_its_certificate() {
    assert_another_is_named();
    let server = tls::Server::start();
    let kubeconfig = server.kubeconfig();
    let mut child = program(
        &["run", "--listen", "127.0.0.1:0"],
        [("IMAGES", "nginx"), ("KUBECONFIG", kubeconfig.as_str())],
    )
    .stderr(Stdio::piped())
    .spawn()
    .expect("the program starts");
    let log = BufReader::new(child.stderr.take().expect("it is piped"));
    let (line_tx, line) = channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            // The test may be over.
            let _ = line_tx.send(line);
        }
    });
    // The server has a page for everybody, which is no answer of an API server: who says so has read it.
    let first = std::iter::from_fn(|| line.recv_timeout(DEADLINE).ok())
        .find(|line| line.contains("WARN") || line.contains("ERROR"));
    child.kill().expect("it runs still");
    child.wait().expect("it ends");
    let first = first.expect("something is said of the page");
    assert!(first.contains("Error deserializing response"), "{first}");
    let said = server.said();
    assert!(said.contains("verify return:1"), "{said}");
}
