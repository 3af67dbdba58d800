use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn read(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn placed(registry: &str, user: &str, scheme: Scheme, source: &str) -> String {
    let naming = Naming::new(registry, user, scheme).unwrap();
    naming.place(&read(source)).unwrap().to_string()
}

#[test]
fn names_say_where_an_image_is_from() {
    let a = "a".repeat(64);
    let cases = [
        ("nginx", "r.example/b/docker.io/library/nginx:latest"),
        ("nginx:1.27", "r.example/b/docker.io/library/nginx:1.27"),
        ("quay.io/org/app:1", "r.example/b/quay.io/org/app:1"),
        (
            "localhost:5000/a/b/c:x",
            "r.example/b/localhost__5000/a/b/c:x",
        ),
        ("Foo/bar:1", "r.example/b/x_466f6f/bar:1"),
        (
            "[::1]:5000/bar:1",
            "r.example/b/x_5b3a3a315d3a35303030/bar:1",
        ),
        ("a--b.example/x:1", "r.example/b/a--b.example/x:1"),
        (
            "quay.io/app:kept_1",
            "r.example/b/quay.io/app:kept_t_kept_1",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(placed("r.example/b", "", Scheme::Path, source), expected);
    }
    let pinned = placed(
        "r.example/b",
        "",
        Scheme::Path,
        &format!("quay.io/app:1@{DIGEST}"),
    );
    assert_eq!(pinned, format!("r.example/b/quay.io/app:kept_sha256_{a}"));
    let long = format!("quay.io/app@sha512:{}", "a".repeat(128));
    let long = placed("r.example/b", "", Scheme::Path, &long);
    assert_eq!(
        long.len(),
        "r.example/b/quay.io/app:kept_h_".len() + 64,
        "{long}"
    );
}

#[test]
fn prefixes_are_a_registry_a_repository_and_a_user_where_there_is_none() {
    let cases = [
        ("", "bob", "docker.io/bob/quay.io/app:1"),
        ("quay.io", "bob", "quay.io/bob/quay.io/app:1"),
        ("r.example:5000", "", "r.example:5000/quay.io/app:1"),
        ("r.example/team", "bob", "r.example/team/quay.io/app:1"),
        ("r.example/team/", "bob", "r.example/team/quay.io/app:1"),
        ("docker.io", "bob", "docker.io/bob/quay.io/app:1"),
    ];
    for (registry, user, expected) in cases {
        assert_eq!(
            placed(registry, user, Scheme::Path, "quay.io/app:1"),
            expected
        );
    }
    let long = format!("r.example/{}", "a".repeat(200));
    for (registry, user) in [
        ("", ""),
        ("docker.io", ""),
        ("R_x/y", ""),
        ("r.example/B", ""),
        (&long, ""),
        ("r.example", "Bob"),
    ] {
        let error = Naming::new(registry, user, Scheme::Path).unwrap_err();
        assert!(!error.to_string().is_empty(), "{registry} {user}");
    }
    for registry in ["r.example/b:1", "r.example/b@sha256:0"] {
        assert!(
            Naming::new(registry, "", Scheme::Path).is_err(),
            "{registry}"
        );
    }
}

#[test]
fn legacy_names_are_the_original_s() {
    let cases = [
        ("", "bob", "alpine:3.12", "docker.io/bob/alpine:3.12"),
        ("", "bob", "quay.io/org/app", "docker.io/bob/app:latest"),
        (
            "r.example",
            "bob",
            "ghcr.io/a/b/app:1",
            "r.example/bob/app:1",
        ),
    ];
    for (registry, user, source, expected) in cases {
        assert_eq!(placed(registry, user, Scheme::Legacy, source), expected);
    }
}

#[test]
fn what_is_too_long_or_has_one_part_only_is_told_by_a_hash() {
    let repository = vec!["abcdefgh"; 27].join("/");
    let long = placed(
        "r.example/backup",
        "",
        Scheme::Path,
        &format!("registry.example/{repository}:1"),
    );
    assert!(long.starts_with("r.example/backup/abcdefgh-"), "{long}");
    assert!(long.ends_with(":1") && long.len() <= LONGEST, "{long}");
    let flat = placed("", "bob", Scheme::Flat, "quay.io/my_org/app.x:1");
    let (name, end) = flat.split_at("docker.io/bob/my-org-app-x-".len());
    assert_eq!(name, "docker.io/bob/my-org-app-x-");
    assert_eq!(end.len(), 64 + ":1".len(), "{flat}");
}

#[test]
fn copies_are_told_from_what_begins_alike() {
    let naming = Naming::new("r.example/team", "", Scheme::Path).unwrap();
    for (reference, is_copy) in [
        ("r.example/team/quay.io/app:1", true),
        ("r.example/teammate/app", false),
        ("r.example/team", false),
        ("r.example:443/team/app", false),
        ("team/app", false),
    ] {
        assert_eq!(naming.is_copy(&read(reference)), is_copy, "{reference}");
    }
    // The original took alpine for an image of a user al.
    let naming = Naming::new("", "al", Scheme::Legacy).unwrap();
    assert!(!naming.is_copy(&read("alpine")) && naming.is_copy(&read("al/pine")));
}

/// References that nearly collide: of the few letters that names are made of.
fn reference() -> impl Strategy<Value = Reference> {
    let host = prop_oneof![
        "[ax]{1,2}(\\.[ax0]{1,2}){1,2}(:[05]{1,2})?",
        Just("localhost".to_owned()),
        "localhost:[05]{1,2}",
        "[AX]{1,2}",
        "\\[::[15]\\](:5)?",
        Just("docker.io".to_owned()),
    ];
    let part = "[ax50f]{1,3}((_|__|\\.|-{1,2})[ax50f]{1,2}){0,2}";
    let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let tag = prop_oneof![
        "[at5_h]{1,3}",
        "kept_(t_|h_)?[a5]{0,3}",
        Just(format!("kept_sha256_{}", "a".repeat(64)))
    ];
    let digest = prop_oneof![Just(String::new()), Just(format!("@{DIGEST}"))];
    let text = (host, path, proptest::option::of(tag), digest);
    text.prop_filter_map("no reference", |(host, path, tag, digest)| {
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        Reference::parse(&format!("{host}/{path}{tag}{digest}")).ok()
    })
}

/// What is copied: of tag and digest the digest counts.
fn meant(source: &Reference) -> Reference {
    source.clone().as_pulled()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is copied, no other image is at its place, and the place is among the copies.
    #[test]
    fn no_two_images_have_one_place(sources in proptest::collection::vec(reference(), 2..200), is_flat: bool) {
        let scheme = if is_flat { Scheme::Flat } else { Scheme::Path };
        let naming = Naming::new("r.example/b", "", scheme).unwrap();
        let mut places: HashMap<Reference, Reference> = HashMap::new();
        for source in sources {
            let place = naming.place(&source).unwrap();
            prop_assert!(naming.is_copy(&place));
            prop_assert!(place.tag().is_some() && place.digest().is_none());
            let other = places.insert(place.clone(), meant(&source));
            prop_assert!(other.is_none_or(|other| other == meant(&source)), "{place}");
        }
    }

    /// Long names, too.
    #[test]
    fn long_names_stay_within_what_registries_take(parts in proptest::collection::vec("[ab]{1,60}", 1..6)) {
        let naming = Naming::new("r.example/b", "", Scheme::Path).unwrap();
        let path = parts.join("/");
        if let Ok(source) = Reference::parse(&format!("registry.example/{path}")) {
            let place = naming.place(&source).unwrap();
            prop_assert!(place.name().len() <= LONGEST);
            // Read back as it was written.
            prop_assert_eq!(Reference::parse(&place.to_string()).unwrap(), place);
        }
    }
}
