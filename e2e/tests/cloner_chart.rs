//! The Helm chart of image-cloner, and the plain manifests made from it: no cluster is needed, `helm` in PATH is.

#![allow(
    clippy::panic,
    reason = "a test fails by a panic, in its helper functions as well"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "values are `json!` literals: a `&` before each would only be noise"
)]

#[path = "chart/any.rs"]
mod any;
#[path = "cloner_chart/certificates.rs"]
mod certificates;
#[path = "chart/documented.rs"]
mod documented;
#[path = "chart/helm.rs"]
mod helm;
#[path = "cloner_chart/mistakes.rs"]
mod mistakes;
#[path = "cloner_chart/objects.rs"]
mod objects;
#[path = "cloner_chart/plain.rs"]
mod plain;
#[path = "cloner_chart/pod.rs"]
mod pod;
#[path = "chart/restricted.rs"]
mod restricted;
#[path = "cloner_chart/rights.rs"]
mod rights;
#[path = "cloner_chart/settings.rs"]
mod settings;
#[path = "cloner_chart/values.rs"]
mod values;
#[path = "cloner_chart/webhook.rs"]
mod webhook;

use serde_json::{Value, json};

use helm::{NAMESPACE, RELEASE, names, objects, only};

/// The chart's folder, from the crate's.
const CHART: &str = "../deploy/image-cloner";
/// The name that the chart has.
const NAME: &str = "image-cloner";

/// The only webhook of the configuration that the chart makes of these values.
fn only_webhook(values: &Value) -> Value {
    let objects = objects(values);
    let webhooks = &only(&objects, "MutatingWebhookConfiguration")["webhooks"];
    assert_eq!(webhooks.as_array().map(Vec::len), Some(1), "{webhooks}");
    webhooks[0].clone()
}

#[test]
fn a_plain_install_makes_these_objects() {
    assert_eq!(
        names(&objects(&json!({}))),
        [
            "ClusterRole image-cloner",
            "ClusterRoleBinding image-cloner",
            "ConfigMap image-cloner",
            "Deployment image-cloner",
            "MutatingWebhookConfiguration image-cloner",
            "PodDisruptionBudget image-cloner",
            "Role image-cloner",
            "RoleBinding image-cloner",
            "Secret image-cloner-certificates",
            "Secret image-cloner-proofs",
            "Service image-cloner",
            "ServiceAccount image-cloner",
        ]
    );
}

#[test]
fn every_object_carries_the_common_labels_and_the_namespace_if_it_has_one() {
    let version = env!("CARGO_PKG_VERSION");
    for object in objects(&json!({"commonLabels": {"team": "platform"}})) {
        let metadata = &object["metadata"];
        let kind = object["kind"].as_str().expect("a kind");
        if kind.starts_with("Cluster") || kind == "MutatingWebhookConfiguration" {
            assert!(metadata["namespace"].is_null(), "{object}");
        } else {
            assert_eq!(metadata["namespace"], NAMESPACE, "{object}");
        }
        let mut labels = metadata["labels"].clone();
        if matches!(kind, "Deployment" | "Service") {
            let app = labels.as_object_mut().and_then(|map| map.remove("app"));
            assert_eq!(app, Some(json!("image-cloner")));
        }
        assert_eq!(
            labels,
            json!({
                "app.kubernetes.io/name": "image-cloner",
                "app.kubernetes.io/instance": RELEASE,
                "app.kubernetes.io/component": "webhook",
                "app.kubernetes.io/part-of": "kubernetes-image-puller",
                "app.kubernetes.io/version": version,
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": format!("image-cloner-{version}"),
                "team": "platform",
            }),
            "{object}"
        );
    }
}

/// Two releases side by side: nothing of one has a name of the other.
#[test]
fn a_new_name_reaches_every_place() {
    let values = json!({
        "name": "backup-two",
        "rbac": {"namespaces": ["shop"]},
        "networkPolicy": {"create": true},
        "serviceMonitor": {"create": true},
    });
    let made = objects(&values);
    let first = names(&objects(&json!({})));
    for name in names(&made) {
        assert!(name.contains(" backup-two"), "{name}");
        assert!(!first.contains(&name), "{name}");
    }
    // What is left of the old name says what the program is, not which of them.
    for object in &made {
        let mut object = object.clone();
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            if let Some(labels) = object.pointer_mut(labels) {
                *labels = Value::Null;
            }
        }
        let text = object.to_string();
        let left = text
            .replace("\"name\":\"image-cloner\"", "")
            .replace("\"image-cloner\":\"enabled\"", "")
            .replace("\"values\":[\"image-cloner\"]", "")
            .replace("\"command\":[\"/image-cloner\"]", "")
            .replace("\"image\":\"image-cloner:", "");
        assert!(!left.contains("image-cloner"), "{left}");
    }
}

#[test]
fn names_that_yaml_takes_for_something_else_stay_strings() {
    for name in ["true", "null", "no", "e3"] {
        let values = json!({
            "name": name, "priorityClassName": name, "podLabels": {"team": name},
            "registryAuth": {"secret": name}, "settings": {"pullSecret": name},
        });
        let objects = objects(&values);
        for object in &objects {
            let is = object["metadata"]["name"].as_str().expect("a string");
            assert!(is.starts_with(name), "{object}");
        }
        let pod = &only(&objects, "Deployment")["spec"]["template"];
        assert_eq!(pod["metadata"]["labels"]["app"], name);
        assert_eq!(pod["metadata"]["labels"]["team"], name);
        assert_eq!(pod["spec"]["priorityClassName"], name);
        assert_eq!(pod["spec"]["volumes"][0]["secret"]["secretName"], name);
        assert_eq!(only(&objects, "ConfigMap")["data"]["PULL_SECRET"], name);
    }
}

#[test]
fn kubernetes_is_1_29_or_newer_with_any_vendors_suffix() {
    let on = |version: &str| helm::text_with(&["--kube-version", version], &json!({}));
    for version in ["1.29.0", "v1.29.4-eks-1a2b3c", "1.33.1+k3s1", "1.36.3"] {
        assert!(on(version).is_ok(), "{version}: {:?}", on(version));
    }
    let error = on("1.28.15").expect_err("1.28 is too old");
    assert!(error.contains(">=1.29.0-0"), "{error}");
}

fn notes(values: Value) -> String {
    let chart = helm::folder();
    let chart = chart.to_str().expect("UTF-8");
    let arguments = [
        "install",
        RELEASE,
        chart,
        "--namespace",
        NAMESPACE,
        "--dry-run=client",
    ];
    let output = helm::run(&arguments, Some(&values));
    let said = String::from_utf8_lossy(&output.stdout);
    let (_, notes) = said.split_once("NOTES:").unwrap_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        panic!("no notes: {said}{error}")
    });
    notes.to_owned()
}

#[test]
fn the_notes_name_what_is_to_be_done_next() {
    let plain = notes(json!({}));
    for expected in [
        "Copies go to Docker Hub.",
        "kubectl -n puller-home create secret generic registry-auth",
        "kubectl label namespace NAMESPACE image-cloner=enabled",
        "kubectl -n puller-home rollout status deployment/image-cloner",
        "kubectl -n puller-home exec deploy/image-cloner -- /image-cloner mirror --all-namespaces",
        "helm uninstall puller-release -n puller-home",
    ] {
        assert!(plain.contains(expected), "no {expected:?} in {plain}");
    }
    assert!(!plain.contains("is Fail"), "{plain}");
    let all = notes(json!({
        "settings": {"registry": "r.example/backup"},
        "webhook": {"allNamespaces": true, "failurePolicy": "Fail"},
        "registryAuth": {"secret": ""}, "rbac": {"pods": false},
    }));
    for expected in [
        "Copies go to r.example/backup.",
        "All namespaces take part but these: kube-system, kube-node-lease, kube-public, puller-home.",
        "kubectl delete mutatingwebhookconfiguration image-cloner",
    ] {
        assert!(all.contains(expected), "no {expected:?} in {all}");
    }
    for absent in ["image-cloner=enabled", "create secret", "restore-report"] {
        assert!(!all.contains(absent), "{absent:?} in {all}");
    }
    let some = notes(json!({"webhook": {"namespaceSelector": {"matchLabels": {"backup": "yes"}}}}));
    assert!(some.contains("backup: \"yes\""), "{some}");
}
