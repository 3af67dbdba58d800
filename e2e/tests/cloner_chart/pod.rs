//! The pods: how many, where, how they end, what they mount.

use serde_json::{Value, json};

use super::helm::{RELEASE, deployment, objects, only, refusal};

fn pod(values: Value) -> Value {
    deployment(&values)["spec"]["template"]["spec"].clone()
}

#[test]
fn the_default_deployment_is_this() {
    let version = env!("CARGO_PKG_VERSION");
    let mut spec = deployment(&json!({}))["spec"].clone();
    let annotations = spec["template"]["metadata"]["annotations"].take();
    assert_eq!(annotations.as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(
        spec,
        json!({
            "replicas": 2,
            "revisionHistoryLimit": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": {"app": "image-cloner"}},
            "template": {
                "metadata": {
                    "annotations": null,
                    "labels": {
                        "app": "image-cloner",
                        "app.kubernetes.io/name": "image-cloner",
                        "app.kubernetes.io/instance": RELEASE,
                        "app.kubernetes.io/component": "webhook",
                        "app.kubernetes.io/part-of": "kubernetes-image-puller",
                        "app.kubernetes.io/version": version,
                    },
                },
                "spec": {
                    "serviceAccountName": "image-cloner",
                    "automountServiceAccountToken": true,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 45,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [{
                        "name": "image-cloner",
                        "image": format!("image-cloner:{version}"),
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["/image-cloner"],
                        "args": ["serve", "--port=8443", "--metrics-port=8080"],
                        "env": [
                            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                            {"name": "SERVICE_NAME", "value": "image-cloner"},
                            {"name": "WEBHOOK_CONFIGURATION", "value": "image-cloner"},
                            {"name": "PROOF_SECRET", "value": "image-cloner-proofs"},
                            {"name": "CERTIFICATE_SECRET", "value": "image-cloner-certificates"},
                            {"name": "AUTH_DIR", "value": "/auth"},
                        ],
                        "envFrom": [{"configMapRef": {"name": "image-cloner"}}],
                        "ports": [
                            {"name": "https", "containerPort": 8443, "protocol": "TCP"},
                            {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                        ],
                        "livenessProbe": {
                            "httpGet": {"path": "/livez", "port": "http"},
                            "initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
                        },
                        "readinessProbe": {
                            "httpGet": {"path": "/readyz", "port": "http"},
                            "initialDelaySeconds": 0, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3,
                        },
                        "volumeMounts": [{"name": "auth", "mountPath": "/auth", "readOnly": true}],
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": true,
                            "runAsNonRoot": true,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "resources": {
                            "requests": {"cpu": "50m", "memory": "64Mi"},
                            "limits": {"memory": "256Mi"},
                        },
                    }],
                    "volumes": [{"name": "auth", "secret": {"secretName": "registry-auth", "optional": true}}],
                    "topologySpreadConstraints": [{
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"app": "image-cloner"}},
                        "matchLabelKeys": ["pod-template-hash"],
                    }],
                },
            },
        })
    );
}

/// `helm upgrade` and `kubectl apply` over the original, whose selector cannot change.
#[test]
fn the_selector_is_the_name_alone() {
    let values = json!({"podLabels": {"team": "a"}, "commonLabels": {"site": "b"}});
    let spec = &deployment(&values)["spec"];
    assert_eq!(
        spec["selector"],
        json!({"matchLabels": {"app": "image-cloner"}})
    );
    let labels = &spec["template"]["metadata"]["labels"];
    assert_eq!(
        (&labels["team"], &labels["site"]),
        (&json!("a"), &json!("b"))
    );
}

#[test]
fn credentials_may_have_another_name_or_be_none() {
    let other = pod(json!({"registryAuth": {"secret": "team-registry"}}));
    let secret = json!({"secretName": "team-registry", "optional": true});
    assert_eq!(other["volumes"][0]["secret"], secret);
    let none = pod(json!({
        "registryAuth": {"secret": ""}, "settings": {"registry": "registry.example/open"},
    }));
    assert!(none["volumes"].is_null() && none["containers"][0]["volumeMounts"].is_null());
}

#[test]
fn authorities_of_registries_are_mounted() {
    let pod = pod(json!({"registryCA": {"configMap": "authorities"}}));
    let volumes = pod["volumes"].as_array().expect("volumes");
    let volume = json!({"name": "registry-ca", "configMap": {"name": "authorities"}});
    assert!(volumes.contains(&volume), "{volumes:?}");
    let mounts = pod["containers"][0]["volumeMounts"]
        .as_array()
        .expect("mounts");
    let mount = json!({"name": "registry-ca", "mountPath": "/etc/registry-ca", "readOnly": true});
    assert!(mounts.contains(&mount), "{mounts:?}");
}

#[test]
fn pods_are_spread_as_the_user_says_or_not_at_all() {
    let spread = |value: Value| {
        pod(json!({"topologySpreadConstraints": value}))["topologySpreadConstraints"].clone()
    };
    let zones = json!([{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "DoNotSchedule"}]);
    assert_eq!(spread(zones.clone()), zones);
    assert_eq!(spread(json!([])), Value::Null);
    assert_eq!(
        spread(Value::Null)[0]["topologyKey"],
        "kubernetes.io/hostname"
    );
}

#[test]
fn more_of_everything_is_added_and_nothing_of_the_charts_is_replaced() {
    let pod = pod(json!({
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "imagePullSecrets": ["first", {"name": "second"}],
    }));
    let container = &pod["containers"][0];
    assert_eq!(container["env"].as_array().map(Vec::len), Some(7));
    assert_eq!(container["envFrom"][1]["secretRef"]["name"], "more");
    assert_eq!(container["volumeMounts"].as_array().map(Vec::len), Some(2));
    assert_eq!(pod["volumes"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        pod["imagePullSecrets"],
        json!([{"name": "first"}, {"name": "second"}])
    );
    for name in [
        "SERVICE_NAME",
        "AUTH_DIR",
        "CERTIFICATE_SECRET",
        "POD_NAMESPACE",
    ] {
        let error = refusal(&json!({"extraEnv": [{"name": name, "value": "x"}]}));
        let expected = format!("extraEnv: {name} is set by the chart itself");
        assert!(error.contains(&expected), "{error}");
    }
    // It would win over the value, and silently.
    let error = refusal(&json!({"extraEnv": [{"name": "COPIES_AT_ONCE", "value": "2"}]}));
    assert!(
        error.contains("extraEnv: COPIES_AT_ONCE belongs into settings.copiesAtOnce"),
        "{error}"
    );
}

#[test]
fn a_label_of_the_chart_cannot_be_replaced() {
    for field in ["podLabels", "commonLabels"] {
        for label in ["app", "app.kubernetes.io/name"] {
            let error = refusal(&json!({field: {label: "other"}}));
            let expected = format!("{field}: \"{label}\" is a label of the chart");
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn the_image_is_the_charts_version_a_tag_or_a_digest() {
    let image = |tag: Value| {
        let values = json!({"image": {"repository": "registry.example.com:5000/a/b", "tag": tag}});
        pod(values)["containers"][0]["image"].clone()
    };
    let repository = "registry.example.com:5000/a/b";
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image(json!("")), format!("{repository}:{version}"));
    assert_eq!(image(json!("20161216")), format!("{repository}:20161216"));
    let digest = format!("1.0@sha256:{}", "a".repeat(64));
    assert_eq!(image(json!(digest)), format!("{repository}:{digest}"));
    let error = refusal(&json!({"image": {"repository": "image-cloner:v1"}}));
    assert!(error.contains("belongs into image.tag"), "{error}");
}

#[test]
fn a_budget_is_made_where_one_pod_can_go() {
    let has_budget = |values: Value| {
        objects(&values)
            .iter()
            .any(|it| it["kind"] == "PodDisruptionBudget")
    };
    assert!(!has_budget(json!({"replicas": 1})));
    assert!(!has_budget(json!({"replicas": 0})));
    assert!(!has_budget(
        json!({"podDisruptionBudget": {"create": false}})
    ));
    let objects = objects(&json!({"replicas": 3}));
    let budget = &only(&objects, "PodDisruptionBudget")["spec"];
    assert_eq!(
        *budget,
        json!({
            "minAvailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {"app": "image-cloner"}},
        })
    );
}
