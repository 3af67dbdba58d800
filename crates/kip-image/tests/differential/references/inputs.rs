//! Inputs: the cases of the Go module's own tests, and generated ones that crowd around the edges of the grammar.

use fastrand::Rng;

/// The short inputs of the Go module's tests, one a line.
const CASES: &str = include_str!("cases.txt");

#[rustfmt::skip] // One a line would be two hundred lines.
const REGISTRIES: &[&str] = &[
    "docker.io", "index.docker.io", "Docker.io", "registry-1.docker.io", "localhost", "localhost:5000", "LOCALHOST",
    "localhost.", "quay.io", "quay.io:443", "quay.io:", "quay.io:x", "Foo", "FOO.bar", "a-b.c--d", "-a.b", "a-.b",
    "a.-b", "a..b", ".a", "a_b.c", "a__b.c:1", "a.b_c", "_a.b", "1.2.3.4", "1.2.3.4:5", "xn--n3h.com", "[::1]",
    "[::1]:5000", "[::1]:", "[::1]5", "[::1", "::1", "[]", "[]:1", "[:]", "[ab]", "[AB]", "[fe80::1%eth0]",
    "[::1.2.3.4]", "[FE80::1]:0", "test:5000", "test:99999999999", "a:1:2", ":1", "", "https:", "É.com", "ǅ", "a b.c",
];

/// The first ten are valid.
#[rustfmt::skip]
const PARTS: &[&str] = &[
    "library", "nginx", "a", "0", "a.b", "a_b", "a__b", "a-b", "a---b", "quay.io", "a___b", "a._b", "a_.b", "a.-b",
    "a..b", "a_-b", ".a", "a.", "_a", "a_", "-a", "a-", "A", "aB", "Ab", "é", "İ", "", " ", "a b", "a\n", "\0", "localhost",
    "docker.io", "index.docker.io", "a.b_c", "sha256", "ß", "a%b", "a~b", "a+b", "[a]", "..",
];

/// The first four are valid. U+212A is the Kelvin sign: its lower case is the letter k.
#[rustfmt::skip]
const TAGS: &[&str] = &[
    "latest", "1.27", "_", "A", "_x", "a-", "a.", "a..b", "5000", "sha256", "-x", ".x", "", "a:b", "a/b", "a@b", "é", "1 ",
    "\n", "a+b", "a\u{301}", "\u{212a}",
];

/// The first three are valid.
const ALGORITHMS: &[&str] = &[
    "sha256",
    "sha384",
    "sha512",
    "SHA256",
    "sha1",
    "md5",
    "sha256+b64",
    "sha-256",
    "",
    "sha",
    "sha2566",
    "é",
];

/// How many of [`ALPHABET`] occur in valid references.
const GRAMMAR: usize = 18;

#[rustfmt::skip]
const ALPHABET: &[char] = &[
    'a', 'b', 'f', '0', '9', 'A', 'F', '.', '.', '-', '-', '_', '_', '/', '/', ':', ':', '@', '[', ']', '%', '+', ' ',
    'g', 'z', 'Z', '\n', '\t', '\r', '\0', '~', '#', '?', '\\', '"', '\u{7f}', 'é', 'É', 'İ', 'ı', 'ǅ', 'ß', 'ſ', '٣', '。',
    '\u{212a}', '\u{ff0f}', '\u{301}', '\u{200b}', '\u{fffd}', '\u{10ffff}', '🐳',
];

/// The inputs of the Go module's tests.
pub(crate) fn table() -> Vec<String> {
    let digest = |algorithm: &str, digits| format!("{algorithm}:{}", "f".repeat(digits));
    let mut table: Vec<_> = CASES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    table.extend([
        format!("@{}", digest("sha256", 64)),
        format!("repo@{}", digest("sha256", 34)),
        format!("validname@{}", digest("invaliddigest", 64)),
        format!(
            "xn--7o8h.com/myimage:xn--7o8h.com@{}",
            digest("sha512", 128)
        ),
        format!("domain/{}:tag", "a".repeat(256)),
        format!("example.com/{}", "a".repeat(256)),
        format!("example.com/{}:tag", "a".repeat(255)),
        format!("{}a:tag-puts-this-over-max", "a/".repeat(127)),
        format!("{}a", "a/".repeat(128)),
        format!("{}/docker", "a_name_that_is_too_long_".repeat(11)),
    ]);
    for name in [
        "test:5000/repo",
        "test:5000/repo:tag",
        "[2001:db8::1]:5000/repo",
        "[2001:db8::1]:5000/repo:tag",
    ] {
        table.push(format!("{name}@{}", digest("sha256", 64)));
    }
    table
}

/// `count` inputs; `known` ones are what mutations begin with.
pub(crate) fn generate(seed: u64, known: &[String], count: usize) -> Vec<String> {
    let mut rng = Rng::with_seed(seed);
    (0..count)
        .map(|_| match rng.u8(..16) {
            0..8 => assembled(&mut rng),
            8..11 => at_the_limits(&mut rng),
            11..14 => mutated(&mut rng, known),
            14 => scrambled(&mut rng),
            _ => of_any_characters(&mut rng),
        })
        .collect()
}

fn one<'a>(rng: &mut Rng, choices: &[&'a str]) -> &'a str {
    rng.choice(choices).copied().unwrap_or_default()
}

fn repeated(rng: &mut Rng, alphabet: &[u8], length: usize) -> String {
    (0..length)
        .map(|_| char::from(alphabet[rng.usize(..alphabet.len())]))
        .collect()
}

/// Mostly what is valid; with some luck an odd piece.
fn piece<'a>(rng: &mut Rng, valid: usize, choices: &'a [&'a str]) -> &'a str {
    if rng.u8(..6) == 0 {
        one(rng, choices)
    } else {
        one(rng, &choices[..valid])
    }
}

/// Made of pieces as the grammar wants, each of which may be odd.
fn assembled(rng: &mut Rng) -> String {
    let mut text = String::new();
    if rng.bool() {
        text.push_str(one(rng, REGISTRIES));
        text.push('/');
    }
    for i in 0..rng.usize(1..4) {
        if i > 0 {
            text.push('/');
        }
        text.push_str(piece(rng, 10, PARTS));
    }
    if rng.bool() {
        text.push(':');
        text.push_str(piece(rng, 4, TAGS));
    }
    if rng.u8(..3) == 0 {
        text.push('@');
        text.push_str(&digest(rng));
    }
    text
}

fn digest(rng: &mut Rng) -> String {
    let algorithm = piece(rng, 3, ALGORITHMS);
    let exact = match algorithm {
        "sha384" => 96,
        "sha512" => 128,
        _ => 64,
    };
    let length = if rng.u8(..6) == 0 {
        near(rng, exact)
    } else {
        exact
    };
    let alphabet: &[u8] = if rng.u8(..8) == 0 {
        b"0123456789abcdefABCDEFg"
    } else {
        b"0123456789abcdef"
    };
    let separator = if rng.u8(..32) == 0 { "" } else { ":" };
    format!("{algorithm}{separator}{}", repeated(rng, alphabet, length))
}

fn near(rng: &mut Rng, length: usize) -> usize {
    length + rng.usize(..5) - 2
}

/// As long as allowed, give or take two.
fn at_the_limits(rng: &mut Rng) -> String {
    let hex = b"0123456789abcdef";
    match rng.u8(..6) {
        // An image ID, or nearly one, and where it is one no more.
        0 => {
            let length = near(rng, 64);
            let id = repeated(rng, hex, length);
            let frames = [
                "{}",
                "{}:1",
                "library/{}",
                "docker.io/{}",
                "sha256:{}",
                "{}/{}",
                "{} ",
                "G{}",
            ];
            one(rng, &frames).replace("{}", &id)
        }
        1 => {
            let length = near(rng, 128);
            format!(
                "{}:{}",
                one(rng, &["a", "quay.io/a", "a/b"]),
                repeated(rng, b"aZ0_.-", length)
            )
        }
        2 => {
            let length = near(rng, 64);
            format!("a@sha256:{}", repeated(rng, hex, length))
        }
        // With `library/` put before it, or not.
        3 => {
            let length = near(rng, 247);
            format!(
                "{}{}",
                one(rng, &["", "docker.io/", "index.docker.io/", "a.b/"]),
                repeated(rng, b"ab0", length)
            )
        }
        4 => {
            let length = near(rng, 255);
            let registry = one(
                rng,
                &[
                    "quay.io/",
                    "localhost:5000/",
                    "[::1]/",
                    "A/",
                    "docker.io/a/",
                    "a/",
                    "a_b.c/",
                ],
            );
            format!(
                "{registry}{}{}",
                repeated(rng, b"ab0", length),
                one(rng, &["", ":tag"])
            )
        }
        _ => {
            let parts = near(rng, 127);
            format!("{}a", one(rng, &["a/", "b.c/", "0-/"]).repeat(parts))
        }
    }
}

/// A known or an assembled input with a few edits.
fn mutated(rng: &mut Rng, known: &[String]) -> String {
    let source = |rng: &mut Rng| -> Vec<char> {
        if rng.bool() {
            known[rng.usize(..known.len())].chars().collect()
        } else {
            assembled(rng).chars().collect()
        }
    };
    let mut text = source(rng);
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=text.len());
        let c = ALPHABET[rng.usize(..ALPHABET.len())];
        match rng.u8(..6) {
            0 => text.insert(at, c),
            1 if at < text.len() => text[at] = c,
            2 if at < text.len() => drop(text.remove(at)),
            3 if at < text.len() => text.insert(at, text[at]),
            4 if at < text.len() => text[at] = text[at].to_ascii_uppercase(),
            5 => {
                let other = source(rng);
                let from = rng.usize(..=other.len());
                text.truncate(at);
                text.extend(&other[from..]);
            }
            _ => text.push(c),
        }
    }
    text.into_iter().collect()
}

/// A few characters of those that matter.
fn scrambled(rng: &mut Rng) -> String {
    let most = if rng.bool() { ALPHABET.len() } else { GRAMMAR };
    (0..rng.usize(..10))
        .map(|_| ALPHABET[rng.usize(..most)])
        .collect()
}

fn of_any_characters(rng: &mut Rng) -> String {
    (0..rng.usize(..6))
        .map(|_| {
            if rng.bool() {
                rng.char(..)
            } else {
                rng.char('\0'..='\u{7f}')
            }
        })
        .collect()
}
