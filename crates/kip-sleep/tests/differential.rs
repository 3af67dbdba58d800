//! The library against Go's own `time.ParseDuration`, on the table and on generated texts.
//!
//! `cargo test -p kip-sleep --test differential -- --ignored`. The number of texts is
//! `KIP_SLEEP_DIFFERENTIAL_INPUTS` (100000), the first of them `KIP_SLEEP_DIFFERENTIAL_SEED` (1).

#[path = "support/cases.rs"]
mod cases;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use cases::CASES;
use kip_sleep::duration::parse;

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % limit
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }
}

const UNITS: &[&[u8]] = &[
    b"ns",
    b"us",
    b"\xc2\xb5s",
    b"\xce\xbcs",
    b"ms",
    b"s",
    b"m",
    b"h",
];
const NO_UNITS: &[&[u8]] = &[
    b"",
    b"d",
    b"S",
    b"\xb5s",
    b"\xc2s",
    b"\x00s",
    b"sec",
    b"min",
    b"nss",
    b" ",
    b"-",
    b"+",
    b"\xff\xfe\xfd\xfc",
];
/// Numbers beside the limits of 63 and 64 bits, in several units.
const EDGES: &[&[u8]] = &[
    b"9223372036854775807",
    b"9223372036854775808",
    b"9223372036854775809",
    b"922337203685477580",
    b"922337203685477581",
    b"9223372036854775",
    b"9223372036854",
    b"9223372036",
    b"153722867",
    b"2562047",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775799",
    b"92233720368547758079",
];

fn digits(random: &mut Random, text: &mut Vec<u8>) {
    if random.one_in(5) {
        text.extend_from_slice(random.pick(EDGES));
        if random.one_in(2)
            && let Some(last) = text.last_mut()
        {
            *last = b'0' + u8::try_from(random.below(10)).expect("a digit");
        }
        return;
    }
    let most = if random.one_in(6) { 40 } else { 9 };
    for _ in 0..random.below(most + 1) {
        let digit = if random.one_in(3) {
            0
        } else {
            random.below(10)
        };
        text.push(b'0' + u8::try_from(digit).expect("a digit"));
    }
}

fn duration(random: &mut Random) -> Vec<u8> {
    let mut text = Vec::new();
    if random.one_in(3) {
        text.extend_from_slice(random.pick(&[b"-", b"+", b"-", b"--", b" "]));
    }
    for _ in 0..=random.below(3) {
        digits(random, &mut text);
        if random.one_in(2) {
            text.push(b'.');
            digits(random, &mut text);
        }
        let units = if random.one_in(12) { NO_UNITS } else { UNITS };
        text.extend_from_slice(random.pick(units));
    }
    // Some are damaged: a byte more, less or another.
    if random.one_in(8) && !text.is_empty() {
        let place = random.below(text.len());
        let byte = random.next().to_le_bytes()[7];
        match random.below(3) {
            0 => text.insert(place, byte),
            1 => drop(text.remove(place)),
            _ => text[place] = byte,
        }
    }
    text
}

fn setting(name: &str, default: u64) -> u64 {
    let Ok(value) = env::var(name) else {
        return default;
    };
    let number = value.parse();
    assert!(
        number.is_ok(),
        "{name}: {value:?} is not a number, e.g. {default}"
    );
    number.unwrap_or(default)
}

/// What Go says to each text, one line each.
fn go_answers(texts: &[Vec<u8>]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differential");
    fs::create_dir_all(&folder).expect("a folder for the Go program");
    let program = folder.join("durations");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go"))
        .env("GOWORK", "off")
        .env("GOTOOLCHAIN", "local")
        .status()
        .expect("`go` must be installed for this test");
    assert!(built.success(), "go build: {built}");
    let mut lines = String::new();
    for text in texts {
        for byte in text {
            write!(lines, "{byte:02x}").expect("a string takes everything");
        }
        lines.push('\n');
    }
    let input = folder.join("texts");
    fs::write(&input, lines).expect("the texts are written");
    let output = Command::new(program)
        .stdin(fs::File::open(input).expect("the texts are read"))
        .stderr(Stdio::inherit())
        .output()
        .expect("the Go program runs");
    assert!(output.status.success(), "the Go program: {}", output.status);
    let answers = String::from_utf8(output.stdout).expect("ASCII");
    answers.lines().map(str::to_owned).collect()
}

fn our_answer(text: &[u8]) -> String {
    parse(text).map_or_else(
        |error| format!("{error:?}"),
        |nanoseconds| nanoseconds.to_string(),
    )
}

#[test]
#[ignore = "needs go: `cargo test -p kip-sleep --test differential -- --ignored`"]
fn go_and_we_read_every_duration_alike() {
    let count = setting("KIP_SLEEP_DIFFERENTIAL_INPUTS", 100_000);
    let seed = setting("KIP_SLEEP_DIFFERENTIAL_SEED", 1);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let table = CASES.iter().map(|(text, _)| text.to_vec());
    let texts: Vec<_> = table
        .chain((0..count).map(|_| duration(&mut random)))
        .collect();

    let answers = go_answers(&texts);

    assert_eq!(answers.len(), texts.len());
    for ((text, expected), answer) in CASES.iter().zip(&answers) {
        let expected =
            expected.map_or_else(|error| format!("{error:?}"), |value| value.to_string());
        assert_eq!(
            *answer,
            expected,
            "Go does not agree with the table: {}",
            text.escape_ascii()
        );
    }
    let different: Vec<_> = texts
        .iter()
        .zip(&answers)
        .filter(|(text, answer)| our_answer(text) != **answer)
        .map(|(text, answer)| {
            format!(
                "{}: Go {answer}, we {}",
                text.escape_ascii(),
                our_answer(text)
            )
        })
        .collect();
    assert!(
        different.is_empty(),
        "{} differ: {:#?}",
        different.len(),
        &different[..different.len().min(20)]
    );
    let accepted = answers
        .iter()
        .filter(|answer| answer.parse::<i64>().is_ok())
        .count();
    println!(
        "{} texts, {accepted} of them durations, all alike (seed {seed})",
        texts.len()
    );
    // Otherwise the generator makes only one kind, and the test says little.
    assert!(
        accepted * 5 > texts.len() && accepted * 5 < texts.len() * 4,
        "{accepted} of {}",
        texts.len()
    );
}
