//! The program's table of settings and the chart say the same.

use std::collections::BTreeSet;

use image_cloner::settings::{VARIABLES, Variable};
use serde_json::{Value, json};

use super::documented::{defaults, documented};
use super::helm::{config, deployment, objects, only};

/// What the chart itself sets, as it depends on what it makes or mounts.
const OWN: [&str; 7] = [
    "AUTH_DIR",
    "REGISTRY_CA_FILE",
    "PROOF_SECRET",
    "CERTIFICATE_SECRET",
    "WEBHOOK_CONFIGURATION",
    "SERVICE_NAME",
    "POD_NAMESPACE",
];

/// The variables that are values of the chart: not its own, and not what is for a workstation.
fn given() -> impl Iterator<Item = &'static Variable> {
    let is_given = |it: &&Variable| !OWN.contains(&it.name) && it.name != "KUBECONFIG";
    VARIABLES.iter().filter(is_given)
}

/// `COPIES_AT_ONCE` is `copiesAtOnce`.
fn key(variable: &str) -> String {
    let mut words = variable.split('_').map(str::to_lowercase);
    let mut key = words.next().expect("a word");
    for word in words {
        let (first, rest) = word.split_at(1);
        key.push_str(&first.to_uppercase());
        key.push_str(rest);
    }
    key
}

/// The ConfigMap for one value below `settings`.
fn with(key: &str, value: Value) -> Value {
    config(&json!({"settings": {key: value}}))
}

#[test]
fn every_variable_is_a_value_and_every_value_a_variable() {
    let variables: BTreeSet<String> = given().map(|it| key(it.name)).collect();
    let settings = defaults()["settings"].clone();
    let values: BTreeSet<String> = settings
        .as_object()
        .expect("a map")
        .keys()
        .cloned()
        .collect();
    assert_eq!(values, variables);
}

#[test]
fn the_defaults_are_the_tables() {
    let data = config(&json!({}));
    for Variable { name, default, .. } in given() {
        let is = data.get(name).and_then(Value::as_str);
        let should_be = Some(*default).filter(|default| !default.starts_with('('));
        assert_eq!(is, should_be, "{name}");
    }
}

#[test]
fn every_example_of_the_table_reaches_the_program() {
    for Variable { name, example, .. } in given() {
        let number = example.parse::<u64>().map(|number| json!(number));
        let flag = example.parse::<bool>().map(|flag| json!(flag));
        let value = number.or(flag).unwrap_or_else(|_| json!(example));
        let data = with(&key(name), value);
        assert_eq!(data[name], *example, "{name}");
        assert_eq!(
            data.as_object().map(|it| it.contains_key(*name)),
            Some(true)
        );
    }
}

#[test]
fn every_comment_names_its_variable() {
    let comments = documented();
    for Variable { name, .. } in given() {
        let path = format!("settings.{}", key(name));
        let comment = comments.iter().find(|it| it.path == path);
        let comment = comment.unwrap_or_else(|| panic!("{path} has no comment"));
        let mark = format!("(`{name}`)");
        assert!(
            comment.meaning.contains(&mark),
            "{path}: {}",
            comment.meaning
        );
    }
}

#[test]
fn nothing_is_left_out_so_that_the_programs_default_holds() {
    for Variable { name, .. } in given() {
        let data = with(&key(name), Value::Null);
        assert!(data.get(name).is_none(), "{name}");
    }
    for empty in [json!(""), json!([]), json!([" "])] {
        assert!(with("kinds", empty).get("KINDS").is_none());
    }
    let values: Value = given().map(|it| (key(it.name), Value::Null)).collect();
    let empty = objects(&json!({"settings": values}));
    assert_eq!(only(&empty, "ConfigMap")["data"], json!({}));
}

#[test]
fn a_list_is_the_same_as_a_string_of_its_entries() {
    for (key, variable, list) in [
        ("kinds", "KINDS", json!(["Deployment", "CronJob"])),
        ("exemptNamespaces", "EXEMPT_NAMESPACES", json!(["a", "b"])),
        (
            "exemptOwners",
            "EXEMPT_OWNERS",
            json!(["cnpg.io", "other.example"]),
        ),
        (
            "exemptLabels",
            "EXEMPT_LABELS",
            json!(["app=vault", "a.b/c=d"]),
        ),
        (
            "allowRegistries",
            "ALLOW_REGISTRIES",
            json!(["docker.io", "r.example:5000"]),
        ),
        (
            "denyRegistries",
            "DENY_REGISTRIES",
            json!(["[::1]:5000", "quay.io"]),
        ),
        (
            "privateRegistries",
            "PRIVATE_REGISTRIES",
            json!(["10.0.0.7:5000", "r.example"]),
        ),
        (
            "plainHttpRegistries",
            "PLAIN_HTTP_REGISTRIES",
            json!(["localhost:5000", "r"]),
        ),
    ] {
        let entries: Vec<_> = list.as_array().expect("a list").iter().collect();
        let entries: Vec<_> = entries.iter().filter_map(|it| it.as_str()).collect();
        let text = entries.join(";");
        assert_eq!(with(key, list.clone())[variable], text);
        assert_eq!(with(key, json!(text))[variable], text);
    }
    assert_eq!(
        with("privateRegistries", json!("*"))["PRIVATE_REGISTRIES"],
        "*"
    );
    assert_eq!(
        with("privateRegistries", json!(["*"]))["PRIVATE_REGISTRIES"],
        "*"
    );
}

/// What is of another kind in YAML.
#[test]
fn numbers_and_booleans_become_text() {
    assert_eq!(with("copiesAtOnce", json!(200))["COPIES_AT_ONCE"], "200");
    assert_eq!(with("referrers", json!(false))["REFERRERS"], "false");
}

#[test]
fn the_charts_own_variables_are_in_the_pod_and_win() {
    let values = json!({"registryCA": {"configMap": "authorities", "key": "all.pem"}});
    let container = &deployment(&values)["spec"]["template"]["spec"]["containers"][0];
    let env = container["env"].as_array().expect("env");
    let names: BTreeSet<_> = env.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, OWN.into_iter().collect());
    let ca = json!({"name": "REGISTRY_CA_FILE", "value": "/etc/registry-ca/all.pem"});
    assert!(env.contains(&ca), "{env:?}");
    let data = config(&values);
    for name in OWN {
        assert!(data.get(name).is_none(), "{name}");
    }
}

#[test]
fn other_settings_make_other_pods_and_a_new_version_of_the_chart_alone_does_not() {
    let checksum = |values: Value| {
        let template = &deployment(&values)["spec"]["template"];
        let annotations = &template["metadata"]["annotations"];
        let checksum = annotations["checksum/settings"]
            .as_str()
            .expect("a checksum");
        checksum.to_owned()
    };
    let plain = checksum(json!({}));
    assert_ne!(checksum(json!({"settings": {"logLevel": "debug"}})), plain);
    assert_eq!(checksum(json!({"webhook": {"timeoutSeconds": 5}})), plain);
    assert_eq!(checksum(json!({"commonLabels": {"team": "a"}})), plain);
}
