//! values.yaml, its schema, the README and the templates say the same.

use serde_json::{Value, json};

use super::any::{every_value_counts, the_schema_knows_the_values};
use super::helm::refusal;

/// An upgrade with `--reuse-values` from a chart that did not have them leaves them out.
#[test]
fn a_missing_part_is_refused() {
    for part in [
        "name",
        "replicas",
        "image",
        "settings",
        "registryAuth",
        "registryCA",
        "webhook",
        "certificates",
        "serviceAccount",
        "rbac",
        "terminationGracePeriodSeconds",
        "livenessProbe",
        "readinessProbe",
        "podSecurityContext",
        "containerSecurityContext",
        "service",
        "serviceMonitor",
        "networkPolicy",
        "podDisruptionBudget",
    ] {
        let error = refusal(&json!({part: null}));
        let expected = format!("missing property '{part}'");
        assert!(error.contains(&expected), "{error}");
    }
}

/// Another legal value for a leaf of values.yaml.
fn other(path: &str, value: &Value) -> Value {
    match path {
        "image.pullPolicy" => json!("Always"),
        "settings.naming" => json!("flat"),
        "settings.kinds" => json!("pods"),
        "settings.onTimeout" | "settings.onFailure" => json!("deny"),
        "settings.unproven" => json!("give"),
        "settings.exemptLabels" => json!(["another=one"]),
        "settings.originalFresh"
        | "settings.copyFresh"
        | "settings.proofLifetime"
        | "settings.certificateLifetime" => json!("7h"),
        "settings.maxImageSize" => json!("7Gi"),
        "settings.logFormat" => json!("json"),
        "settings.logLevel" => json!("debug"),
        "webhook.failurePolicy" => json!("Fail"),
        "webhook.reinvocationPolicy" => json!("Never"),
        "webhook.namespaceSelector" => json!({"matchLabels": {"another": "one"}}),
        "webhook.exemptOwnNamespace" => json!(false),
        "certificates.certManager.issuerRef" => json!({"name": "another"}),
        "dnsPolicy" => json!("Default"),
        "serviceMonitor.interval" | "serviceMonitor.scrapeTimeout" => json!("7s"),
        "tolerations" => json!([{"key": "another"}]),
        "topologySpreadConstraints"
        | "extraEnv"
        | "extraEnvFrom"
        | "extraVolumes"
        | "extraVolumeMounts"
        | "networkPolicy.ingressFrom" => json!([{"name": "another"}]),
        _ => match value {
            Value::Bool(on) => json!(!on),
            Value::Number(number) => json!(number.as_u64().map_or(1, |number| number + 1)),
            Value::String(_) => json!("another"),
            Value::Array(_) => json!(["another"]),
            Value::Object(_) => json!({"another": "one"}),
            Value::Null => panic!("{path}: say above what it could be"),
        },
    }
}

#[test]
fn the_schema_knows_the_same_values_as_the_file() {
    the_schema_knows_the_values(&[
        "values.webhook.namespaceSelector",
        "values.certificates.certManager.issuerRef",
    ]);
}

#[test]
fn every_value_is_used_by_a_template() {
    // What is not made by default must be made for its values to count.
    let made = |path: &str| match path {
        "registryCA.key" => &["--set", "registryCA.configMap=some"] as &[&str],
        "certificates.certManager.issuerRef" => &["--set", "certificates.certManager.enabled=true"],
        "serviceMonitor.create" | "networkPolicy.create" => &[],
        _ => &[
            "--set",
            "serviceMonitor.create=true,networkPolicy.create=true",
        ],
    };
    every_value_counts(80, made, other);
}
