//! Keys of credentials, and names of images that they may match.

use fastrand::Rng;

use super::payloads;

/// Pull secrets, by type and data, and names of images.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) secrets: Vec<(&'static str, Vec<u8>)>,
    pub(super) images: Vec<String>,
}

const SCHEMES: &[&str] = &[
    "",
    "",
    "https://",
    "http://",
    "HTTPS://",
    "ftp://",
    "https:/",
    "https://https://",
    "//",
];
const USERS: &[&str] = &[
    "", "", "", "", "", "", "", "u@", "u:p@", "u@v@", "é@", "u%41@", "u%@", "@",
];

#[rustfmt::skip]
const LABELS: &[&str] = &[
    "*", "*", "a", "ab", "io", "reg", "quay", "*a", "a*", "a*b", "**", "*-good", "x-good", "REG", "a_b", "", "?", "[ab]",
    "a[b]", "a]", "\\a", "%25", "%2525", "%c3%a9", "é", "%ff", "%41", "%", "a~!$&'()", "<>", "^", " ", "`", "a\t", "{a}",
];

#[rustfmt::skip]
const HOSTS: &[&str] = &[
    "docker.io", "index.docker.io", "index.docker.io", "registry-1.docker.io", "localhost", "quay.io", "quay.io",
    "gcr.io", "*.io", "quay.*", "*.*", "*", "reg.example", "1.2.3.4", "[::1]", "[::A]", "[FE80::1]", "[::1%25eth0]",
    "[::1%2525*]", "[::1%25]", "[::1%eth0]", "[::1.2.3.4]", "[1.2.3.4]", "[::01.2.3.4]", "[1:2:3:4:5:6:7::]",
    "[1:2:3:4::5:6:7:8]", "[1::2::3]", "[12345::]", "[:1]", "[]", "[", "[::1", "::1", "[::1]x", "x[::1]", "[::1]]", "[::%20]",
    "[fe80::1%25a%20b]", "[fe80::1%25a-z]", "[fe80::1%2525a-z]", "",
];

const PORTS: &[&str] = &[
    "", "", "", "", ":5000", ":5000", ":443", ":", ":x", ":1:2", ":%31",
];

#[rustfmt::skip]
const PATHS: &[&str] = &[
    "", "", "", "/", "/v1/", "/v2/", "/v1", "/v1/a", "/v3/", "/V1/", "/a", "/a/b", "/ab", "/a/", "//a", "/library", "/%61",
    "/%2561", "/a%2fb", "/a?x", "/a#y", "/a#%zz", "/#?", "/a%3fx", "/a%23%zz", "/a b", "/%zz", "/%", "/a*", "/é", "/%00", "/a@b",
    "/a%0a", "/\n", "#\n", "?", "/v1/v2/a", "/..", "/a\\b",
];

const NAMES: &[&str] = &[
    "nginx",
    "docker.io/library/nginx",
    "index.docker.io/a",
    "localhost/x",
    "1/x",
    "",
    "/x",
    ":/x",
];

fn one<'c>(rng: &mut Rng, choices: &[&'c str]) -> &'c str {
    choices[rng.usize(..choices.len())]
}

fn key(rng: &mut Rng) -> String {
    let odd = rng.u8(..4) == 0;
    let host = if rng.u8(..3) == 0 {
        let most = if odd { LABELS.len() } else { 13 };
        let labels: Vec<_> = (0..rng.usize(1..4))
            .map(|_| one(rng, &LABELS[..most]))
            .collect();
        labels.join(".")
    } else {
        let most = if odd { HOSTS.len() } else { 14 };
        one(rng, &HOSTS[..most]).to_owned()
    };
    let (users, ports, paths) = if odd {
        (USERS, PORTS, PATHS)
    } else {
        (&USERS[..1], &PORTS[..6], &PATHS[..18])
    };
    let scheme = one(rng, if odd { SCHEMES } else { &SCHEMES[..4] });
    format!(
        "{scheme}{}{host}{}{}",
        one(rng, users),
        one(rng, ports),
        one(rng, paths)
    )
}

/// A key that matches some of what another one does.
fn related(rng: &mut Rng, key: &str) -> String {
    let label = |rng: &mut Rng| {
        let (scheme, rest) = key.split_once("://").unwrap_or(("https", key));
        let end = rest.find(['.', ':', '/']).unwrap_or(rest.len());
        format!(
            "{scheme}://{}{}",
            one(rng, &["*", "*", "a", "*o"]),
            &rest[end..]
        )
    };
    match rng.u8(..6) {
        0 => format!("https://{}", key.trim_start_matches("http://")),
        1 => format!("{key}/"),
        2 => format!("{}/a", key.trim_end_matches('/')),
        3 => key
            .rsplit_once('/')
            .map_or_else(|| key.to_owned(), |(start, _)| start.to_owned()),
        4 => label(rng),
        _ => key.to_owned(),
    }
}

/// A name that the key may match, or nearly.
fn image(rng: &mut Rng, keys: &[String]) -> String {
    let key = match keys.len() {
        0 => key(rng),
        _ if rng.u8(..8) == 0 => key(rng),
        count => keys[rng.usize(..count)].clone(),
    };
    let name = match key.split_once("://") {
        Some((_, rest)) if rng.u8(..16) != 0 => rest,
        _ => &key,
    };
    let mut name = name.to_owned();
    while let Some(star) = name.find('*') {
        name.replace_range(star..=star, one(rng, &["a", "x", "", "io", "a.b", "b"]));
    }
    if rng.u8(..6) != 0 {
        name = name.replacen("/v1/", "/", 1).replacen("/v2/", "/", 1);
    }
    match rng.u8(..12) {
        0 => name.push('x'),
        1 => name = format!("docker.io/library/{name}"),
        2 => name = format!("A/{name}"),
        3 => drop(name.pop()),
        4 => {
            name = String::from(one(rng, NAMES));
        }
        5..10 => name.push_str(if name.ends_with('/') { "app" } else { "/app" }),
        _ => {}
    }
    name
}

pub(super) fn case(rng: &mut Rng) -> Case {
    let count = rng.usize(1..4);
    let mut keys = Vec::new();
    let secrets = (0..count)
        .map(|at| {
            let mut own = Vec::new();
            for _ in 0..rng.usize(..4) {
                let key = match keys.len() {
                    1.. if rng.u8(..3) != 0 => {
                        let known: &String = &keys[rng.usize(..keys.len())];
                        related(rng, known)
                    }
                    _ => key(rng),
                };
                keys.push(key.clone());
                own.push(key);
            }
            payloads::secret(rng, at, &own)
        })
        .collect();
    let images = (0..4).map(|_| image(rng, &keys)).collect();
    Case { secrets, images }
}

/// The cases of Kubernetes' own tests: keys in one secret, and the images that they are looked up for.
pub(super) fn table() -> Vec<Case> {
    const CASES: &[(&[&str], &[&str])] = &[
        (
            &["https://index.docker.io/v1/"],
            &[
                "docker.io/library/foo",
                "foo",
                "library/foo",
                "index.docker.io/foo",
                "private.io/foo",
            ],
        ),
        (
            &["hello.kubernetes.io"],
            &[
                "hello.kubernetes.io/a",
                "world.kubernetes.io/a",
                "hello.kubernetes.io:8080/a",
            ],
        ),
        (
            &["*.docker.io"],
            &["prefix.docker.io", "docker.io/a", "a.b.docker.io/x"],
        ),
        (
            &["prefix.*.io"],
            &[
                "prefix.kubernetes.io",
                "prefix.kubernetes.io/foo/bar",
                "prefix.kubernetes.com",
            ],
        ),
        (
            &["*-good.kubernetes.io"],
            &[
                "prefix-good.kubernetes.io",
                "prefix-bad.kubernetes.io",
                "good.kubernetes.io",
            ],
        ),
        (
            &["*.kubernetes.io/foo"],
            &[
                "prefix.kubernetes.io/foo",
                "prefix.kubernetes.io/foo/bar",
                "prefix.kubernetes.io/bar",
            ],
        ),
        (
            &["*.kubernetes.io:1111/*"],
            &["prefix.kubernetes.io:1111/*", "prefix.kubernetes.io:1111/a"],
        ),
        (
            &["kubernetes.io:1111/foo"],
            &[
                "kubernetes.io:1111/foo/bar",
                "kubernetes.io/foo/bar",
                "kubernetes.io:1112/foo",
            ],
        ),
        (
            &["http://foo.example.com/", "https://foo.example.com"],
            &["foo.example.com/hello-world"],
        ),
        (
            &["http://foo.example.com/v1/", "foo.example.com:8080/v2/"],
            &["foo.example.com/a", "foo.example.com:8080/a"],
        ),
        (
            &[
                "gcr.io",
                "gcr.io/etcd-development",
                "gcr.io/etcd-development/etcd",
            ],
            &["gcr.io/etcd-development/etcd", "gcr.io/other"],
        ),
        (
            &["bar.example.com/pong", "bar.example.com/v1/pong"],
            &["bar.example.com/pong", "bar.example.com/pongo"],
        ),
    ];
    CASES
        .iter()
        .map(|(keys, images)| Case {
            secrets: vec![payloads::plain(keys)],
            images: images.iter().map(|image| (*image).to_owned()).collect(),
        })
        .collect()
}
