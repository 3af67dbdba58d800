//! What a user may say about the daemon's pod.

use serde_json::{Value, json};

use super::helm::{self, deployment, objects, refusal};

fn pod(values: &Value) -> Value {
    deployment(values)["spec"]["template"]["spec"].clone()
}

/// Each value, and the part of the pod that it becomes.
#[test]
fn each_field_of_the_pod_is_what_the_values_say() {
    let constraints =
        json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]);
    let dns = json!({"options": [{"name": "ndots", "value": "2"}]});
    let volumes = json!([{"name": "certificates", "configMap": {"name": "certificates"}}]);
    for (name, value) in [
        ("terminationGracePeriodSeconds", json!(0)),
        ("terminationGracePeriodSeconds", json!(3_600_000)),
        ("runtimeClassName", json!("kata")),
        ("topologySpreadConstraints", constraints),
        ("dnsPolicy", json!("None")),
        ("dnsConfig", dns),
    ] {
        assert_eq!(pod(&json!({name: value}))[name], value, "{name}");
    }
    assert_eq!(pod(&json!({"extraVolumes": volumes}))["volumes"], volumes);
    let plain = pod(&json!({}));
    for absent in [
        "runtimeClassName",
        "topologySpreadConstraints",
        "dnsPolicy",
        "dnsConfig",
        "volumes",
    ] {
        assert_eq!(plain.get(absent), None, "{absent}");
    }
}

#[test]
fn the_container_gets_more_environment_and_mounts_beside_the_charts_own() {
    let plain = pod(&json!({}))["containers"][0].clone();
    assert_eq!(plain.get("volumeMounts"), None);
    let more = json!([
        {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]);
    let from = json!([{"secretRef": {"name": "proxy"}}]);
    let mounts = json!([{"name": "certificates", "mountPath": "/certificates", "readOnly": true}]);
    let values = json!({"extraEnv": more, "extraEnvFrom": from, "extraVolumeMounts": mounts});
    let container = pod(&values)["containers"][0].clone();
    assert_eq!(container["volumeMounts"], mounts);
    for (field, more) in [("env", more), ("envFrom", from)] {
        let mut expected = plain[field].as_array().expect("a list").clone();
        expected.extend(more.as_array().expect("a list").clone());
        assert_eq!(container[field], json!(expected));
    }
}

/// A second value would win, or make the apply fail.
#[test]
fn what_the_chart_tells_the_daemon_cannot_be_told_otherwise() {
    for name in [
        "DEPLOYMENT_NAME",
        "CONFIG_MAP_NAME",
        "POD_NAMESPACE",
        "LOG_FORMAT",
        "LOG_LEVEL",
    ] {
        let error = refusal(&json!({"extraEnv": [{"name": name, "value": "a"}]}));
        assert!(
            error.contains(&format!("extraEnv: {name} is set by the chart itself")),
            "{error}"
        );
    }
    let env =
        pod(&json!({"logFormat": "json", "logLevel": "debug"}))["containers"][0]["env"].clone();
    for variable in env.as_array().expect("a list") {
        let name = &variable["name"];
        refusal(&json!({"extraEnv": [{"name": name, "value": "a"}]}));
    }
}

#[test]
fn each_number_of_the_probes_is_what_the_values_say() {
    for probe in ["livenessProbe", "readinessProbe"] {
        let plain = pod(&json!({}))["containers"][0][probe].clone();
        for number in [
            "initialDelaySeconds",
            "periodSeconds",
            "timeoutSeconds",
            "failureThreshold",
        ] {
            let mut expected = plain.clone();
            expected[number] = json!(77);
            let found = pod(&json!({probe: {number: 77}}))["containers"][0][probe].clone();
            assert_eq!(found, expected, "{probe}.{number}");
        }
    }
}

#[test]
fn common_labels_are_on_every_object_and_on_the_pod_and_never_in_a_selector() {
    let values = json!({
        "commonLabels": {"team": "platform", "tier": 2},
        "podLabels": {"tier": "of-the-pod"},
        "service": {"create": true},
        "serviceMonitor": {"create": true},
        "networkPolicy": {"create": true},
        "podDisruptionBudget": {"create": true},
        "daemonsetNamespace": "elsewhere",
    });
    let all = objects(&values);
    assert!(all.len() >= 12, "only {}", all.len());
    for object in &all {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["team"], "platform", "{object}");
        assert_eq!(labels["tier"], "2", "{object}");
        assert!(labels["helm.sh/chart"].is_string(), "{object}");
        for selector in ["selector", "podSelector"] {
            let selector = object["spec"][selector].to_string();
            assert!(!selector.contains("team"), "{selector}");
        }
    }
    let labels = helm::only(&all, "Deployment")["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(labels["team"], "platform");
    assert_eq!(labels["tier"], "of-the-pod", "the nearer value wins");
}
