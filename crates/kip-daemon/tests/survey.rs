//! `check --registries` beside real registries, `docker-registry`, which must be in PATH.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "survey/credentials.rs"]
mod credentials;
#[path = "support/registry.rs"]
mod registry;
mod support;

use std::net::TcpListener;

use serde_json::json;

use registry::{CONFIG, LAYER, Registry};
use support::{output, text};

/// `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: i32 = 78;
/// `EX_USAGE` of sysexits.h.
const EXIT_USAGE: i32 = 64;

/// What `check --registries` says.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    /// After the summary.
    report: String,
    complaints: Vec<String>,
}

/// Asks for images, given as `NAME=REPOSITORY:TAG`, of these hosts in their order.
fn check(images: &[(&str, &str)], arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let list: Vec<String> = images
        .iter()
        .map(|(host, image)| image.replacen('=', &format!("={host}/"), 1))
        .collect();
    let hosts: Vec<&str> = images.iter().map(|(host, _)| *host).collect();
    let (list, hosts) = (list.join(";"), hosts.join(";"));
    let mut all = vec!["check", "--registries"];
    all.extend(arguments);
    let settings = [
        ("IMAGES", list.as_str()),
        ("PLAIN_HTTP_REGISTRIES", &hosts),
        ("CACHING_CPU_REQUEST", "0"),
    ];
    let output = output(
        &all,
        settings.into_iter().chain(environment.iter().copied()),
    );
    let said = text(&output.stdout);
    let sizing = "--nodes N prints a ResourceQuota for N nodes\n";
    let report = said.split_once(sizing).map(|(_, report)| report);
    Said {
        status: output.status.code(),
        report: report.unwrap_or_default().to_owned(),
        complaints: text(&output.stderr).lines().map(str::to_owned).collect(),
    }
}

impl Said {
    /// The cells of the line that begins with this name.
    fn row(&self, name: &str) -> Vec<&str> {
        let mut lines = self.report.lines();
        let line = lines.find_map(|line| line.trim_start().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {self:?}"))
            .split_whitespace()
            .collect()
    }

    fn complaint(&self, name: &str) -> &str {
        let beginning = format!("image {name}: ");
        let mut lines = self.complaints.iter();
        let line = lines.find(|line| line.contains(&beginning));
        line.unwrap_or_else(|| panic!("nothing about {name} in {self:?}"))
    }
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

#[test]
fn a_list_is_summed_up_with_shared_layers_counted_once() {
    let registry = Registry::open();
    let shared = vec![b's'; 2048];
    registry.both("one:1", &[&shared, b"a"], &[b"12345"]);
    registry.both("two:1", &[&shared], &[b"1234567"]);
    let host = registry.host();
    let said = check(&[(host, "one=one:1"), (host, "two=two:1")], &[], &[]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(said.complaints, [""; 0]);
    assert_eq!(said.row("one"), ["2.1Ki", "1", "5", "5"]);
    assert_eq!(said.row("two"), ["2.0Ki", "0", "7", "7"]);
    assert_eq!(said.row("a node pulls"), ["2.1Ki", "12"]);
    assert_eq!(said.row("on its disk"), ["~9.1Ki", "~54"]);
    assert!(said.report.contains("an estimate, 4.5 ×"), "{said:?}");
}

#[test]
fn an_image_for_one_architecture_is_told_and_is_no_error() {
    let registry = Registry::open();
    let host = registry.host();
    registry.both("both:1", &[b"a"], &[b"b"]);
    let amd64 = registry.image("index:x", "amd64", &[b"abc"]);
    registry.index(
        "index:1",
        &[(&amd64, "linux/amd64"), (&amd64, "linux/s390x")],
    );
    registry.image("alone:1", "arm64", &[b"abcd"]);
    registry.both("mirror:1", &[b"abcde"], &[b"b"]);
    let mirrored = registry.image("mirror:arm64", "arm64", &[b"b"]);
    registry.lose(
        "mirror",
        "manifests/revisions",
        mirrored["digest"].as_str().expect("a text"),
    );
    let images = [
        (host, "both=both:1"),
        (host, "mirror=mirror:1"),
        (host, "index=index:1"),
        (host, "alone=alone:1"),
    ];
    let said = check(&images, &[], &[]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(said.row("index"), ["3", "3", "none"]);
    assert_eq!(said.row("alone"), ["(4)", "4", "4", "4"]);
    assert_eq!(said.row("mirror"), ["5", "5", "none"]);
    assert_eq!(said.complaints.len(), 3, "{said:?}");
    let mirror = said.complaint("mirror");
    assert!(
        mirror.contains("not there for arm64, only for linux/amd64: nodes"),
        "{mirror}"
    );
    let index = said.complaint("index");
    assert!(
        index.starts_with("warning: ")
            && index.contains(
                "not there for arm64, only for linux/amd64, linux/s390x: nodes of another"
            ),
        "{index}"
    );
    let alone = said.complaint("alone");
    assert!(
        alone.contains("not there for amd64, only for linux/arm64")
            && alone.contains("fetch it all the same"),
        "{alone}"
    );

    // A list for nodes of one architecture.
    let selector = [("NODE_SELECTOR", "{\"kubernetes.io/arch\": \"arm64\"}")];
    let said = check(&images, &[], &selector);
    assert_eq!(said.status, Some(EXIT_CONFIG), "{said:?}");
    for name in ["index", "mirror"] {
        assert!(said.complaint(name).starts_with("error: "), "{said:?}");
    }
    assert_eq!(said.complaints.len(), 2, "{said:?}");
    assert_eq!(said.row("a node pulls"), ["5"]);
}

#[test]
fn an_image_for_no_platform_of_ours_is_an_error() {
    let registry = Registry::open();
    let s390x = registry.image("app:x", "s390x", &[b"a"]);
    registry.index("app:1", &[(&s390x, "linux/s390x")]);
    let said = check(&[(registry.host(), "app=app:1")], &[], &[]);
    assert_eq!(said.status, Some(EXIT_CONFIG), "{said:?}");
    let expected =
        "app:1 is not there for amd64 or arm64, only for linux/s390x: no node can pull it";
    assert!(said.complaint("app").ends_with(expected), "{said:?}");
}

#[test]
fn every_image_is_asked_for_also_after_one_that_is_not_there() {
    let registry = Registry::open();
    let host = registry.host();
    registry.both("app:1", &[b"a"], &[b"b"]);
    let images = [
        (host, "gone=gone:1"),
        (host, "app=app:1"),
        (host, "old=app:0"),
    ];
    let said = check(&images, &[], &[]);
    assert_eq!(said.status, Some(EXIT_CONFIG), "{said:?}");
    assert_eq!(said.complaints.len(), 2, "{said:?}");
    for name in ["gone", "old"] {
        let complaint = said.complaint(name);
        assert!(
            complaint.starts_with("error: ")
                && complaint.contains("not found")
                && complaint.contains("MANIFEST_UNKNOWN")
                || complaint.contains("NAME_UNKNOWN"),
            "{complaint}"
        );
    }
    assert_eq!(said.row("app"), ["1", "1", "1", "1"]);
    assert!(
        said.report
            .ends_with("Nothing is known of 2 of 3 images: they are not counted\n"),
        "{said:?}"
    );
}

/// An error's cause may quote what the registry sent.
#[test]
fn what_a_registry_sends_does_not_fill_the_terminal() {
    let registry = Registry::open();
    let config =
        json!({"architecture": [format!("\u{1b}[31m{}", "a".repeat(1 << 20))]}).to_string();
    registry.artifact("config:1", (CONFIG, &config), (LAYER, &[b"a"]));
    let artifact = format!("x/{}", "a".repeat(1 << 20));
    registry.artifact("artifact:1", (&artifact, "{}"), (LAYER, &[b"a"]));
    let host = registry.host();
    let images = [(host, "config=config:1"), (host, "artifact=artifact:1")];
    let said = check(&images, &[], &[]);
    assert_eq!(said.status, Some(EXIT_CONFIG), "{said:?}");
    for name in ["config", "artifact"] {
        let complaint = said.complaint(name);
        assert!(complaint.contains("not an image"), "{complaint}");
        assert!(complaint.len() < 2000, "{} bytes", complaint.len());
        assert!(!complaint.contains(char::is_control), "{complaint:?}");
    }
}

#[test]
fn a_registry_that_cannot_be_reached_is_another_status_and_asked_for_once() {
    let nobody = nobody();
    let registry = Registry::open();
    registry.both("app:1", &[b"a"], &[b"b"]);
    // More than are asked for at a time.
    let names: Vec<String> = (0..20).map(|n| format!("away{n}=away{n}:1")).collect();
    let mut images: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (nobody.as_str(), name.as_str()))
        .collect();
    images.push((registry.host(), "app=app:1"));
    let said = check(&images, &[], &[]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert_eq!(said.complaints.len(), 20, "{said:?}");
    assert!(
        said.complaint("away0")
            .contains("no connection; check address"),
        "{said:?}"
    );
    let last = said.complaint("away19");
    assert!(
        last.contains("not asked for, since of another image: ") && last.contains("no connection"),
        "{last}"
    );
    assert_eq!(said.row("a node pulls"), ["1", "1"]);

    images.push((registry.host(), "gone=gone:1"));
    let said = check(&images, &[], &[]);
    assert_eq!(
        said.status,
        Some(EXIT_CONFIG),
        "what is wrong counts first: {said:?}"
    );
}

#[test]
fn a_disk_that_is_too_small_is_warned_of() {
    let registry = Registry::open();
    registry.both("app:1", &[&[b'a'; 1000]], &[b"b"]);
    let images = [(registry.host(), "app=app:1")];
    // 4500 bytes of 18000 are a quarter.
    for (disk, warnings) in [("18k", 0), ("17999", 1)] {
        let said = check(&images, &["--node-disk", disk], &[]);
        assert_eq!(said.status, Some(0), "{said:?}");
        assert_eq!(said.complaints.len(), warnings, "{said:?}");
        for warning in &said.complaints {
            assert!(
                warning.starts_with("warning: the images take about 4.4Ki of the disk of a node of amd64, 25.1 % of 17999"),
                "{warning}"
            );
        }
    }
}

#[test]
fn options_of_the_registries_need_them_and_check() {
    for arguments in [
        &["check", "--node-disk", "5Gi"][..],
        &["check", "--docker-config", "file"],
        &["check", "--registries", "--node-disk", "0"],
        &["check", "--registries", "--node-disk", "5GB"],
        &["check", "--registries=yes"],
        &["render", "--registries"],
        &["--registries"],
    ] {
        let output = output(arguments, [("IMAGES", "nginx")]);
        let said = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(EXIT_USAGE),
            "{arguments:?}: {said}"
        );
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

#[test]
fn a_registry_of_an_authority_of_your_own_is_asked_when_its_file_is_named() {
    let registry = Registry::with_tls();
    registry.image("app:1", "amd64", &[b"abc"]);
    let ca = registry.file("ca.crt").display().to_string();
    // The settings of this test name each host as one without TLS, unless the list is written in the environment.
    let list = format!("app={}/app:1", registry.host());
    let ask = |ca: &str| {
        let settings = [
            ("IMAGES", list.as_str()),
            ("REGISTRY_CA_FILE", ca),
            ("PLAIN_HTTP_REGISTRIES", ""),
        ];
        let output = output(&["check", "--registries"], settings);
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (status, said, complaints) = ask(&ca);
    assert_eq!(status, Some(0), "{complaints}");
    assert!(said.contains("a node pulls"), "{said}");
    let (status, _, complaints) = ask("");
    assert_eq!(status, Some(1), "{complaints}");
    let (status, _, complaints) = ask("/nowhere/ca.crt");
    assert_eq!(status, Some(1));
    assert!(
        complaints.contains("REGISTRY_CA_FILE=/nowhere/ca.crt: the file cannot be read"),
        "{complaints}"
    );
}
