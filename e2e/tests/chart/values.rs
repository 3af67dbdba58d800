//! values.yaml, its schema, the README and the templates say the same.

use serde_json::{Value, json};

use super::any::{every_value_counts, the_schema_knows_the_values};
use super::helm::{objects, only, refusal};

#[test]
fn a_typo_is_refused_at_every_level() {
    for (values, place, typo) in [
        (json!({"deploymentname": "a"}), "''", "deploymentname"),
        (json!({"image": {"taag": "1"}}), "'/image'", "taag"),
        (
            json!({"configMap": {"imagess": "a=b"}}),
            "'/configMap'",
            "imagess",
        ),
        (
            json!({"serviceAccount": {"nam": "a"}}),
            "'/serviceAccount'",
            "nam",
        ),
        (json!({"rbac": {"enabled": true}}), "'/rbac'", "enabled"),
        (
            json!({"updateStrategy": {"rollingUpdate": {}}}),
            "'/updateStrategy'",
            "rollingUpdate",
        ),
        (
            json!({"resources": {"request": {}}}),
            "'/resources'",
            "request",
        ),
        (
            json!({"livenessProbe": {"httpGet": {}}}),
            "'/livenessProbe'",
            "httpGet",
        ),
        (
            json!({"readinessProbe": {"period": 1}}),
            "'/readinessProbe'",
            "period",
        ),
        (
            json!({"extraEnv": [{"name": "A", "values": "b"}]}),
            "'/extraEnv/0'",
            "values",
        ),
        (
            json!({"service": {"enabled": true}}),
            "'/service'",
            "enabled",
        ),
        (
            json!({"serviceMonitor": {"enabled": true}}),
            "'/serviceMonitor'",
            "enabled",
        ),
        (
            json!({"networkPolicy": {"enabled": true}}),
            "'/networkPolicy'",
            "enabled",
        ),
        (
            json!({"podDisruptionBudget": {"minAvailable": 1}}),
            "'/podDisruptionBudget'",
            "minAvailable",
        ),
    ] {
        let error = refusal(&values);
        let expected = format!("at {place}: additional properties '{typo}' not allowed");
        assert!(error.contains(&expected), "no {expected:?} in {error}");
    }
}

fn refused_at(values: &Value, place: &str) {
    let error = refusal(values);
    assert!(
        error.contains(&format!("at '{place}'")),
        "no {place} in {error}"
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_refused() {
    for (values, place) in [
        (json!({"deploymentName": "Upper"}), "/deploymentName"),
        (json!({"image": {"tag": 1.1}}), "/image/tag"),
        (json!({"image": {"tag": "a b"}}), "/image/tag"),
        (
            json!({"image": {"pullPolicy": "always"}}),
            "/image/pullPolicy",
        ),
        (
            json!({"updateStrategy": {"type": "recreate"}}),
            "/updateStrategy/type",
        ),
        (
            json!({"imagePullSecrets": [{"name": "a", "key": "b"}]}),
            "/imagePullSecrets/0",
        ),
        (
            json!({"configMap": {"imagePullSecrets": ["Upper"]}}),
            "/configMap/imagePullSecrets/0",
        ),
        (json!({"logLevel": "loud"}), "/logLevel"),
        (json!({"logFormat": "xml"}), "/logFormat"),
        (
            json!({"priorityClassName": {"a": "b"}}),
            "/priorityClassName",
        ),
        (
            json!({"configMap": {"cachingIntervalHours": -1}}),
            "/configMap/cachingIntervalHours",
        ),
        (
            json!({"configMap": {"podLabels": {"a": ["b"]}}}),
            "/configMap/podLabels",
        ),
        (
            json!({"configMap": {"podAnnotations": ["a"]}}),
            "/configMap/podAnnotations",
        ),
        (
            json!({"configMap": {"podPriorityClass": "High"}}),
            "/configMap/podPriorityClass",
        ),
        (
            json!({"configMap": {"podRuntimeClass": {"name": "a"}}}),
            "/configMap/podRuntimeClass",
        ),
        (
            json!({"configMap": {"refresh": "hourly"}}),
            "/configMap/refresh",
        ),
        (
            json!({"configMap": {"refreshFallback": "nobody"}}),
            "/configMap/refreshFallback",
        ),
        (
            json!({"configMap": {"plainHttpRegistries": ["http://r.example"]}}),
            "/configMap/plainHttpRegistries/0",
        ),
        (
            json!({"rbac": {"pullSecrets": [""]}}),
            "/rbac/pullSecrets/0",
        ),
        (
            json!({"registryCA": {"configMap": "A"}}),
            "/registryCA/configMap",
        ),
        (
            json!({"configMap": {"maxNodesAtOnce": 0}}),
            "/configMap/maxNodesAtOnce",
        ),
        (
            json!({"configMap": {"maxNodesAtOnce": "101%"}}),
            "/configMap/maxNodesAtOnce",
        ),
        (
            json!({"configMap": {"settleDeadline": 10}}),
            "/configMap/settleDeadline",
        ),
        (json!({"configMap": {"paused": "yes"}}), "/configMap/paused"),
        (json!({"configMap": {"images": [7]}}), "/configMap/images/0"),
        (
            json!({"configMap": {"images": {"Bad_Name": "a"}}}),
            "/configMap/images",
        ),
        (
            json!({"configMap": {"tolerations": ["a"]}}),
            "/configMap/tolerations/0",
        ),
        (
            json!({"configMap": {"cleanupOnShutdown": "yes"}}),
            "/configMap/cleanupOnShutdown",
        ),
        (
            json!({"serviceAccount": {"create": "false"}}),
            "/serviceAccount/create",
        ),
    ] {
        refused_at(&values, place);
    }
}

#[test]
fn a_tag_in_the_repository_is_refused_and_a_port_is_not() {
    for repository in ["kip:1.0", "registry.example.com:5000/team/kip:1.0"] {
        let error = refusal(&json!({"image": {"repository": repository}}));
        assert!(error.contains("belongs into image.tag"), "{error}");
    }
    let repository = "registry.example.com:5000/team/kip";
    let objects = objects(&json!({"image": {"repository": repository, "tag": "1.0"}}));
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["image"],
        format!("{repository}:1.0").as_str()
    );
}

#[test]
fn a_wrong_value_about_the_pod_or_an_optional_object_is_refused() {
    for (values, place) in [
        (
            json!({"livenessProbe": {"periodSeconds": 0}}),
            "/livenessProbe/periodSeconds",
        ),
        (
            json!({"readinessProbe": {"timeoutSeconds": "5"}}),
            "/readinessProbe/timeoutSeconds",
        ),
        (
            json!({"terminationGracePeriodSeconds": -1}),
            "/terminationGracePeriodSeconds",
        ),
        (json!({"runtimeClassName": "Kata"}), "/runtimeClassName"),
        (json!({"dnsPolicy": "ClusterLast"}), "/dnsPolicy"),
        (json!({"daemonsetNamespace": "a.b"}), "/daemonsetNamespace"),
        (
            json!({"extraEnv": [{"name": "A", "value": 1}]}),
            "/extraEnv/0/value",
        ),
        (json!({"service": {"port": 65536}}), "/service/port"),
        (
            json!({"serviceMonitor": {"interval": "30"}}),
            "/serviceMonitor/interval",
        ),
        (
            json!({"networkPolicy": {"apiServerPorts": []}}),
            "/networkPolicy/apiServerPorts",
        ),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "half"}}),
            "/podDisruptionBudget/maxUnavailable",
        ),
    ] {
        refused_at(&values, place);
    }
}

/// An upgrade with `--reuse-values` from a chart that did not have them leaves them out.
#[test]
fn a_missing_part_is_refused() {
    for part in [
        "image",
        "rbac",
        "updateStrategy",
        "podSecurityContext",
        "containerSecurityContext",
        "livenessProbe",
        "readinessProbe",
        "terminationGracePeriodSeconds",
        "service",
        "serviceMonitor",
        "networkPolicy",
        "podDisruptionBudget",
    ] {
        let error = refusal(&json!({part: null}));
        assert!(
            error.contains(&format!("missing property '{part}'")),
            "{error}"
        );
    }
}

/// Another legal value for a leaf of values.yaml.
fn other(path: &str, value: &Value) -> Value {
    match path {
        "image.pullPolicy" => json!("Always"),
        "updateStrategy.type" => json!("RollingUpdate"),
        "logFormat" => json!("json"),
        "logLevel" => json!("debug"),
        "configMap.cleanupOnShutdown" => json!(true),
        "configMap.podTemplate" => json!({"spec": {"hostNetwork": true}}),
        "configMap.refresh" => json!("never"),
        "configMap.refreshFallback" => json!("always"),
        "configMap.maxNodesAtOnce" => json!("5"),
        "configMap.images"
        | "imagePullSecrets"
        | "rbac.pullSecrets"
        | "containerSecurityContext.capabilities.drop" => json!(["another"]),
        "tolerations" | "configMap.tolerations" => json!([{"key": "another"}]),
        "dnsPolicy" => json!("Default"),
        "serviceMonitor.interval" | "serviceMonitor.scrapeTimeout" => json!("7s"),
        "networkPolicy.apiServerPorts" | "networkPolicy.registryPorts" => json!([7443]),
        "topologySpreadConstraints"
        | "extraEnv"
        | "extraEnvFrom"
        | "extraVolumes"
        | "extraVolumeMounts"
        | "networkPolicy.ingressFrom"
        | "networkPolicy.extraEgress" => json!([{"name": "another"}]),
        _ => match value {
            Value::Bool(on) => json!(!on),
            Value::Number(number) => json!(number.as_u64().map_or(1, |number| number + 1)),
            Value::String(_) => json!("another"),
            Value::Object(_) => json!({"another": "one"}),
            _ => panic!("{path}: say above what else it could be than {value}"),
        },
    }
}

#[test]
fn the_schema_knows_the_same_values_as_the_file() {
    the_schema_knows_the_values(&[]);
}

#[test]
fn every_value_is_used_by_a_template() {
    const EVERYTHING: &[&str] = &[
        "--set",
        "service.create=true,serviceMonitor.create=true,networkPolicy.create=true,podDisruptionBudget.create=true",
    ];
    // What is not made by default must be made for its values to count.
    let made = |path: &str| match path {
        path if path.ends_with(".create") => &[] as &[&str],
        "registryCA.key" => &["--set", "registryCA.configMap=some"],
        _ => EVERYTHING,
    };
    every_value_counts(75, made, other);
}
