//! The plain manifests are the chart's, of its default values.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::helm::{names, objects};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn manifests() -> Vec<Value> {
    let path = root().join("deploy/image-cloner.yaml");
    let text = std::fs::read_to_string(path).expect("the plain manifests");
    serde_saphyr::from_multiple(&text).expect("YAML")
}

#[test]
fn they_are_up_to_date() {
    let script = root().join("hack/cloner-manifests.sh");
    let output = Command::new(script).arg("--check").output();
    let output = output.expect("bash");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// In the namespace of the original, and with no trace of Helm, which has not installed them.
#[test]
fn they_are_the_objects_of_the_chart_in_the_namespace_default() {
    let made = manifests();
    assert_eq!(names(&made), names(&objects(&json!({}))));
    for object in &made {
        let namespace = object["metadata"]["namespace"].as_str();
        assert!(namespace.is_none_or(|it| it == "default"), "{object}");
        let text = object.to_string();
        assert!(
            !text.contains("Helm") && !text.contains("helm.sh"),
            "{text}"
        );
    }
    let webhook = made.last().expect("an object");
    assert_eq!(webhook["kind"], "MutatingWebhookConfiguration");
    // The one of the original, which `kubectl apply` then replaces.
    assert_eq!(
        webhook["webhooks"][0]["name"],
        "image-cloner.default.svc.cluster.local"
    );
}
