//! The Helm chart, rendered by the real `helm`: no cluster is needed, `helm` in PATH is.

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
#[path = "chart/documented.rs"]
mod documented;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/objects.rs"]
mod objects;
#[path = "chart/original.rs"]
mod original;
#[path = "chart/pod.rs"]
mod pod;
#[path = "chart/restricted.rs"]
mod restricted;
#[path = "chart/rights.rs"]
mod rights;
#[path = "chart/settings.rs"]
mod settings;
#[path = "chart/values.rs"]
mod values;

use serde_json::{Value, json};

use helm::{NAMESPACE, RELEASE, config, deployment, names, objects, only};

/// The chart's folder, from the crate's.
const CHART: &str = "../deploy/helm";
/// The name that the chart has.
const NAME: &str = "kubernetes-image-puller";

#[test]
fn a_plain_install_makes_these_objects() {
    assert_eq!(
        names(&objects(&json!({}))),
        [
            "ConfigMap k8s-image-puller",
            "Deployment kubernetes-image-puller",
            "Role k8s-image-puller",
            "RoleBinding k8s-image-puller",
            "ServiceAccount k8s-image-puller",
        ]
    );
}

#[test]
fn every_object_carries_the_common_labels_and_the_namespace() {
    let version = env!("CARGO_PKG_VERSION");
    for object in objects(&json!({})) {
        let metadata = &object["metadata"];
        assert_eq!(metadata["namespace"], NAMESPACE, "{object}");
        let mut labels = metadata["labels"].clone();
        if object["kind"] == "Deployment" {
            let app = labels.as_object_mut().and_then(|map| map.remove("app"));
            assert_eq!(app, Some(json!("kubernetes-image-puller")));
        }
        assert_eq!(
            labels,
            json!({
                "app.kubernetes.io/name": "kubernetes-image-puller",
                "app.kubernetes.io/instance": RELEASE,
                "app.kubernetes.io/component": "daemon",
                "app.kubernetes.io/part-of": "kubernetes-image-puller",
                "app.kubernetes.io/version": version,
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": format!("kubernetes-image-puller-{version}"),
            }),
            "{object}"
        );
    }
}

#[test]
fn the_default_config_map_is_this() {
    assert_eq!(
        config(&json!({})),
        json!({
            "IMAGES": "che-code=quay.io/che-incubator/che-code:latest;\n\
                       base-developer-image=quay.io/devfile/base-developer-image:ubi9-latest",
            "CACHING_INTERVAL_HOURS": "1",
            "REFRESH": "digest",
            "REFRESH_FALLBACK": "node",
            "MAX_NODES_AT_ONCE": "10%",
            "SETTLE_DEADLINE": "10m",
            "PAUSED": "false",
            "CACHING_MEMORY_REQUEST": "10Mi",
            "CACHING_MEMORY_LIMIT": "20Mi",
            "CACHING_CPU_REQUEST": ".05",
            "CACHING_CPU_LIMIT": ".2",
            "DAEMONSET_NAME": "kubernetes-image-puller",
            "DAEMONSET_ANNOTATIONS": "{}",
            "NAMESPACE": NAMESPACE,
            "NODE_SELECTOR": "{}",
            "AFFINITY": "{}",
            "TOLERATIONS": "[]",
            "POD_LABELS": "{}",
            "POD_ANNOTATIONS": "{}",
            "POD_TEMPLATE": "{}",
        })
    );
}

#[test]
fn the_default_deployment_is_this() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        deployment(&json!({}))["spec"],
        json!({
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": "kubernetes-image-puller"}},
            "template": {
                "metadata": {"labels": {
                    "app": "kubernetes-image-puller",
                    "app.kubernetes.io/name": "kubernetes-image-puller",
                    "app.kubernetes.io/instance": RELEASE,
                    "app.kubernetes.io/component": "daemon",
                    "app.kubernetes.io/part-of": "kubernetes-image-puller",
                    "app.kubernetes.io/version": version,
                }},
                "spec": {
                    "serviceAccountName": "k8s-image-puller",
                    "automountServiceAccountToken": true,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 10,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [{
                        "name": "kubernetes-image-puller",
                        "image": format!("kubernetes-image-puller:{version}"),
                        "imagePullPolicy": "IfNotPresent",
                        "env": [
                            {"name": "DEPLOYMENT_NAME", "value": "kubernetes-image-puller"},
                            {"name": "CONFIG_MAP_NAME", "value": "k8s-image-puller"},
                            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                        ],
                        "envFrom": [{"configMapRef": {"name": "k8s-image-puller"}}],
                        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                        "livenessProbe": {
                            "httpGet": {"path": "/livez", "port": "http"},
                            "initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
                        },
                        "readinessProbe": {
                            "httpGet": {"path": "/readyz", "port": "http"},
                            "initialDelaySeconds": 0, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3,
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": true,
                            "runAsNonRoot": true,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "resources": {
                            "requests": {"cpu": "50m", "memory": "64Mi"},
                            "limits": {"cpu": "200m", "memory": "256Mi"},
                        },
                    }],
                },
            },
        })
    );
}

#[test]
fn the_token_is_mounted_by_the_daemons_pod_only() {
    let account = only(&objects(&json!({})), "ServiceAccount").clone();
    assert_eq!(account["automountServiceAccountToken"], false);
}

#[test]
fn an_edit_of_the_config_map_restarts_nothing() {
    let edited = json!({"configMap": {"images": ["other=docker.io/library/other:1"]}});
    assert_eq!(deployment(&edited), deployment(&json!({})));
    assert_ne!(config(&edited), config(&json!({})));
}

#[test]
fn a_new_name_reaches_every_place() {
    let values = json!({
        "deploymentName": "fetcher-one",
        "configMap": {"name": "fetcher-config"},
        "serviceAccount": {"name": "fetcher-account"},
    });
    let text = helm::text_with(&[], &values).expect("a render");
    for object in objects(&values) {
        let name = match object["kind"].as_str() {
            Some("Deployment") => "fetcher-one",
            Some("ConfigMap") => "fetcher-config",
            _ => "fetcher-account",
        };
        assert_eq!(object["metadata"]["name"], name);
    }
    assert_eq!(config(&values)["DAEMONSET_NAME"], "fetcher-one");
    let spec = &deployment(&values)["spec"];
    assert_eq!(
        spec["selector"]["matchLabels"],
        json!({"app": "fetcher-one"})
    );
    assert_eq!(spec["template"]["metadata"]["labels"]["app"], "fetcher-one");
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "fetcher-account");
    let container = &pod["containers"][0];
    assert_eq!(container["env"][0]["value"], "fetcher-one");
    assert_eq!(container["env"][1]["value"], "fetcher-config");
    assert_eq!(
        container["envFrom"][0]["configMapRef"]["name"],
        "fetcher-config"
    );
    assert!(!text.contains("k8s-image-puller"), "{text}");
}

#[test]
fn names_that_yaml_takes_for_something_else_stay_strings() {
    for name in ["123", "1e3", "0x1f", "true", "null", "no", "1-2"] {
        let values = json!({
            "deploymentName": name,
            "configMap": {"name": name},
            "serviceAccount": {"name": name},
            "priorityClassName": name,
            "podLabels": {"team": name},
        });
        for object in objects(&values) {
            assert_eq!(object["metadata"]["name"], name, "{object}");
        }
        let pod = &deployment(&values)["spec"]["template"];
        assert_eq!(pod["metadata"]["labels"]["app"], name);
        assert_eq!(pod["metadata"]["labels"]["team"], name);
        assert_eq!(pod["spec"]["priorityClassName"], name);
        assert_eq!(pod["spec"]["containers"][0]["name"], name);
    }
}

/// Fields that the API server fills in are nobody's, and would forbid the way back to `Recreate`.
#[test]
fn a_rolling_update_is_written_out_and_goes_without_a_trace() {
    let strategy = |name: &str| {
        let values = json!({"updateStrategy": {"type": name}});
        deployment(&values)["spec"]["strategy"].clone()
    };
    assert_eq!(
        strategy("RollingUpdate"),
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
    assert_eq!(strategy("Recreate"), json!({"type": "Recreate"}));
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

#[test]
fn the_image_is_the_charts_version_a_tag_or_a_digest() {
    let image = |tag: Value| {
        let values = json!({"image": {"repository": "registry.example.com:5000/a/b", "tag": tag}});
        deployment(&values)["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let repository = "registry.example.com:5000/a/b";
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image(json!("")), format!("{repository}:{version}"));
    assert_eq!(image(Value::Null), format!("{repository}:{version}"));
    assert_eq!(image(json!("20161216")), format!("{repository}:20161216"));
    let digest = format!("1.0@sha256:{}", "a".repeat(64));
    assert_eq!(image(json!(digest)), format!("{repository}:{digest}"));
}

#[test]
fn the_notes_name_the_images_and_the_commands() {
    let chart = helm::folder();
    let arguments = [
        "install",
        RELEASE,
        chart.to_str().expect("UTF-8"),
        "--namespace",
        NAMESPACE,
        "--dry-run=client",
    ];
    let output = helm::run(
        &arguments,
        Some(&json!({"configMap": {"images": "one=example.com/one:1"}})),
    );
    let said = String::from_utf8_lossy(&output.stdout);
    let (_, notes) = said.split_once("NOTES:").unwrap_or_else(|| {
        panic!(
            "no notes: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    for expected in [
        "holds 1 image on",
        "one=example.com/one:1",
        "kubectl -n puller-home get daemonset kubernetes-image-puller",
        "kubectl -n puller-home get pods -o wide -l app.kubernetes.io/instance=kubernetes-image-puller",
        "kubectl -n puller-home events --for deployment/kubernetes-image-puller",
        "kubectl -n puller-home edit configmap k8s-image-puller",
        "helm uninstall puller-release -n puller-home",
    ] {
        assert!(notes.contains(expected), "no {expected:?} in {notes}");
    }
}
