//! What is learnt of images from a real registry, `docker-registry`, which must be in PATH.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "inspect/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod registry;

use kip_daemon::architecture::Architecture;
use kip_daemon::inspect::{Error, Fit, Inspected, inspect};
use kip_registry::Kind;
use serde_json::json;

use registry::{CONFIG, LAYER, Registry};

fn try_to(registry: &Registry, name: &str) -> Result<Inspected, Error> {
    let reference = registry.reference(name);
    registry.wait(inspect(&registry.client, &reference, &registry.credentials))
}

fn inspected(registry: &Registry, name: &str) -> Inspected {
    try_to(registry, name).expect("an image")
}

/// The sizes of the layers for each architecture; nothing for one that the image is not for.
fn runs(image: &Inspected) -> [Option<Vec<u64>>; 2] {
    Architecture::ALL.map(|architecture| match image.fit(architecture) {
        Fit::Runs(layers) => Some(layers.iter().map(|layer| layer.size).collect()),
        Fit::Foreign(_) | Fit::Absent => None,
    })
}

/// The message of what is no image.
fn no_image(registry: &Registry, name: &str) -> String {
    let error = try_to(registry, name).expect_err("it is no image");
    assert!(matches!(error, Error::NoImage { .. }), "{error:?}");
    assert!(error.is_final());
    error.to_string()
}

#[test]
fn of_an_index_each_architecture_takes_its_own_manifest() {
    let registry = Registry::open();
    let [amd64, arm64, s390x] =
        [("amd64", "a"), ("arm64", "bb"), ("s390x", "ccc")].map(|(architecture, layer)| {
            registry.image("app:x", architecture, &[b"shared", layer.as_bytes()])
        });
    let attestation = registry.image("app:x", "unknown", &[b"attestation"]);
    let index = registry.index(
        "app:1",
        &[
            (&s390x, "linux/s390x"),
            (&attestation, "unknown/unknown"),
            (&arm64, "linux/arm64"),
            (&attestation, "unknown/unknown"),
            (&amd64, "linux/amd64"),
            (&s390x, "windows/amd64"),
        ],
    );
    let image = inspected(&registry, "app:1");
    assert_eq!(image.digest.to_string(), index["digest"]);
    assert_eq!(runs(&image), [Some(vec![6, 1]), Some(vec![6, 2])]);
    assert_eq!(image.others, ["linux/s390x", "windows/amd64"]);
    let [amd64, arm64] = Architecture::ALL.map(|one| image.fit(one).layers()[0].digest.clone());
    assert_eq!(amd64, arm64, "the shared layer");
}

#[test]
fn an_index_without_an_architecture_has_nothing_for_it() {
    let registry = Registry::open();
    let arm64 = registry.image("app:x", "arm64", &[b"a"]);
    registry.index("app:1", &[(&arm64, "linux/arm64")]);
    let image = inspected(&registry, "app:1");
    assert_eq!(runs(&image), [None, Some(vec![1])]);
    assert_eq!(*image.fit(Architecture::Amd64), Fit::Absent);
}

#[test]
fn a_manifest_that_a_mirror_left_out_is_not_there_for_its_architecture() {
    let registry = Registry::open();
    let amd64 = registry.image("app:x", "amd64", &[b"a"]);
    let arm64 = registry.image("app:x", "arm64", &[b"b"]);
    registry.index("app:1", &[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    let digest = arm64["digest"].as_str().expect("a text");
    registry.lose("app", "manifests/revisions", digest);
    assert_eq!(runs(&inspected(&registry, "app:1")), [Some(vec![1]), None]);
}

#[test]
fn an_entry_without_platform_is_for_what_its_configuration_tells() {
    let registry = Registry::open();
    let arm64 = registry.image("app:x", "arm64", &[b"arm64"]);
    registry.index("app:1", &[(&arm64, "")]);
    assert_eq!(runs(&inspected(&registry, "app:1")), [None, Some(vec![5])]);
    // One that names its platform comes first, and of two that name none only the first is looked at.
    let amd64 = registry.image("app:x", "amd64", &[b"am"]);
    registry.index("app:2", &[(&amd64, ""), (&arm64, "linux/arm64")]);
    let image = inspected(&registry, "app:2");
    assert_eq!(runs(&image), [Some(vec![2]), Some(vec![5])]);
    registry.index("app:3", &[(&amd64, ""), (&arm64, "")]);
    assert_eq!(runs(&inspected(&registry, "app:3")), [Some(vec![2]), None]);
}

#[test]
fn an_index_in_an_index_is_gone_into_and_not_without_end() {
    let registry = Registry::open();
    let mut inner = registry.both("app:0", &[b"a"], &[b"bb"]);
    for depth in 1..=6 {
        inner = registry.index(&format!("app:{depth}"), &[(&inner, "")]);
    }
    let image = inspected(&registry, "app:5");
    assert_eq!(runs(&image), [Some(vec![1]), Some(vec![2])]);
    let told = no_image(&registry, "app:6");
    assert!(told.contains("more than 6 deep"), "{told}");
}

#[test]
fn a_manifest_alone_is_for_what_its_configuration_tells() {
    let registry = Registry::open();
    registry.image("app:1", "arm64", &[b"arm64"]);
    let image = inspected(&registry, "app:1");
    assert_eq!(runs(&image), [None, Some(vec![5])]);
    // It is fetched all the same.
    assert_eq!(image.fit(Architecture::Amd64).layers()[0].size, 5);
    assert_eq!(image.others, [""; 0]);

    registry.image("app:2", "s390x", &[b"a"]);
    let image = inspected(&registry, "app:2");
    assert_eq!(runs(&image), [None, None]);
    assert_eq!(image.others, ["linux/s390x"]);

    registry.artifact(
        "app:3",
        (CONFIG, r#"{"os": "windows", "architecture": "amd64"}"#),
        (LAYER, &[b"a"]),
    );
    let image = inspected(&registry, "app:3");
    assert_eq!(runs(&image), [None, None]);
    assert_eq!(image.others, ["windows/amd64"]);
}

#[test]
fn a_configuration_that_tells_no_architecture_is_for_any() {
    let registry = Registry::open();
    registry.artifact("app:1", (CONFIG, "{}"), (LAYER, &[b"a"]));
    let image = inspected(&registry, "app:1");
    assert_eq!(runs(&image), [Some(vec![1]), Some(vec![1])]);
}

#[test]
fn an_image_without_layers_is_one() {
    let registry = Registry::open();
    registry.image("app:1", "amd64", &[]);
    assert_eq!(runs(&inspected(&registry, "app:1"))[0], Some(vec![]));
}

#[test]
fn a_configuration_that_cannot_be_had_fails_the_image() {
    let registry = Registry::open();
    let config = json!({"os": "linux", "architecture": "amd64"}).to_string();
    registry.artifact("lost:1", (CONFIG, &config), (LAYER, &[b"a"]));
    let manifest = registry
        .wait(registry.client.manifest(&registry.reference("lost:1"), &[]))
        .expect("it is there");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).expect("JSON");
    let digest = manifest["config"]["digest"].as_str().expect("a text");
    registry.lose("lost", "layers", digest);
    let error = try_to(&registry, "lost:1").expect_err("nodes cannot pull it");
    assert!(error.is_final(), "{error}");

    registry.artifact("app:1", (CONFIG, "no JSON"), (LAYER, &[b"a"]));
    let told = no_image(&registry, "app:1");
    assert!(told.contains("its configuration is none"), "{told}");
}

#[test]
fn no_more_of_a_configuration_is_read_than_a_bound() {
    let registry = Registry::open();
    let config = json!({"architecture": "amd64", "comment": "a".repeat(4 << 20)}).to_string();
    registry.artifact("app:1", (CONFIG, &config), (LAYER, &[b"a"]));
    let error = try_to(&registry, "app:1").expect_err("it is too large");
    let Error::Registry(inner) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(inner.kind(), Kind::TooLarge { .. }), "{error}");
    assert!(!error.is_final(), "nodes may read it");
}

#[test]
fn what_is_no_image_is_said_in_plain_words() {
    let registry = Registry::open();
    let chart = (
        "application/vnd.cncf.helm.config.v1+json",
        r#"{"name": "chart"}"#,
    );
    registry.artifact(
        "chart:1",
        chart,
        (
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            &[b"a"],
        ),
    );
    let told = no_image(&registry, "chart:1");
    let expected = "chart:1: not an image that a container can be made of: an artifact of type \
                    \"application/vnd.cncf.helm.config.v1+json\"";
    assert!(told.ends_with(expected), "{told}");

    let signature = (
        "application/vnd.dev.cosign.simplesigning.v1+json",
        &[b"{}".as_slice()][..],
    );
    registry.artifact("app:sig", (CONFIG, "{}"), signature);
    let told = no_image(&registry, "app:sig");
    assert!(told.contains("simplesigning"), "{told}");
}

#[test]
fn what_is_not_there_or_not_allowed_is_final() {
    let registry = Registry::closed();
    registry.image("app:1", "amd64", &[b"a"]);
    let error = try_to(&registry, "app:2").expect_err("it is not there");
    assert!(
        error.is_final() && error.to_string().contains("not found"),
        "{error}"
    );
    let reference = registry.reference("app:1");
    let error = registry
        .wait(inspect(&registry.client, &reference, &[]))
        .expect_err("it is not allowed");
    assert!(error.is_final(), "{error}");
}
