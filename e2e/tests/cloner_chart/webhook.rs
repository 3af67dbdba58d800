//! What the API server asks, about what, and what it does without an answer.

use image_cloner::workload::KINDS;
use serde_json::{Value, json};

use super::helm::{self, NAMESPACE, objects, only, refusal};
use super::only_webhook;

/// `resources` of the rule for an API group; empty where there is none.
fn resources(kinds: Value, group: &str) -> Vec<String> {
    let webhook = only_webhook(&json!({"settings": {"kinds": kinds}}));
    let rules = webhook["rules"].as_array().expect("rules").clone();
    let rule = rules
        .iter()
        .find(|rule| rule["apiGroups"] == json!([group]));
    let resources = rule.map(|rule| {
        assert_eq!(rule["apiVersions"], json!(["v1"]));
        assert_eq!(rule["operations"], json!(["CREATE", "UPDATE"]));
        assert_eq!(rule["scope"], "Namespaced");
        let resources = rule["resources"].as_array().expect("resources").clone();
        let text = |it: Value| it.as_str().expect("a string").to_owned();
        resources.into_iter().map(text).collect()
    });
    resources.unwrap_or_default()
}

#[test]
fn the_webhook_is_this() {
    let mut webhook = only_webhook(&json!({}));
    let map = webhook.as_object_mut().expect("a map");
    assert!(map.remove("rules").is_some() && map.remove("matchConditions").is_some());
    assert_eq!(
        webhook,
        json!({
            "name": format!("image-cloner.{NAMESPACE}.svc.cluster.local"),
            "admissionReviewVersions": ["v1", "v1beta1"],
            "clientConfig": {"service": {
                "name": "image-cloner", "namespace": NAMESPACE, "path": "/clone-image", "port": 443,
            }},
            "failurePolicy": "Ignore",
            "timeoutSeconds": 10,
            "sideEffects": "NoneOnDryRun",
            "reinvocationPolicy": "IfNeeded",
            "matchPolicy": "Equivalent",
            "namespaceSelector": {
                "matchLabels": {"image-cloner": "enabled"},
                "matchExpressions": [{
                    "key": "kubernetes.io/metadata.name", "operator": "NotIn",
                    "values": ["kube-system", "kube-node-lease", "kube-public", NAMESPACE],
                }],
            },
            "objectSelector": {"matchExpressions": [
                {"key": "app.kubernetes.io/name", "operator": "NotIn", "values": ["image-cloner"]},
            ]},
        })
    );
}

#[test]
fn it_reaches_the_port_of_the_pods() {
    let objects = objects(&json!({}));
    let service = &only(&objects, "Service")["spec"];
    assert_eq!(
        service["ports"],
        json!([{"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}])
    );
    let deployment = &only(&objects, "Deployment")["spec"];
    let ports = &deployment["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(
        ports[0],
        json!({"name": "https", "containerPort": 8443, "protocol": "TCP"})
    );
    assert_eq!(service["selector"], deployment["selector"]["matchLabels"]);
}

#[test]
fn templates_are_all_kinds_and_pods_are_pods() {
    let templates = json!("templates");
    assert_eq!(
        resources(templates.clone(), ""),
        ["pods", "pods/ephemeralcontainers", "replicationcontrollers"]
    );
    assert_eq!(
        resources(templates.clone(), "apps"),
        ["daemonsets", "deployments", "replicasets", "statefulsets"]
    );
    assert_eq!(resources(templates, "batch"), ["cronjobs", "jobs"]);
    for pods in [json!("pods"), json!(["pods"]), json!(["Pod"]), json!("Pod")] {
        assert_eq!(
            resources(pods.clone(), ""),
            ["pods", "pods/ephemeralcontainers"]
        );
        let webhook = only_webhook(&json!({"settings": {"kinds": pods}}));
        assert_eq!(webhook["rules"].as_array().map(Vec::len), Some(1));
    }
    // Without a word of ours the program takes its own default.
    for none in [Value::Null, json!(""), json!([])] {
        assert_eq!(resources(none, "batch"), ["cronjobs", "jobs"]);
    }
}

/// Kind by kind, as the program knows them: the rule has it and no other.
#[test]
fn a_list_of_kinds_asks_about_no_others() {
    for kind in KINDS {
        let asked: Vec<String> = ["", "apps", "batch"]
            .into_iter()
            .flat_map(|group| {
                let found = resources(json!([kind.name]), group);
                assert!(group == kind.group || found.is_empty(), "{found:?}");
                found
            })
            .collect();
        let plural = format!("{}s", kind.name.to_lowercase());
        assert_eq!(asked[0], plural);
        let more = if kind.is_pod() { 2 } else { 1 };
        assert_eq!(asked.len(), more, "{asked:?}");
    }
    let some = json!("CronJob; Deployment;Pod");
    assert_eq!(
        resources(some.clone(), ""),
        ["pods", "pods/ephemeralcontainers"]
    );
    assert_eq!(resources(some.clone(), "apps"), ["deployments"]);
    assert_eq!(resources(some, "batch"), ["cronjobs"]);
}

#[test]
fn a_kind_that_has_no_pods_is_refused_by_its_name() {
    for wrong in ["deployment", "Deployments", "Node", "*"] {
        for form in [json!(wrong), json!(["Pod", wrong])] {
            let error = refusal(&json!({"settings": {"kinds": form}}));
            let expected = format!("settings.kinds: \"{wrong}\" is neither");
            assert!(error.contains(&expected), "{error}");
        }
    }
    let error = refusal(&json!({"settings": {"kinds": ["templates", "Pod"]}}));
    assert!(
        error.contains("settings.kinds: \"templates\" is neither"),
        "{error}"
    );
}

fn exempt(webhook: &Value) -> Value {
    let expressions = &webhook["namespaceSelector"]["matchExpressions"];
    let expressions = expressions.as_array().expect("expressions");
    let last = expressions.last().expect("an expression");
    assert_eq!(last["key"], "kubernetes.io/metadata.name");
    assert_eq!(last["operator"], "NotIn");
    last["values"].clone()
}

#[test]
fn another_selector_takes_the_place_of_the_label() {
    let expression = json!({"key": "tier", "operator": "In", "values": ["one"]});
    let webhook = only_webhook(&json!({"webhook": {"namespaceSelector": {
        "matchLabels": {"backup": true}, "matchExpressions": [expression],
    }}}));
    let selector = &webhook["namespaceSelector"];
    assert_eq!(selector["matchLabels"], json!({"backup": "true"}));
    assert_eq!(selector["matchExpressions"][0], expression);
    assert_eq!(exempt(&webhook)[0], "kube-system");
    let only_expression = only_webhook(&json!({"webhook": {"namespaceSelector": {
        "matchExpressions": [expression],
    }}}));
    assert!(only_expression["namespaceSelector"]["matchLabels"].is_null());
}

#[test]
fn all_namespaces_are_all_but_those_that_are_exempt() {
    let webhook = only_webhook(&json!({"webhook": {"allNamespaces": true}}));
    assert!(webhook["namespaceSelector"]["matchLabels"].is_null());
    assert_eq!(
        exempt(&webhook),
        json!(["kube-system", "kube-node-lease", "kube-public", NAMESPACE])
    );
    let both = json!({"webhook": {
        "allNamespaces": true, "namespaceSelector": {"matchLabels": {"a": "b"}},
    }});
    let error = refusal(&both);
    assert!(error.contains("use only one of them"), "{error}");
}

#[test]
fn what_a_cluster_needs_first_is_exempt_whatever_is_set() {
    for names in [Value::Null, json!([]), json!("")] {
        let webhook = only_webhook(&json!({"settings": {"exemptNamespaces": names}}));
        assert_eq!(
            exempt(&webhook),
            json!(["kube-system", "kube-node-lease", NAMESPACE])
        );
    }
    let webhook =
        only_webhook(&json!({"settings": {"exemptNamespaces": "calico-system;kube-system"}}));
    assert_eq!(
        exempt(&webhook),
        json!(["kube-system", "kube-node-lease", "calico-system", NAMESPACE])
    );
    let error = helm::text_with(
        &["--skip-schema-validation"],
        &json!({"settings": {"exemptNamespaces": ["*"]}}),
    );
    let error = error.expect_err("no namespace is called so");
    assert!(
        error.contains("settings.exemptNamespaces: \"*\" is not a name"),
        "{error}"
    );
}

/// The original's demonstration runs in `default`, and so do the workloads that it is shown with.
#[test]
fn the_releases_own_namespace_is_exempt_unless_it_is_default() {
    let in_namespace = |namespace: &str, exempt_own: Value| -> String {
        let values = json!({"webhook": {"exemptOwnNamespace": exempt_own}});
        // The last one counts.
        let text = helm::text_with(&["--namespace", namespace], &values).expect("a render");
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        let webhook = &only(&objects, "MutatingWebhookConfiguration")["webhooks"][0];
        exempt(webhook).to_string()
    };
    for (namespace, exempt_own, is_exempt) in [
        ("somewhere", Value::Null, true),
        ("somewhere", json!(true), true),
        ("somewhere", json!(false), false),
        ("default", Value::Null, false),
        ("default", json!(true), true),
        ("default", json!(false), false),
    ] {
        let exempt = in_namespace(namespace, exempt_own.clone());
        let name = format!("\"{namespace}\"");
        assert_eq!(
            exempt.contains(&name),
            is_exempt,
            "{namespace} {exempt_own}: {exempt}"
        );
    }
}

#[test]
fn its_own_objects_have_the_label_that_is_left_out() {
    let objects = objects(&json!({}));
    let deployment = only(&objects, "Deployment");
    for labels in [
        &deployment["metadata"]["labels"],
        &deployment["spec"]["template"]["metadata"]["labels"],
    ] {
        assert_eq!(labels["app.kubernetes.io/name"], "image-cloner");
    }
}

/// On a real API server they were tried with every kind, and with an object as large as one may be.
#[test]
fn mirror_pods_and_updates_that_leave_the_spec_are_not_asked_about() {
    let webhook = only_webhook(&json!({}));
    let conditions = webhook["matchConditions"]
        .as_array()
        .expect("conditions")
        .clone();
    let expressions: Vec<_> = conditions
        .iter()
        .filter_map(|it| it["expression"].as_str())
        .collect();
    assert_eq!(
        expressions,
        [
            "request.kind.kind != \"Pod\" || !has(object.metadata.annotations) || \
             !(\"kubernetes.io/config.mirror\" in object.metadata.annotations)",
            "request.operation != \"UPDATE\" || object.spec != oldObject.spec",
        ]
    );
}

#[test]
fn how_long_and_what_then_can_be_set() {
    let webhook = only_webhook(&json!({"webhook": {
        "failurePolicy": "Fail", "timeoutSeconds": 30, "reinvocationPolicy": "Never",
    }}));
    assert_eq!(webhook["failurePolicy"], "Fail");
    assert_eq!(webhook["timeoutSeconds"], 30);
    assert_eq!(webhook["reinvocationPolicy"], "Never");
}
