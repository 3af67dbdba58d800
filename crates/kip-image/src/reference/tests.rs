use std::collections::HashSet;

use super::*;
use crate::{Algorithm, AnyReference};

fn hex(length: usize) -> String {
    "f".repeat(length)
}

fn sha256() -> String {
    format!("sha256:{}", hex(64))
}

#[test]
fn the_message_points_at_the_character_and_gives_an_example() {
    let message = |text: &str| Reference::parse(text).expect_err(text).to_string();
    assert_eq!(
        message("Nginx"),
        "invalid reference \"Nginx\": the repository must be lower case at character 1 ('N'); \
         for example docker.io/library/nginx:1.27"
    );
    assert_eq!(
        message("nginx:"),
        "invalid reference \"nginx:\": a letter, a digit or '_' must begin the tag at character 7 (the end); \
         for example docker.io/library/nginx:1.27"
    );
    assert_eq!(
        message("a\n"),
        "invalid reference \"a\\n\": the repository may only have lower-case letters and digits, and '.', '_', \
         '__' or '-' between them at character 2 ('\\n'); for example docker.io/library/nginx:1.27"
    );
    assert_eq!(
        Digest::parse("sha256:0").expect_err("short").to_string(),
        "invalid digest \"sha256:0\": a digest of sha256 has 64 hexadecimal digits, this has 1, at character 9 \
         (the end); for example sha256: and 64 hexadecimal digits"
    );
}

#[test]
fn the_message_stays_short_for_a_huge_text() {
    for part in ["a", "\n", "\u{10ffff}", "/", "A"] {
        let message = Reference::parse(&part.repeat(1_000_000))
            .expect_err("too long")
            .to_string();
        assert!(message.len() < 600, "{} bytes for {part:?}", message.len());
        assert!(message.contains('…'), "{message}");
    }
}

#[test]
fn no_tag_is_made_up_unless_asked_for() {
    let digest = sha256();
    let cases = [
        (
            "nginx".to_owned(),
            Some("latest"),
            "docker.io/library/nginx:latest".to_owned(),
        ),
        (
            "nginx:1".to_owned(),
            Some("1"),
            "docker.io/library/nginx:1".to_owned(),
        ),
        (
            format!("nginx@{digest}"),
            None,
            format!("docker.io/library/nginx@{digest}"),
        ),
        (
            format!("nginx:1@{digest}"),
            Some("1"),
            format!("docker.io/library/nginx:1@{digest}"),
        ),
    ];
    for (input, tag, with_default) in cases {
        let reference = Reference::parse(&input).expect(&input);
        assert_eq!(reference.to_string(), format!("docker.io/library/{input}"));
        assert_eq!(reference.tag_or_latest(), tag, "{input}");
        let printed = reference.with_default_tag().to_string();
        assert_eq!(printed, with_default);
        assert_eq!(
            Reference::parse(&printed).expect("printed").tag(),
            tag,
            "{input}"
        );
    }
}

#[test]
fn a_tag_beside_a_digest_is_not_pulled() {
    let pulled = |text: &str| Reference::parse(text).expect(text).as_pulled();
    let digest = sha256();
    assert_eq!(
        pulled("busybox"),
        Reference::parse("busybox:latest").expect("tagged")
    );
    let tagged = Reference::parse("busybox:1").expect("tagged");
    assert_eq!(tagged.clone().as_pulled(), tagged);
    let pinned = Reference::parse(&format!("busybox@{digest}")).expect("pinned");
    assert_eq!(pulled(&format!("busybox:1@{digest}")), pinned);
    assert_eq!(pinned.clone().as_pulled(), pinned);
}

#[test]
fn a_reference_can_be_pinned_and_keeps_its_tag() {
    let digest = Digest::parse(&sha256()).expect("digest");
    let pinned = Reference::parse("nginx:1")
        .expect("tagged")
        .with_digest(digest.clone());
    assert_eq!(pinned.digest(), Some(&digest));
    assert_eq!(
        pinned,
        Reference::parse(&format!("nginx:1@{digest}")).expect("printed")
    );
    assert_eq!(
        (digest.algorithm(), digest.hex()),
        (Algorithm::Sha256, hex(64).as_str())
    );
}

#[test]
fn the_familiar_form_leaves_out_what_is_implied_and_nothing_else() {
    let id = hex(64);
    let cases = [
        ("docker.io/library/nginx:1", "nginx:1"),
        ("docker.io/library/foo/bar", "library/foo/bar"),
        ("docker.io/org/app", "org/app"),
        ("quay.io/org/app:1", "quay.io/org/app:1"),
        ("Foo/bar", "Foo/bar"),
        // These would be read as something else if they were any shorter.
        ("docker.io/localhost/x", "docker.io/localhost/x"),
        ("docker.io/quay.io/x", "docker.io/quay.io/x"),
        ("docker.io/docker.io/x", "docker.io/docker.io/x"),
        (&format!("docker.io/library/{id}"), &format!("library/{id}")),
        (&format!("docker.io/library/{id}:1"), &format!("{id}:1")),
    ];
    for (input, expected) in cases {
        let reference = Reference::parse(input).expect(input);
        let familiar = reference.familiar().to_string();
        assert_eq!(familiar, expected);
        assert_eq!(Reference::parse(&familiar), Ok(reference));
    }
}

#[test]
fn spellings_of_one_image_are_equal_and_those_of_two_are_not() {
    let spellings = [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "index.docker.io/library/nginx",
    ];
    let parsed = |text: &str| Reference::parse(text).expect(text);
    let distinct: HashSet<_> = spellings.into_iter().map(parsed).collect();
    assert_eq!(distinct.len(), 1);
    let others = [
        "nginx:latest",
        "quay.io/library/nginx",
        "Quay.io/library/nginx",
        "nginx/library",
    ];
    let distinct: HashSet<_> = others.into_iter().chain(spellings).map(parsed).collect();
    assert_eq!(distinct.len(), others.len() + 1);
    assert!(parsed("nginx:1") < parsed("nginx:2"));
}

#[test]
fn the_base_name_is_the_last_part_of_the_repository() {
    for (input, expected) in [
        ("nginx:1", "nginx"),
        ("localhost:5000/a/b/c-d:1", "c-d"),
        ("quay.io/x", "x"),
    ] {
        assert_eq!(Reference::parse(input).expect(input).base_name(), expected);
    }
}

#[test]
fn all_ways_to_parse_agree() {
    for input in ["nginx:1", "Nginx"] {
        assert_eq!(input.parse::<Reference>(), Reference::parse(input));
        assert_eq!(Reference::try_from(input), Reference::parse(input));
        assert_eq!(input.parse::<Digest>(), Digest::parse(input));
        assert_eq!(Digest::try_from(input), Digest::parse(input));
    }
}

#[test]
fn an_id_is_told_from_a_name() {
    let digest = Digest::parse(&sha256()).expect("digest");
    for id in [sha256(), hex(64)] {
        assert_eq!(
            AnyReference::parse(&id),
            Ok(AnyReference::Id(digest.clone()))
        );
    }
    for name in [
        "redis".to_owned(),
        hex(63),
        format!("sha256:{}", hex(63)),
        format!("redis@{digest}"),
    ] {
        let named = AnyReference::parse(&name).expect(&name);
        assert_eq!(
            named,
            AnyReference::Named(Reference::parse(&name).expect(&name))
        );
        assert_eq!(named.to_string(), format!("docker.io/library/{name}"));
    }
    assert_eq!(
        AnyReference::parse("Redis")
            .expect_err("upper case")
            .problem(),
        Problem::UpperCase
    );
}

#[test]
fn a_reference_is_small() {
    let word = size_of::<usize>();
    assert!(
        size_of::<Reference>() <= 7 * word,
        "{} words",
        size_of::<Reference>() / word
    );
}
