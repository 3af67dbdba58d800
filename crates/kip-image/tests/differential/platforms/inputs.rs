//! Platforms that crowd around what the rules tell apart.

use fastrand::Rng;
use kip_image::Platform;

/// The first three are most of what there is.
#[rustfmt::skip]
const OSES: &[&str] = &["linux", "windows", "linux", "Linux", "WINDOWS", "macos", "darwin", "MacOS", "freebsd", "unknown", "js", "lınux", "L\u{130}nux"];

#[rustfmt::skip]
const ARCHITECTURES: &[&str] = &[
    "amd64", "arm64", "arm", "386", "x86_64", "X86-64", "AMD64", "i386", "aarch64", "armhf", "armel", "ARM", "riscv64",
    "s390x", "ppc64le", "unknown", "", "wasm", "arm64be", "\u{212a}386",
];

#[rustfmt::skip]
const VARIANTS: &[&str] = &[
    "", "", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "5", "6", "7", "8", "9", "8.0", "9.0", "v8.0", "v8.1",
    "v8.2", "v8.4", "v8.5", "v8.6", "v8.9", "v8.10", "v9.0", "v9.1", "v9.2", "v9.7", "v9.8", "v10", "v10.0", "v100", "v0", "v-1",
    "v+3", "+3", "v03", "v08", "vv8", "vv8.1", "v08.1", "V7", "V8", "v", "power9", "v8.", "v8.1.1", "v4.0", "1", "2", "3",
];

#[rustfmt::skip]
const VERSIONS: &[&str] = &[
    "", "", "10.0.17763", "10.0.17763.1", "10.0.20347", "10.0.20348", "10.0.20348.3091", "10.0.20348.587", "10.0.22621",
    "10.0.25398.1", "10.0.26099", "10.0.26100.2894", "10.0.26100.3000", "10.0.26200.0", "10.0.65535", "10.0.65536", "10.1.26100",
    "11.0.26100", "10.0", "10", "0.0.0", "0.0.1", "10.0.", "10.0.x", "10.0.+26100", "256.0.1", "10.00.20348", "..", "x",
];

const FEATURES: &[&str] = &["a", "b", "c", "win32k", "a", ""];

/// Pieces of texts; the first twelve make valid ones.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "linux", "windows", "Darwin", "macos", "amd64", "arm64", "arm", "armhf", "aarch64", "v7", "v8", "x86_64",
    "toaster", "", "*", "li.nux", ".", "..", "...", "a b", "é", "-", "_", "v1/v2", "(", ")", "8", "9.0", "v1", "I386", "a\n",
];

#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "", "()", "(10.0.17763)", "(+win32k)", "(1+b+a+b)", "(+)", "(1+)", "(++a)", "(%2B+%28)", "(%2)", "(%zz+a)", "(%ff)",
    "(%C3%A9)", "(a b)", "(a", "a)", "(a)b", "((a))", "(a/b)", "(%2f+%25%)", "(-._)", "(é)", "(%2e%2E)", "(1+%c3)", "(%00)",
];

fn one(rng: &mut Rng, choices: &[&str]) -> String {
    choices[rng.usize(..choices.len())].to_owned()
}

pub(super) fn text(rng: &mut Rng) -> String {
    let parts = match rng.u8(..8) {
        0 | 1 => 1,
        2..5 => 2,
        5 | 6 => 3,
        _ => rng.usize(..6),
    };
    let parts: Vec<_> = (0..parts)
        .map(|part| {
            let choices = if rng.u8(..5) == 0 {
                PIECES
            } else {
                &PIECES[..12]
            };
            let mut piece = one(rng, choices);
            if part == 0 && rng.u8(..3) == 0 || rng.u8(..40) == 0 {
                piece.push_str(&one(rng, OPTIONS));
            }
            piece
        })
        .collect();
    parts.join("/")
}

fn platform(rng: &mut Rng) -> Platform {
    let oses = if rng.u8(..4) == 0 { OSES } else { &OSES[..3] };
    let architectures = if rng.u8(..3) == 0 {
        ARCHITECTURES
    } else {
        &ARCHITECTURES[..3]
    };
    let os = one(rng, oses);
    let is_windows = os.eq_ignore_ascii_case("windows");
    let features = if rng.u8(..4) == 0 { rng.usize(..4) } else { 0 };
    Platform {
        architecture: one(rng, architectures),
        variant: one(rng, VARIANTS),
        os_version: if is_windows || rng.u8(..8) == 0 {
            one(rng, VERSIONS)
        } else {
            String::new()
        },
        os_features: (0..features).map(|_| one(rng, FEATURES)).collect(),
        os,
    }
}

/// A node and an index, most of whose platforms are like the node's.
pub(super) fn case(rng: &mut Rng) -> (Platform, Vec<Option<Platform>>) {
    let node = platform(rng);
    let index = (0..rng.usize(..7))
        .map(|_| {
            let mut like = node.clone();
            let other = platform(rng);
            match rng.u8(..9) {
                0 => return None,
                1 => return Some(other),
                2 => like.os = String::new(),
                3 => like.architecture = other.architecture,
                4 => like.os_features = other.os_features,
                5 => like.os = other.os,
                _ => {}
            }
            like.variant = if rng.u8(..3) == 0 {
                like.variant
            } else {
                other.variant
            };
            if rng.bool() {
                like.os_version = one(rng, VERSIONS);
            }
            Some(like)
        })
        .collect();
    (node, index)
}
