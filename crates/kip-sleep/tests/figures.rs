//! What the program costs: its size, its memory, its threads, and the time from a signal to its end.
//!
//! `cargo test -p kip-sleep --features freestanding --profile sleep --test figures -- --nocapture` prints the figures
//! and checks the limits. It needs root (a PID namespace) and a C compiler, `cc`.

#[path = "support/process.rs"]
mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use process::{KIP_SLEEP, Sleeper, command, field};

/// Bytes of a page.
const MOST_BYTES: usize = 4_096;
/// Four pages: code, and two or three of stack.
const MOST_RESIDENT_KB: u64 = 16;

fn resident_kb(sleeper: &Sleeper) -> u64 {
    let rollup = sleeper.proc("smaps_rollup");
    field(&rollup, "Rss:")
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number of kB")
}

fn threads(sleeper: &Sleeper) -> u64 {
    field(&sleeper.proc("status"), "Threads:")
        .trim()
        .parse()
        .expect("a number")
}

#[test]
fn it_is_no_larger_than_a_page() {
    let bytes = fs::metadata(&*KIP_SLEEP).expect("it is built").len();
    println!("figure: bytes {bytes}");
    assert!(
        bytes <= MOST_BYTES as u64,
        "{bytes} bytes, and {MOST_BYTES} are the most"
    );
}

#[test]
fn it_has_one_thread_and_almost_no_memory() {
    let sleeper = Sleeper::of("2562047h");
    let (resident, threads) = (resident_kb(&sleeper), threads(&sleeper));
    println!("figure: resident_kb {resident}");
    println!("figure: threads {threads}");
    assert_eq!(threads, 1);
    assert!(
        resident <= MOST_RESIDENT_KB,
        "{resident} kB\n{}",
        sleeper.proc("smaps")
    );
}

/// Program headers: type and flags.
fn segments(elf: &[u8]) -> Vec<(u32, u32)> {
    let number = |at: usize, size: usize| {
        elf[at..at + size]
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | usize::from(byte))
    };
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "64 bits, little endian");
    let (start, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    let word = |at| u32::try_from(number(at, 4)).expect("4 bytes");
    (0..count)
        .map(|index| start + index * size)
        .map(|at| (word(at), word(at + 4)))
        .collect()
}

#[test]
fn nothing_is_writable_and_executable_or_linked_at_run_time() {
    const LOAD: u32 = 1;
    const GNU_STACK: u32 = 0x6474_e551;
    const EXECUTE: u32 = 1;
    const WRITE: u32 = 2;
    const READ: u32 = 4;
    let segments = segments(&fs::read(&*KIP_SLEEP).expect("it is built"));
    assert_eq!(
        segments,
        [(LOAD, READ | EXECUTE), (GNU_STACK, READ | WRITE)]
    );
}

/// The same program in C, built statically.
fn peer() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peer");
    let built = Command::new("cc")
        .args(["-O2", "-static", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/peer.c"))
        .status()
        .expect("`cc` must be installed for this test");
    assert!(built.success(), "cc: {built}");
    program
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn as_pid_1_it_ends_as_fast_after_a_signal_as_a_program_in_c() {
    const ROUNDS: usize = 20;
    let peer = peer();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, so that what else the machine does falls on both.
    for _ in 0..ROUNDS {
        let sleeper = Sleeper::start_as_pid_1(command(&KIP_SLEEP).arg("1h"));
        ours.push(sleeper.time_to_end_after(libc::SIGTERM));
        let sleeper = Sleeper::start_as_pid_1(&mut command(&peer));
        theirs.push(sleeper.time_to_end_after(libc::SIGTERM));
    }
    let peer_resident = resident_kb(&Sleeper::start(&mut command(&peer)));
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "figure: c_bytes {}",
        fs::metadata(&peer).expect("it is built").len()
    );
    println!("figure: c_resident_kb {peer_resident}");
    println!("figure: signal_to_exit_us {}", ours.as_micros());
    println!("figure: c_signal_to_exit_us {}", theirs.as_micros());
    assert!(
        ours <= theirs * 2 + Duration::from_millis(5),
        "{ours:?} from the signal to the end, and {theirs:?} in C"
    );
}
