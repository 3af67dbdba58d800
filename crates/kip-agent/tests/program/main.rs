//! The program itself, as a client talks to it.
#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "what a test is made of may end it"
)]

mod agent;
mod flat;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use kip_agent::protocol::{Request, VERSION};

use agent::{Agent, PROGRAM};

#[test]
fn it_says_which_agent_it_is() {
    let output = Command::new(PROGRAM).arg("--version").output().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("kubectl-pull-image agent {version}\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let program = fs::read(PROGRAM).unwrap();
    let expected = expected.trim_end().as_bytes();
    let found = program.windows(expected.len()).filter(|it| *it == expected);
    assert_eq!(found.count(), 1, "hack/package.sh counts it");
}

#[test]
fn a_request_that_is_too_long_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::flat(folder.path(), &[]);
    let version: u32 = agent.get(&Request::Ping {});
    assert_eq!(version, VERSION);
    let mut input = agent.0.stdin.take().unwrap();
    // It may have ended before it was given all.
    let _ = input.write_all(&vec![b' '; 2 << 20]);
    let mut said = String::new();
    let errors = agent.0.stderr.as_mut().unwrap();
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(said, "kip-agent: a request of more than 1048576 bytes\n");
}

#[test]
fn a_folder_that_is_none_is_told_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (path, what) in [
        (file.path(), "it is no folder"),
        (Path::new("/gone"), "No such file"),
    ] {
        let output = Command::new(PROGRAM)
            .arg("flat")
            .arg(path)
            .arg("9")
            .output();
        let said = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(said.contains(what), "{said}");
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
}
