//! The templates make the chart's objects, but for a list of differences. The documentation has the same list.

use std::collections::{BTreeMap, BTreeSet};

use kip_daemon::settings::variable;
use serde_json::{Map, Value, json};

use super::templates::{CONFIG_MAP, TEMPLATES, objects, read, template};
use super::{documented, helm};

/// Where the documentation lists what follows, each on one line.
const DOCUMENT: &str = "docs/openshift.md";

/// What the documentation says of a difference, and the edit that makes an object of the chart the template's.
type Difference = (&'static str, fn(&mut Value));

const DIFFERENCES: [Difference; 8] = [
    (
        "The Role and the RoleBinding are called `create-daemonset`, not as the ServiceAccount.",
        |object| {
            let kind = object["kind"].clone();
            if kind == "Role" || kind == "RoleBinding" {
                object["metadata"]["name"] = json!("create-daemonset");
            }
            if kind == "RoleBinding" {
                object["roleRef"]["name"] = json!("create-daemonset");
            }
        },
    ),
    (
        "No object names a namespace: `oc apply` puts them into the current project.",
        |object| {
            remove(object, "/metadata", "namespace");
            remove(object, "/subjects/0", "namespace");
        },
    ),
    (
        "`NAMESPACE` is empty in the ConfigMap, which means the daemon's own project.",
        |object| remove(object, "/data", "NAMESPACE"),
    ),
    (
        "The label `app.kubernetes.io/instance` is always `kubernetes-image-puller`; `app.kubernetes.io/managed-by` and \
         `helm.sh/chart` are not set.",
        |object| {
            for at in ["/metadata/labels", "/spec/template/metadata/labels"] {
                remove(object, at, "app.kubernetes.io/managed-by");
                remove(object, at, "helm.sh/chart");
                replace(
                    object,
                    at,
                    "app.kubernetes.io/instance",
                    "kubernetes-image-puller",
                );
            }
        },
    ),
    (
        "The label `app` and the Deployment's selector are always `kubernetes-image-puller`, not the Deployment's name.",
        |object| {
            for at in [
                "/metadata/labels",
                "/spec/selector/matchLabels",
                "/spec/template/metadata/labels",
            ] {
                replace(object, at, "app", "kubernetes-image-puller");
            }
        },
    ),
    (
        "Every setting is written out, also where the chart leaves one out because its default holds.",
        |object| {
            if let Some(data) = map(object, "/data") {
                for parameter in template(CONFIG_MAP).parameters {
                    data.entry(parameter.name).or_insert(parameter.value.into());
                }
            }
            let env = object.pointer_mut("/spec/template/spec/containers/0/env");
            if let Some(env) = env.and_then(Value::as_array_mut) {
                for name in ["LOG_FORMAT", "LOG_LEVEL"] {
                    if env.iter().all(|env| env["name"] != name) {
                        let default = variable(name).expect("a setting").default;
                        env.push(json!({"name": name, "value": default}));
                    }
                }
            }
        },
    ),
    (
        "The rules for pull secrets are in a Role of their own, `read-pull-secrets`, with a RoleBinding, and are given whole \
         (`PULL_SECRET_RULES`).",
        |object| {
            if let Some(rules) = object["rules"].as_array_mut() {
                rules.retain(|rule| rule["resources"] != json!(["secrets"]));
            }
        },
    ),
    (
        "The ConfigMap with further authorities is mounted where it is there, and need not be; `REGISTRY_CA_FILE` says \
         whether it is used.",
        |object| {
            if object["kind"] == "Deployment" {
                mount_authorities(&mut object["spec"]["template"]["spec"]);
            }
        },
    ),
];

/// As the template does, whether they are there or not.
fn mount_authorities(pod: &mut Value) {
    let container = &mut pod["containers"][0];
    let env = container["env"].as_array_mut().expect("a list");
    if env.iter().all(|env| env["name"] != "REGISTRY_CA_FILE") {
        env.insert(3, json!({"name": "REGISTRY_CA_FILE"}));
        let mount =
            json!({"name": "registry-ca", "mountPath": "/etc/registry-ca", "readOnly": true});
        container["volumeMounts"] = json!([mount]);
        let default = json!({"name": "registry-ca", "configMap": {"name": "registry-ca"}});
        pod["volumes"] = json!([default]);
    }
    pod["volumes"][0]["configMap"]["optional"] = json!(true);
}

/// What the templates make and the chart does not.
const ONLY_A_TEMPLATES_OBJECT: &str = "read-pull-secrets";

/// Values of the chart that no parameter sets.
const ONLY_IN_THE_CHART: [&str; 30] = [
    "affinity",
    "commonLabels",
    "configMap.name",
    "containerSecurityContext",
    "daemonsetNamespace",
    "deploymentAnnotations",
    "dnsConfig",
    "dnsPolicy",
    "extraEnv",
    "extraEnvFrom",
    "extraVolumeMounts",
    "extraVolumes",
    "image.pullPolicy",
    "livenessProbe",
    "networkPolicy",
    "podAnnotations",
    "podDisruptionBudget",
    "podLabels",
    "podSecurityContext",
    "rbac.create",
    "rbac.pullSecrets",
    "readinessProbe",
    "runtimeClassName",
    "service",
    "serviceAccount.annotations",
    "serviceAccount.create",
    "serviceMonitor",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "updateStrategy.type",
];

/// Parameters that no value of the chart sets.
const ONLY_IN_THE_TEMPLATES: [&str; 3] =
    ["ALLOW_OTHER_NAMESPACE", "NAMESPACE", "PULL_SECRET_RULES"];

fn map<'a>(object: &'a mut Value, at: &str) -> Option<&'a mut Map<String, Value>> {
    object.pointer_mut(at)?.as_object_mut()
}

fn remove(object: &mut Value, at: &str, key: &str) {
    map(object, at).and_then(|map| map.remove(key));
}

fn replace(object: &mut Value, at: &str, key: &str, value: &str) {
    if let Some(found) = map(object, at).and_then(|map| map.get_mut(key)) {
        *found = value.into();
    }
}

/// The value of the chart that does what a parameter does.
fn counterpart(parameter: &str) -> Option<String> {
    let known = match parameter {
        "DEPLOYMENT_NAME" | "DAEMONSET_NAME" => "deploymentName",
        "SERVICEACCOUNT_NAME" => "serviceAccount.name",
        "IMAGE" => "image.repository",
        "IMAGE_TAG" => "image.tag",
        "PRIORITY_CLASS_NAME" => "priorityClassName",
        "DEPLOYMENT_CPU_REQUEST" => "resources.requests.cpu",
        "DEPLOYMENT_MEMORY_REQUEST" => "resources.requests.memory",
        "DEPLOYMENT_CPU_LIMIT" => "resources.limits.cpu",
        "DEPLOYMENT_MEMORY_LIMIT" => "resources.limits.memory",
        "DEPLOYMENT_PULL_SECRETS" => "imagePullSecrets",
        "DEPLOYMENT_NODE_SELECTOR" => "nodeSelector",
        "DEPLOYMENT_TOLERATIONS" => "tolerations",
        "LOG_FORMAT" => "logFormat",
        "LOG_LEVEL" => "logLevel",
        "REGISTRY_CA_CONFIG_MAP" => "registryCA.configMap",
        "REGISTRY_CA_FILE" => "registryCA.key",
        only if ONLY_IN_THE_TEMPLATES.contains(&only) => return None,
        setting => return Some(format!("configMap.{}", camel_case(setting))),
    };
    Some(known.to_owned())
}

/// `CACHING_CPU_LIMIT` is `cachingCpuLimit` in the chart.
fn camel_case(setting: &str) -> String {
    let mut words = setting.split('_').map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |all, word| {
        let (head, tail) = word.split_at(1);
        all + &head.to_uppercase() + tail
    })
}

/// Every parameter's name, once.
fn parameters() -> BTreeSet<String> {
    let all = TEMPLATES.map(|name| template(name).parameters);
    all.into_iter().flatten().map(|it| it.name).collect()
}

/// A value other than the default: for a setting the one that the documentation gives.
fn another(parameter: &str) -> String {
    match parameter {
        "DEPLOYMENT_NAME" | "DAEMONSET_NAME" => "another-name".to_owned(),
        "DEPLOYMENT_PULL_SECRETS" => r#"[{"name": "one"}, {"name": "two"}]"#.to_owned(),
        "DEPLOYMENT_NODE_SELECTOR" => r#"{"role": "infra"}"#.to_owned(),
        "DEPLOYMENT_TOLERATIONS" => r#"[{"key": "a", "operator": "Exists"}]"#.to_owned(),
        "CACHING_MEMORY_REQUEST" | "CACHING_MEMORY_LIMIT" => "33Mi".to_owned(),
        // The chart writes an entry a line.
        "IMAGES" => "one=example.com/one:1;\nexample.com/two:2".to_owned(),
        name => variable(name).map_or_else(|| "another".to_owned(), |it| it.example.to_owned()),
    }
}

/// The chart's value for a parameter's: what is text in a template may be a list or a boolean there.
fn as_value(parameter: &str, text: &str) -> Value {
    if let Some(key) = text.strip_prefix("/etc/registry-ca/") {
        return key.into();
    }
    let is_data = parameter.starts_with("DEPLOYMENT_") || text == "true" || text == "false";
    match serde_json::from_str(text) {
        Ok(data) if is_data => data,
        _ => text.into(),
    }
}

fn set(values: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(values, |at, key| &mut at[key]);
    *place = value;
}

/// Empty is unset, for the API server and for the daemon.
fn without_empty(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let kept = map
                .into_iter()
                .filter_map(|(key, value)| Some((key, without_empty(value)?)));
            let kept: Map<_, _> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => (!items.is_empty()).then_some(Value::Array(
            items
                .into_iter()
                .map(|item| without_empty(item).unwrap_or_default())
                .collect(),
        )),
        Value::String(text) => (!text.is_empty()).then_some(Value::String(text)),
        Value::Null => None,
        other => Some(other),
    }
}

fn by_kind(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let is_compared = |object: &Value| object["metadata"]["name"] != ONLY_A_TEMPLATES_OBJECT;
    let named = objects
        .into_iter()
        .filter(is_compared)
        .map(|object| (object["kind"].to_string(), without_empty(object)));
    named
        .filter_map(|(kind, object)| Some((kind, object?)))
        .collect()
}

/// What the chart makes, edited by these differences.
fn chart(values: &Value, differences: &[Difference]) -> BTreeMap<String, Value> {
    let mut objects = helm::objects(values);
    for object in &mut objects {
        for (_, edit) in differences {
            edit(object);
        }
    }
    by_kind(objects)
}

/// Every parameter set to something else, and the chart's values that do the same.
fn everything() -> (Vec<String>, Value) {
    let mut arguments = Vec::new();
    let mut values = json!({});
    for parameter in parameters() {
        if let Some(path) = counterpart(&parameter) {
            let text = another(&parameter);
            set(&mut values, &path, as_value(&parameter, &text));
            arguments.push(format!("{parameter}={text}"));
        }
    }
    (arguments, values)
}

#[test]
fn the_objects_are_the_charts_but_for_these_differences() {
    assert_eq!(
        chart(&json!({}), &DIFFERENCES),
        by_kind(objects(&[""; 0])),
        "at the defaults"
    );
    let (arguments, values) = everything();
    assert!(arguments.len() >= 25, "{arguments:?}");
    assert_eq!(
        chart(&values, &DIFFERENCES),
        by_kind(objects(&arguments)),
        "with every parameter set"
    );
}

/// So the list is not longer than the truth.
#[test]
fn each_difference_is_one() {
    let (arguments, values) = everything();
    let ours = [by_kind(objects(&[""; 0])), by_kind(objects(&arguments))];
    for left_out in 0..DIFFERENCES.len() {
        let mut some = DIFFERENCES.to_vec();
        let (text, _) = some.remove(left_out);
        let theirs = [chart(&json!({}), &some), chart(&values, &some)];
        assert_ne!(theirs, ours, "no difference: {text}");
    }
}

#[test]
fn every_value_of_the_chart_has_a_parameter_or_is_named() {
    let set: BTreeSet<_> = parameters()
        .iter()
        .filter_map(|name| counterpart(name))
        .collect();
    for path in documented::leaves(&documented::defaults()) {
        let is_below = |known: &str| path == known || path.starts_with(&format!("{known}."));
        let named = ONLY_IN_THE_CHART.iter().any(|known| is_below(known));
        assert!(
            set.contains(&path) != named,
            "{path}: either a parameter sets it, or ONLY_IN_THE_CHART names it"
        );
    }
}

/// Or the comparison would not tell whether the parameter counts.
#[test]
fn every_parameter_is_compared_with_another_value_than_its_default() {
    for parameter in TEMPLATES.map(|name| template(name).parameters).concat() {
        let name = &parameter.name;
        assert_ne!(another(name), parameter.value, "{name}");
    }
}

#[test]
fn the_documentation_has_the_same_lists() {
    let document = read(DOCUMENT);
    let listed: Vec<_> = document
        .split("<!-- differences:begin -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- differences:end -->").next())
        .expect("the marks are there")
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    let only: Vec<_> = ONLY_IN_THE_CHART
        .iter()
        .map(|path| format!("`{path}`"))
        .collect();
    let only = format!("The chart alone has {}.", only.join(", "));
    let here: Vec<_> = DIFFERENCES
        .iter()
        .map(|(text, _)| *text)
        .chain([only.as_str()])
        .collect();
    assert_eq!(listed, here);
    for name in parameters() {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}
