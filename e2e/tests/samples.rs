//! The sample images in a real registry: `docker-registry` (Debian's package) and `skopeo` must be in PATH.

#![allow(
    clippy::panic,
    reason = "a test fails by a panic, in its helper functions as well"
)]

#[path = "support/registry.rs"]
mod registry_process;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use kip_e2e::image::{Config, Entry, Error, Image, Layer};
use kip_e2e::registry::{self, Registry};
use kip_e2e::samples::{self, Edition, Pushed};
use registry_process::RegistryProcess;
use serde_json::Value;
use tempfile::TempDir;

fn edition(salt: &str) -> Edition<'_> {
    Edition {
        prefix: "demo",
        tag: "1",
        salt,
    }
}

fn names(pushed: &[Pushed]) -> Vec<&'static str> {
    pushed.iter().map(|pushed| pushed.name).collect()
}

#[test]
fn every_sample_is_pushed_and_its_tag_resolves_to_its_digest() {
    let registry = RegistryProcess::start();
    let pushed = samples::push_all(&registry.client, edition("")).expect("pushed");
    assert_eq!(
        names(&pushed),
        [
            "layers",
            "scratch",
            "volume",
            "user-by-name",
            "user-root",
            "closed-workdir",
            "stop-rtmin3",
            "stop-winch",
            "healthcheck",
            "no-entrypoint",
            "env-nvidia",
        ]
    );
    for sample in &pushed {
        let address = registry.client.address();
        assert_eq!(
            sample.reference(),
            format!("{address}/demo/{}:1", sample.name)
        );
        assert_eq!(
            sample.reference_by_digest(),
            format!("{address}/demo/{}@{}", sample.name, sample.digest)
        );
        let resolved = registry
            .client
            .resolve(&format!("demo/{}", sample.name), "1");
        assert_eq!(
            resolved.expect("resolved"),
            Some(sample.digest.clone()),
            "{}",
            sample.name
        );
    }
    let again = samples::push_all(&registry.client, edition("")).expect("pushed again");
    assert_eq!(again, pushed);
}

#[test]
fn skopeo_reads_what_each_sample_is_for() {
    let registry = RegistryProcess::start();
    for sample in samples::all() {
        sample.push(&registry.client, edition("")).expect("pushed");
    }
    let cases = [
        ("volume", "/config/Volumes/~1data", "{}"),
        ("user-by-name", "/config/User", r#""somebody""#),
        ("user-root", "/config/User", r#""0""#),
        ("closed-workdir", "/config/WorkingDir", r#""/closed""#),
        ("stop-rtmin3", "/config/StopSignal", r#""SIGRTMIN+3""#),
        ("stop-winch", "/config/StopSignal", r#""SIGWINCH""#),
        (
            "healthcheck",
            "/config/Healthcheck/Test",
            r#"["CMD","/does/not/exist"]"#,
        ),
        (
            "no-entrypoint",
            "/config/Entrypoint",
            r#"["/does/not/exist"]"#,
        ),
        (
            "env-nvidia",
            "/config/Env",
            r#"["NVIDIA_VISIBLE_DEVICES=all"]"#,
        ),
    ];
    for (name, pointer, expected) in cases {
        // `--config` alone is OCI's reading, which drops a health check.
        let config = registry.inspect(&format!("demo/{name}:1"), &["--config", "--raw"]);
        let value = config.pointer(pointer).map(Value::to_string);
        assert_eq!(value.as_deref(), Some(expected), "{name} {pointer}");
    }
    let manifest = registry.inspect("demo/layers:1", &["--raw"]);
    let sizes: Vec<_> = manifest["layers"]
        .as_array()
        .expect("a list of layers")
        .iter()
        .map(|layer| layer["size"].as_u64().expect("a size") / 1024)
        .collect();
    assert_eq!(sizes.len(), 6, "{sizes:?}");
    let total: u64 = sizes.iter().sum();
    assert!((7800..8400).contains(&total), "{total} KiB in {sizes:?}");
}

#[test]
fn unpacked_layers_have_the_digests_of_the_config() {
    let registry = RegistryProcess::start();
    for sample in samples::all() {
        sample.push(&registry.client, edition("")).expect("pushed");
        let target = TempDir::new().expect("a temporary folder");
        let output = Command::new("skopeo")
            .args(["copy", "--src-tls-verify=false", "--format=oci"])
            .arg("--dest-decompress")
            .arg(format!(
                "docker://{}/demo/{}:1",
                registry.client.address(),
                sample.name
            ))
            .arg(format!("dir:{}", target.path().display()))
            .output()
            .expect("skopeo in PATH (Debian: apt-get install skopeo)");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", sample.name);
        let manifest = fs::read(target.path().join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        let unpacked: Vec<_> = manifest["layers"]
            .as_array()
            .expect("a list of layers")
            .iter()
            .map(|layer| layer["digest"].clone())
            .collect();
        let config = registry.inspect(&format!("demo/{}:1", sample.name), &["--config"]);
        assert_eq!(
            config["rootfs"]["diff_ids"],
            Value::from(unpacked),
            "{}",
            sample.name
        );
    }
}

#[test]
fn another_salt_shares_no_blob() {
    for sample in samples::all() {
        let blobs = |salt| -> BTreeSet<String> {
            let image: Image = sample.image(salt).expect("an image");
            let all = image.layers.iter().chain([&image.config, &image.manifest]);
            all.map(|blob| blob.digest.to_string()).collect()
        };
        let (plain, salted) = (blobs(""), blobs("another"));
        assert!(plain.is_disjoint(&salted), "{}", sample.name);
        assert_eq!(salted, blobs("another"), "{}", sample.name);
    }
}

#[test]
fn no_two_samples_share_a_layer() {
    let mut seen = BTreeSet::new();
    for sample in samples::all() {
        for layer in sample.image("").expect("an image").layers {
            assert!(seen.insert(layer.digest.to_string()), "{}", sample.name);
        }
    }
}

#[test]
fn a_deleted_manifest_no_longer_resolves() {
    let registry = RegistryProcess::start();
    let client = &registry.client;
    let sample = samples::all().remove(1);
    let pushed = sample.push(client, edition("")).expect("pushed");
    client
        .delete("demo/scratch", &pushed.digest)
        .expect("deleted");
    assert_eq!(
        client.resolve("demo/scratch", "1").expect("an answer"),
        None
    );
    let again = client.delete("demo/scratch", &pushed.digest);
    let error = again.expect_err("nothing is left to delete");
    assert!(
        matches!(&error, registry::Error::Answer { status, .. } if status.as_u16() == 404),
        "{error}"
    );
}

#[test]
fn a_registry_that_is_gone_is_named_in_the_error() {
    let address = {
        let registry = RegistryProcess::start();
        registry.client.address().to_owned()
    };
    let answer = Registry::new(&address).resolve("demo/scratch", "1");
    let error = answer.expect_err("nobody listens").to_string();
    assert_eq!(
        error,
        format!("HEAD http://{address}/v2/demo/scratch/manifests/1: no answer")
    );
}

#[test]
fn a_path_that_leaves_the_image_is_refused() {
    let error = Layer::new(&[Entry::file("../escape", "")]).expect_err("refused");
    assert!(matches!(error, Error::Entry { path, .. } if path == "../escape"));
}

#[test]
fn an_image_without_a_health_check_is_of_oci_s_format() {
    let image = Image::new(Vec::new(), &Config::default()).expect("an image");
    assert_eq!(
        image.media_type,
        "application/vnd.oci.image.manifest.v1+json"
    );
}

#[test]
fn the_program_prints_one_line_for_each_sample() {
    let registry = RegistryProcess::start();
    let address = registry.client.address();
    let output = Command::new(env!("CARGO_BIN_EXE_sample-images"))
        .args(["--registry", address, "--prefix", "p", "--tag", "t"])
        .args(["--salt", "s"])
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines: Vec<_> = samples::all()
        .iter()
        .map(|sample| format!("{0}={address}/p/{0}:t\n", sample.name))
        .collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout), lines.concat());
    let salted = samples::all().remove(0).image("s").expect("an image");
    let resolved = registry.client.resolve("p/layers", "t").expect("resolved");
    assert_eq!(resolved.as_ref(), Some(salted.digest()));
}
