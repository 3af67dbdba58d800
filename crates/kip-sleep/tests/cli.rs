//! The built program: exit status, messages, time and signals. `tests/install.rs` has the other half.

#[path = "support/cases.rs"]
mod cases;
#[path = "support/process.rs"]
mod process;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use cases::CASES;
use process::{KIP_SLEEP, Sleeper, command, emulated, words};

fn kip_sleep() -> Command {
    command(&KIP_SLEEP)
}

fn run(arguments: &[&[u8]]) -> Output {
    let arguments = arguments.iter().map(|argument| OsStr::from_bytes(argument));
    kip_sleep().args(arguments).output().expect("it starts")
}

#[track_caller]
fn refused(arguments: &[&[u8]], first_line: &[u8]) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(255), "{:?}", output.status);
    assert!(output.stdout.is_empty());
    let mut lines = output.stderr.split(|&byte| byte == b'\n');
    let line = lines.next().unwrap_or_default();
    assert_eq!(line, first_line, "{}", line.escape_ascii());
    assert!(
        lines
            .next()
            .is_some_and(|line| line.starts_with(b"usage: kip-sleep DURATION"))
    );
}

#[test]
fn wrong_arguments_end_with_255_and_are_named_on_standard_error() {
    refused(&[], b"kip-sleep: no DURATION given");
    refused(&[b"install"], b"kip-sleep: no TARGET given to \"install\"");
    refused(
        &[b"1ns", b"2s", b"3s"],
        b"kip-sleep: unexpected argument \"3s\"",
    );
    refused(
        &[b"1ns", b"2"],
        b"kip-sleep: missing unit in duration \"2\"",
    );
    refused(
        &[b"install", b"/nowhere/a", b"b", b"c"],
        b"kip-sleep: unexpected argument \"b\"",
    );
    refused(&[b"1d"], b"kip-sleep: unknown unit in duration \"1d\"");
    refused(
        &[b"1\x1b[2J\n"],
        b"kip-sleep: unknown unit in duration \"1?[2J?\"",
    );
}

#[test]
fn an_argument_longer_than_the_buffer_is_named_whole() {
    let long = [b'1'; 5_000];
    let line = [b"kip-sleep: invalid duration \"", &long[..], b"\""].concat();
    refused(&[&long], &line);
}

#[test]
fn every_duration_of_the_table_is_accepted_or_refused_as_by_go() {
    for (text, expected) in CASES.iter().filter(|(text, _)| !text.contains(&0)) {
        match *expected {
            Err(error) => {
                let shown: Vec<u8> = text
                    .iter()
                    .map(|&byte| if byte.is_ascii_control() { b'?' } else { byte })
                    .collect();
                let line = [
                    b"kip-sleep: ",
                    error.reason().as_bytes(),
                    b" \"",
                    &shown,
                    b"\"",
                ]
                .concat();
                refused(&[text], &line);
            }
            Ok(nanoseconds) if nanoseconds < 20_000_000 => {
                let output = run(&[text]);
                assert!(
                    output.status.success(),
                    "{}: {}",
                    text.escape_ascii(),
                    output.status
                );
                assert!(output.stderr.is_empty());
            }
            Ok(nanoseconds) => {
                let expected = Duration::from_nanos(nanoseconds.unsigned_abs());
                if expected < Duration::from_secs(60) {
                    continue; // Might be over before one has looked; the next test has such times.
                }
                let before = Instant::now();
                let sleeper = Sleeper::start(kip_sleep().arg(OsStr::from_bytes(text)));
                let asked = sleeper.timeout().expect("it waits");
                let between = before.elapsed();
                assert!(
                    asked <= expected && asked + between >= expected,
                    "{} waits {asked:?}, not {expected:?}",
                    text.escape_ascii()
                );
                sleeper.signal(libc::SIGTERM);
                assert!(sleeper.end().success());
            }
        }
    }
}

#[test]
fn it_sleeps_as_long_as_it_should_and_not_much_longer() {
    for milliseconds in [30, 100] {
        let expected = Duration::from_millis(milliseconds);
        let took = (0..7).map(|_| {
            let start = Instant::now();
            let output = run(&[format!("{milliseconds}ms").as_bytes()]);
            let took = start.elapsed();
            assert!(output.status.success(), "{}", output.status);
            assert!(took >= expected, "{took:?} are less than {expected:?}");
            took
        });
        // The quickest: whatever else the machine does is no fault of the program.
        let quickest = took.min().expect("seven");
        assert!(
            quickest < expected + Duration::from_millis(25),
            "{quickest:?} for {expected:?}"
        );
    }
}

/// Signals that do nothing by default.
const IDLE: [i32; 3] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG];
/// Signals that stop a process by default, but for STOP itself.
const STOPPING: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
/// Signals that an emulator's C library takes for itself, so that the program never sees them.
const EMULATOR_S_OWN: [i32; 2] = [32, 33];

#[test]
fn each_signal_but_those_ends_it_with_status_0() {
    let mut spared = [&IDLE[..], &STOPPING, &[libc::SIGKILL, libc::SIGSTOP]].concat();
    let mut count = 56;
    if emulated() {
        spared.extend(EMULATOR_S_OWN);
        count -= EMULATOR_S_OWN.len();
    }
    let ending: Vec<_> = (1..=64).filter(|signal| !spared.contains(signal)).collect();
    assert_eq!(ending.len(), count);
    for signal in ending {
        let sleeper = Sleeper::of("1h");
        sleeper.signal(signal);
        let status = sleeper.end();
        assert_eq!(status.code(), Some(0), "signal {signal}: {status}");
    }
}

#[test]
fn after_a_signal_it_lingers_and_a_second_one_ends_that() {
    let lingering = |time| Sleeper::start(command(&KIP_SLEEP).args(["1h", time]));
    let sleeper = lingering("300ms");
    let start = Instant::now();
    sleeper.signal(libc::SIGTERM);
    assert!(sleeper.end().success());
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");

    let sleeper = lingering("1h");
    // Two, as one that has not been taken yet is not there twice.
    sleeper.signal(libc::SIGTERM);
    sleeper.signal(libc::SIGINT);
    assert!(sleeper.end().success());
}

#[test]
fn signals_that_mean_nothing_do_not_end_it() {
    let sleeper = Sleeper::of("1h");
    for signal in IDLE {
        sleeper.signal(signal);
        sleeper.wait_until("sleeps on", || sleeper.waits());
    }
    sleeper.signal(libc::SIGTERM);
    assert!(sleeper.end().success());
}

#[test]
fn stopped_and_continued_it_sleeps_for_the_rest_of_its_time() {
    let sleeper = Sleeper::of("1h");
    for signal in STOPPING.into_iter().chain([libc::SIGSTOP]) {
        let before = sleeper.timeout().expect("it waits");
        sleeper.signal(signal);
        sleeper.wait_until("is stopped", || sleeper.state() == 'T');
        sleeper.signal(libc::SIGCONT);
        sleeper.wait_until("sleeps on", || sleeper.waits());
        let after = sleeper.timeout().expect("it waits");
        assert!(
            after < before,
            "signal {signal}: {after:?} left, and {before:?} before"
        );
        assert!(
            before < after + Duration::from_secs(60),
            "{before:?}, {after:?}"
        );
    }
    sleeper.signal(libc::SIGTERM);
    assert!(sleeper.end().success());
}

#[test]
fn a_stop_does_not_make_the_sleep_longer_or_shorter() {
    let start = Instant::now();
    let sleeper = Sleeper::of("300ms");
    sleeper.signal(libc::SIGSTOP);
    sleeper.wait_until("is stopped", || sleeper.state() == 'T');
    sleeper.signal(libc::SIGCONT);
    assert!(sleeper.end().success());
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_signal_that_the_parent_ignored_or_blocked_ends_it() {
    // A shell's `trap '' TERM` is inherited, as nohup's HUP is.
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "trap '' TERM; exec \"$@\" 1h", "sh"])
        .args(words(&KIP_SLEEP));
    let sleeper = Sleeper::start(&mut shell);
    sleeper.signal(libc::SIGTERM);
    assert!(sleeper.end().success());
}

#[test]
fn as_pid_1_the_stop_signals_of_images_end_it() {
    let real_time = libc::SIGRTMIN() + 3;
    let stop_signals = [
        libc::SIGTERM,
        libc::SIGQUIT,
        libc::SIGWINCH,
        libc::SIGINT,
        libc::SIGUSR1,
    ];
    for signal in stop_signals.into_iter().chain([real_time, 34, 37]) {
        let sleeper = Sleeper::start_as_pid_1(kip_sleep().arg("1h"));
        sleeper.signal(signal);
        let status = sleeper.end();
        assert_eq!(status.code(), Some(0), "signal {signal}: {status}");
    }
}
