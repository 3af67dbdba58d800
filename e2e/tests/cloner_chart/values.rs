//! values.yaml, its schema, the README and the templates say the same.

use serde_json::{Value, json};

use super::documented::{at, defaults, documented, leaves, readme};
use super::helm::{self, refusal, text_with};

/// The environment variable that makes the README's test write the table instead.
const UPDATE: &str = "UPDATE_CHART_README";

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

#[test]
fn values_for_all_charts_are_accepted() {
    let shared = json!({"global": {"anything": {"at": ["all"]}}});
    let with = text_with(&[], &shared).expect("a render");
    assert_eq!(Ok(with), text_with(&[], &json!({})));
}

#[test]
fn the_schema_knows_the_same_values_as_the_file() {
    fn compare(place: &str, schema: &Value, values: &Value) {
        let Some(known) = schema["properties"].as_object() else {
            return;
        };
        assert_eq!(schema["additionalProperties"], false, "{place} is open");
        let Some(values) = values.as_object().filter(|it| !it.is_empty()) else {
            // Written whole by the user, such as a selector.
            assert!(schema["required"].is_null(), "{place} is empty");
            return;
        };
        let known_keys: Vec<_> = known.keys().filter(|key| *key != "global").collect();
        let mut keys: Vec<_> = values.keys().collect();
        let mut sorted = known_keys.clone();
        sorted.sort_unstable();
        keys.sort_unstable();
        assert_eq!(sorted, keys, "{place}");
        for key in known_keys {
            compare(&format!("{place}.{key}"), &known[key], &values[key]);
        }
    }
    let schema: Value = serde_json::from_str(&helm::read("values.schema.json")).expect("JSON");
    compare("values", &schema, &defaults());
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
fn every_value_is_used_by_a_template() {
    let defaults = defaults();
    let leaves = leaves(&defaults);
    assert!(leaves.len() > 80, "only {leaves:?}");
    for path in leaves {
        // What is not made by default must be made for its values to count.
        let made: &[&str] = match path.as_str() {
            "registryCA.key" => &["--set", "registryCA.configMap=some"],
            "certificates.certManager.issuerRef" => {
                &["--set", "certificates.certManager.enabled=true"]
            }
            "serviceMonitor.create" | "networkPolicy.create" => &[],
            _ => &[
                "--set",
                "serviceMonitor.create=true,networkPolicy.create=true",
            ],
        };
        let plain = text_with(made, &json!({})).expect("a render");
        let mut values = other(&path, at(&defaults, &path));
        for key in path.rsplit('.') {
            values = json!({key: values});
        }
        let changed = text_with(made, &values).unwrap_or_else(|error| panic!("{values}: {error}"));
        assert_ne!(changed, plain, "{path} changes nothing");
    }
}

#[test]
fn every_value_is_documented() {
    let documented: Vec<_> = documented().into_iter().map(|it| it.path).collect();
    for path in leaves(&defaults()) {
        let covered = documented
            .iter()
            .any(|known| path == *known || path.starts_with(&format!("{known}.")));
        assert!(covered, "{path} has no comment that begins with `# --`");
    }
}

#[test]
fn the_readme_has_the_table_of_values() {
    let (is, should_be) = readme();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(helm::folder().join("README.md"), should_be).expect("the README is written");
        return;
    }
    assert!(
        is == should_be,
        "the table in the chart's README is not what values.yaml says; `{UPDATE}=1 cargo test -p kip-e2e --test \
         cloner_chart the_readme` writes it:\n{should_be}"
    );
}
