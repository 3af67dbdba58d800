//! The grammar on cases with known results.

use kip_image::{Algorithm, Problem, Reference};

/// Input, registry, repository and tag.
const ACCEPTED: &str = "
nginx                              docker.io             library/nginx           -
nginx:1.27                         docker.io             library/nginx           1.27
docker.io/nginx                    docker.io             library/nginx           -
index.docker.io/nginx              docker.io             library/nginx           -
registry-1.docker.io/library/nginx registry-1.docker.io  library/nginx           -
fooo/bar                           docker.io             fooo/bar                -
test.com:5000                      docker.io             library/test.com        5000
test.com/repo:tag                  test.com              repo                    tag
test:5000/repo                     test:5000             repo                    -
test:5000/repo:tag                 test:5000             repo                    tag
localhost/fooo                     localhost             fooo                    -
localhost                          docker.io             library/localhost       -
Foo/bar                            Foo                   bar                     -
HOST.com/x                         HOST.com              x                       -
lowercase:Uppercase                docker.io             library/lowercase       Uppercase
192.168.1.1:5000/repo:5050         192.168.1.1:5000      repo                    5050
[2001:db8::1]:5000/repo:tag        [2001:db8::1]:5000    repo                    tag
[2001:db8::1]/repo                 [2001:db8::1]         repo                    -
xn--n3h.com/myimage:xn--n3h.com    xn--n3h.com           myimage                 xn--n3h.com
b.gcr.io/test.example.com/my-app:test.example.com  b.gcr.io  test.example.com/my-app  test.example.com
docker---rules/docker              docker.io             docker---rules/docker   -
dock__er/docker                    docker.io             dock__er/docker         -
a:_x                               docker.io             library/a               _x
foo_bar.com:8080                   docker.io             library/foo_bar.com     8080
foo/foo_bar.com:8080               docker.io             foo/foo_bar.com         8080
quay.io/a/b/c/d:v1                 quay.io               a/b/c/d                 v1
";

fn hex(length: usize) -> String {
    "f".repeat(length)
}

fn assert_parts(
    input: &str,
    registry: &str,
    repository: &str,
    tag: Option<&str>,
    digest: Option<&str>,
) {
    let reference = Reference::parse(input).expect(input);
    assert_eq!(reference.registry(), registry, "{input}");
    assert_eq!(reference.repository(), repository, "{input}");
    assert_eq!(
        reference.name(),
        format!("{registry}/{repository}"),
        "{input}"
    );
    assert_eq!(reference.tag(), tag, "{input}");
    assert_eq!(
        reference.digest().map(ToString::to_string).as_deref(),
        digest,
        "{input}"
    );
}

#[test]
fn accepted_references_have_the_parts_that_the_go_module_gives_them() {
    let digests = [
        None,
        Some(("sha256", 64)),
        Some(("sha384", 96)),
        Some(("sha512", 128)),
    ];
    for line in ACCEPTED.lines().filter(|line| !line.is_empty()) {
        let [input, registry, repository, tag] = line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("four words expected: {line}");
        };
        let tag = (tag != "-").then_some(tag);
        for digest in digests {
            let digest = digest.map(|(algorithm, digits)| format!("{algorithm}:{}", hex(digits)));
            let suffix = digest
                .as_ref()
                .map_or(String::new(), |digest| format!("@{digest}"));
            assert_parts(
                &format!("{input}{suffix}"),
                registry,
                repository,
                tag,
                digest.as_deref(),
            );
        }
    }
}

#[test]
fn what_is_as_long_as_allowed_is_accepted() {
    let id = hex(64);
    assert_parts(
        &format!("docker.io/{id}"),
        "docker.io",
        &format!("library/{id}"),
        None,
        None,
    );
    assert_parts(
        &format!("a:{}", hex(128)),
        "docker.io",
        "library/a",
        Some(&hex(128)),
        None,
    );
    // The registry does not count, but the namespace that is implied does.
    assert_parts(
        &format!("domain.io/{}", hex(246)),
        "domain.io",
        &hex(246),
        None,
        None,
    );
    assert_parts(
        &format!("domain.io/{}", hex(255)),
        "domain.io",
        &hex(255),
        None,
        None,
    );
    assert_parts(
        &hex(247),
        "docker.io",
        &format!("library/{}", hex(247)),
        None,
        None,
    );
}

fn problem(text: &str) -> (Problem, usize) {
    let error = Reference::parse(text).expect_err(text);
    (error.problem(), error.position())
}

#[test]
fn refused_references_tell_what_is_wrong_and_where() {
    let cases = [
        ("", Problem::Empty, 0),
        ("Uppercase:tag", Problem::UpperCase, 0),
        ("docker/Docker", Problem::UpperCase, 7),
        ("test:5000/Uppercase/lowercase:tag", Problem::UpperCase, 10),
        ("test:5000/lowercase/Uppercase:tag", Problem::UpperCase, 20),
        ("docker/", Problem::RepositoryEdge, 7),
        ("/docker", Problem::RepositoryEdge, 0),
        ("docker///docker", Problem::RepositoryEdge, 7),
        ("-docker/docker", Problem::RepositoryEdge, 0),
        ("docker-/docker", Problem::RepositoryEdge, 7),
        // With a dot it is a host name.
        ("dock..er/docker", Problem::HostEdge, 5),
        ("dock_.er/docker", Problem::HostCharacter, 4),
        ("dock-.er/docker", Problem::HostEdge, 4),
        ("-docker.io/docker", Problem::HostEdge, 0),
        ("____/____", Problem::RepositoryEdge, 0),
        ("a___b", Problem::RepositoryEdge, 3),
        ("example.com/no..dots", Problem::RepositoryEdge, 15),
        ("foo_bar.com/x", Problem::HostCharacter, 3),
        ("https://github.com/docker/docker", Problem::Scheme, 0),
        ("foo:http/bar", Problem::Port, 4),
        ("foo:80a/bar", Problem::Port, 6),
        ("foo:/bar", Problem::Port, 4),
        (":5000/bar", Problem::HostEdge, 0),
        ("[fc00::1]:5000", Problem::RepositoryCharacter, 0),
        ("[fe80::1%eth0]:5000/x", Problem::Ipv6Address, 8),
        ("[2001:db8::192.0.2.33]/x", Problem::Ipv6Address, 14),
        ("[::1/x", Problem::Ipv6Address, 4),
        ("[].a/x", Problem::Ipv6Address, 1),
        ("[::1]5000/x", Problem::Ipv6End, 5),
        ("[::1]::5000/x", Problem::Port, 6),
        ("fc00::1:5000/x", Problem::Port, 5),
        (":justtag", Problem::RepositoryEdge, 0),
        ("@sha256:ff", Problem::RepositoryEdge, 0),
        ("nginx:", Problem::TagStart, 6),
        ("a:-x", Problem::TagStart, 2),
        ("a:.x", Problem::TagStart, 2),
        ("a/b:c:d", Problem::TagCharacter, 5),
        ("nginx:1 ", Problem::TagCharacter, 7),
        ("nginx:é", Problem::TagCharacter, 6),
        ("nginx@", Problem::DigestAlgorithm, 6),
        ("nginx:1@sha256", Problem::DigestAlgorithm, 8),
        ("nginx@SHA256:ff", Problem::DigestAlgorithm, 6),
        ("nginx@sha256:fF", Problem::DigestCharacter, 14),
        (" nginx", Problem::RepositoryCharacter, 0),
        ("nginx\n", Problem::RepositoryCharacter, 5),
        ("ngÿnx", Problem::RepositoryCharacter, 2),
        ("É.com/nginx", Problem::HostCharacter, 0),
    ];
    for (input, expected, at) in cases {
        assert_eq!(problem(input), (expected, at), "{input:?}");
    }
}

#[test]
fn lengths_are_checked_at_their_limits() {
    let short = Problem::DigestLength {
        algorithm: Algorithm::Sha256,
        length: 34,
    };
    let long = Problem::DigestLength {
        algorithm: Algorithm::Sha384,
        length: 97,
    };
    let cases = [
        (format!("repo@sha256:{}", hex(34)), short, 46),
        (format!("repo@sha384:{}", hex(97)), long, 108),
        (
            format!("repo@sha256:{}", hex(64).to_uppercase()),
            Problem::DigestCharacter,
            12,
        ),
        (format!("repo@md5:{}", hex(32)), Problem::DigestAlgorithm, 5),
        (hex(64), Problem::ImageId, 0),
        (
            format!("a:{}", hex(129)),
            Problem::TagLength { length: 129 },
            130,
        ),
        (
            format!("domain/{}", hex(256)),
            Problem::RepositoryLength { length: 263 },
            255,
        ),
        (
            format!("domain.io/{}", hex(256)),
            Problem::RepositoryLength { length: 256 },
            265,
        ),
        (hex(248), Problem::RepositoryLength { length: 256 }, 247),
    ];
    for (input, expected, at) in cases {
        assert_eq!(problem(&input), (expected, at), "{input:?}");
    }
}
