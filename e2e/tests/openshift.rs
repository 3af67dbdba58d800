//! The OpenShift templates, processed as `oc process` does it, beside the chart, rendered by the real `helm`.

#![allow(
    clippy::panic,
    reason = "a test fails by a panic, in its helper functions as well"
)]

#[path = "openshift/commands.rs"]
mod commands;
#[path = "chart/documented.rs"]
#[allow(dead_code, reason = "the chart's tests need more of it")]
mod documented;
#[path = "chart/helm.rs"]
#[allow(dead_code, reason = "the chart's tests need more of it")]
mod helm;
#[path = "openshift/parity.rs"]
mod parity;
#[path = "openshift/rights.rs"]
mod rights;
#[path = "openshift/templates.rs"]
mod templates;

use std::collections::BTreeMap;

/// The chart that the templates stand beside.
const CHART: &str = "../deploy/helm";

use kip_daemon::config::Config;
use kip_daemon::settings::{Settings, VARIABLES, unknown_keys};
use kip_e2e::template::Error;
use serde_json::{Value, json};

use helm::{names, only};
use templates::{APP, CONFIG_MAP, SERVICE_ACCOUNT, TEMPLATES, objects, process, template};

const PLAIN: [&str; 0] = [];

#[test]
fn a_plain_process_and_apply_makes_these_objects() {
    assert_eq!(
        names(&objects(&PLAIN)),
        [
            "ConfigMap k8s-image-puller",
            "Deployment kubernetes-image-puller",
            "Role create-daemonset",
            "Role read-pull-secrets",
            "RoleBinding create-daemonset",
            "RoleBinding read-pull-secrets",
            "ServiceAccount k8s-image-puller",
        ]
    );
}

#[test]
fn every_reference_is_a_parameter() {
    for name in TEMPLATES {
        let list = process(name, &PLAIN).unwrap().to_string();
        assert!(!list.contains("${"), "{name}: {list}");
    }
}

/// Another legal value of a parameter.
fn other(value: &str) -> String {
    match serde_json::from_str(value) {
        Ok(Value::Array(_)) => json!([{"name": "another"}]).to_string(),
        Ok(Value::Object(_)) => json!({"another": "one"}).to_string(),
        _ => "another".to_owned(),
    }
}

#[test]
fn every_parameter_has_an_effect() {
    for name in TEMPLATES {
        let plain = process(name, &PLAIN).unwrap();
        let parameters = template(name).parameters;
        assert!(parameters.len() >= 3, "{name}");
        for parameter in parameters {
            let argument = format!("{}={}", parameter.name, other(&parameter.value));
            let changed = process(name, &[&argument]).unwrap();
            assert_ne!(changed, plain, "{name}: {argument} changes nothing");
        }
    }
}

#[test]
fn what_is_json_becomes_more_than_text() {
    let deployment = |argument: &str| process(APP, &[argument]).unwrap()["items"][0].clone();
    for (argument, at, expected) in [
        (
            r#"DEPLOYMENT_PULL_SECRETS=[{"name": "a"}]"#,
            "imagePullSecrets",
            json!([{"name": "a"}]),
        ),
        (
            r#"DEPLOYMENT_NODE_SELECTOR={"node-role.kubernetes.io/infra": ""}"#,
            "nodeSelector",
            json!({"node-role.kubernetes.io/infra": ""}),
        ),
        (
            r#"DEPLOYMENT_TOLERATIONS=[{"key": "a", "tolerationSeconds": 9}]"#,
            "tolerations",
            json!([{"key": "a", "tolerationSeconds": 9}]),
        ),
    ] {
        let pod = &deployment(argument)["spec"]["template"]["spec"];
        assert_eq!(pod[at], expected, "{argument}");
    }
}

#[test]
fn a_value_that_looks_like_a_number_stays_text() {
    let list = process(
        CONFIG_MAP,
        &["CACHING_INTERVAL_HOURS=2", "CLEANUP_ON_SHUTDOWN=true"],
    );
    let data = list.unwrap()["items"][0]["data"].clone();
    for (key, value) in data.as_object().expect("a map") {
        assert!(value.is_string(), "{key}: {value}");
    }
    assert_eq!(data["CACHING_INTERVAL_HOURS"], "2");
}

#[test]
fn these_parameters_must_not_be_empty() {
    for (name, expected) in [
        (
            SERVICE_ACCOUNT,
            vec![
                "SERVICEACCOUNT_NAME",
                "DAEMONSET_NAME",
                "DEPLOYMENT_NAME",
                "PULL_SECRET_RULES",
            ],
        ),
        (CONFIG_MAP, vec!["IMAGES"]),
        (
            APP,
            vec![
                "DEPLOYMENT_NAME",
                "SERVICEACCOUNT_NAME",
                "IMAGE",
                "IMAGE_TAG",
                "DEPLOYMENT_CPU_REQUEST",
                "DEPLOYMENT_MEMORY_REQUEST",
                "DEPLOYMENT_CPU_LIMIT",
                "DEPLOYMENT_MEMORY_LIMIT",
                "DEPLOYMENT_PULL_SECRETS",
                "DEPLOYMENT_NODE_SELECTOR",
                "DEPLOYMENT_TOLERATIONS",
                "REGISTRY_CA_CONFIG_MAP",
            ],
        ),
    ] {
        let parameters = template(name).parameters;
        let empty: Vec<_> = parameters
            .iter()
            .map(|parameter| format!("{}=", parameter.name))
            .collect();
        match process(name, &empty) {
            Err(Error::Required(missing)) => assert_eq!(missing, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn the_daemon_understands_every_setting_as_the_template_gives_it() {
    let in_template = |name: &str| {
        let parameters = template(CONFIG_MAP).parameters;
        parameters.iter().any(|parameter| parameter.name == name)
    };
    let examples: Vec<_> = VARIABLES
        .iter()
        .filter(|variable| in_template(variable.name))
        .map(|variable| format!("{}={}", variable.name, variable.example))
        .collect();
    for arguments in [examples, vec![]] {
        let list = process(CONFIG_MAP, &arguments).unwrap();
        let data = list["items"][0]["data"].clone();
        let data: BTreeMap<String, String> = serde_json::from_value(data).unwrap();
        assert_eq!(unknown_keys(&data), [""; 0]);
        let settings = Settings::from_config_map(&data).unwrap();
        let config = Config::from_settings(&settings).unwrap_or_else(|wrong| panic!("{wrong}"));
        if arguments.is_empty() {
            // The defaults are those that hold without a word.
            let images = data.into_iter().filter(|(key, _)| key == "IMAGES");
            let bare = Settings::from_config_map(&images.collect()).unwrap();
            assert_eq!(config, Config::from_settings(&bare).unwrap());
        }
    }
}

/// The daemon's pod, as OpenShift's constraint `restricted-v2` wants it: it assigns the ids and refuses others.
#[test]
fn no_user_or_group_is_set() {
    let objects = objects(&PLAIN);
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    for context in [
        &pod["securityContext"],
        &pod["containers"][0]["securityContext"],
    ] {
        assert_eq!(context["runAsNonRoot"], true);
        for key in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"] {
            assert!(context[key].is_null(), "{key} in {context}");
        }
    }
}

/// A selector cannot change: with another one `oc apply` over the original's Deployment would be refused.
#[test]
fn the_selector_is_the_originals_whatever_the_names_are() {
    let list = process(APP, &["DEPLOYMENT_NAME=another"]).unwrap();
    let spec = &list["items"][0]["spec"];
    let expected = json!({"app": "kubernetes-image-puller"});
    assert_eq!(spec["selector"]["matchLabels"], expected);
    let labels = &spec["template"]["metadata"]["labels"];
    assert_eq!(labels["app"], expected["app"]);
}
