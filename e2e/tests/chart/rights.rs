//! The Role: exactly these rights, and never one on every object for want of a name.

use serde_json::{Value, json};

use super::helm::{NAMESPACE, objects, only, text_with};

fn role(values: &Value) -> Value {
    only(&objects(values), "Role").clone()
}

#[test]
fn the_rules_are_exactly_these() {
    let values = json!({"deploymentName": "the-set", "configMap": {"name": "the-map"}});
    assert_eq!(
        role(&values)["rules"],
        json!([
            {"apiGroups": ["apps"], "resources": ["daemonsets"],
             "resourceNames": ["the-set", "the-set-amd64", "the-set-arm64"],
             "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
            {"apiGroups": [""], "resources": ["pods"],
             "verbs": ["get", "list", "watch", "create", "delete"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["the-set"],
             "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["the-map"],
             "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        ])
    );
}

/// The names of the Secrets that may be read, by the namespace of the Role; empty where there is no such rule.
fn readable_secrets(values: &Value) -> Vec<(String, Value)> {
    let objects = objects(values);
    let mut found = Vec::new();
    for role in objects.iter().filter(|object| object["kind"] == "Role") {
        for rule in role["rules"].as_array().expect("rules") {
            if rule["resources"] == json!(["secrets"]) {
                assert_eq!(rule["apiGroups"], json!([""]));
                assert_eq!(rule["verbs"], json!(["get"]), "to list is to read all");
                let place = role["metadata"]["namespace"].as_str().expect("a namespace");
                found.push((place.to_owned(), rule["resourceNames"].clone()));
            }
        }
    }
    found
}

#[test]
fn secrets_are_read_by_name_and_without_names_not_at_all() {
    for values in [
        json!({}),
        json!({"configMap": {"imagePullSecrets": " ; "}, "imagePullSecrets": null}),
        json!({"configMap": {"imagePullSecrets": []}, "rbac": {"pullSecrets": null}}),
    ] {
        assert_eq!(readable_secrets(&values), [], "{values}");
    }
    let here = NAMESPACE.to_owned();
    for values in [
        json!({"configMap": {"imagePullSecrets": "one; two;"}}),
        json!({"configMap": {"imagePullSecrets": ["two", {"name": "one"}]}}),
        json!({"configMap": {"imagePullSecrets": "one"}, "imagePullSecrets": [{"name": "two"}]}),
        json!({"imagePullSecrets": ["one"], "rbac": {"pullSecrets": ["two", "one"]}}),
    ] {
        let expected = (here.clone(), json!(["one", "two"]));
        assert_eq!(readable_secrets(&values), [expected], "{values}");
    }
    let elsewhere = json!({"daemonsetNamespace": "elsewhere", "rbac": {"pullSecrets": ["one"]}});
    let expected = ("elsewhere".to_owned(), json!(["one"]));
    assert_eq!(readable_secrets(&elsewhere), [expected]);
}

#[test]
fn a_secret_without_a_proper_name_is_refused_with_the_schema_switched_off_too() {
    for values in [
        json!({"configMap": {"imagePullSecrets": "one;*"}}),
        json!({"rbac": {"pullSecrets": ["*"]}}),
        json!({"imagePullSecrets": [{"name": "A"}]}),
    ] {
        let error = text_with(&["--skip-schema-validation"], &values).expect_err("it is refused");
        assert!(error.contains("ullSecrets: "), "{error}");
    }
}

/// Together they are what one Role is otherwise.
#[test]
fn a_daemonset_elsewhere_takes_its_rights_along() {
    let here = role(&json!({}))["rules"].clone();
    let objects = objects(&json!({"daemonsetNamespace": "elsewhere"}));
    let of_kind = |kind: &str| -> Vec<&Value> {
        let of_kind = |object: &&Value| object["kind"] == kind;
        objects.iter().filter(of_kind).collect()
    };
    let mut rules = Vec::new();
    for role in of_kind("Role") {
        let place = role["metadata"]["namespace"].as_str().expect("a namespace");
        for rule in role["rules"].as_array().expect("rules") {
            rules.push(rule.clone());
            let resources = rule["resources"][0].as_str().expect("a resource");
            let expected = match resources {
                "daemonsets" | "pods" => "elsewhere",
                _ => NAMESPACE,
            };
            assert_eq!(place, expected, "{resources}");
        }
    }
    let mut expected = here.as_array().expect("rules").clone();
    let by_text = |rule: &Value| rule.to_string();
    rules.sort_by_key(by_text);
    expected.sort_by_key(by_text);
    assert_eq!(rules, expected);

    let places: Vec<_> = of_kind("RoleBinding")
        .iter()
        .map(|binding| {
            assert_eq!(binding["roleRef"]["name"], "k8s-image-puller");
            assert_eq!(binding["subjects"][0]["namespace"], NAMESPACE);
            binding["metadata"]["namespace"].clone()
        })
        .collect();
    assert_eq!(places, [NAMESPACE, "elsewhere"]);
    let data = &only(&objects, "ConfigMap")["data"];
    assert_eq!(data["NAMESPACE"], "elsewhere");
    assert_eq!(data["ALLOW_OTHER_NAMESPACE"], "true");
    // The release's own namespace is no other one.
    let same = json!({"daemonsetNamespace": NAMESPACE});
    assert_eq!(text_with(&[], &same), text_with(&[], &json!({})));
}

#[test]
fn no_rule_grants_everything() {
    for rule in role(&json!({}))["rules"].as_array().expect("rules") {
        for list in ["apiGroups", "resources", "verbs"] {
            let entries = rule[list].as_array().expect("a list");
            assert!(
                !entries.is_empty() && !entries.contains(&json!("*")),
                "{rule}"
            );
        }
        if rule["resources"] != json!(["pods"]) && rule["resources"] != json!(["events"]) {
            let names = rule["resourceNames"].as_array().expect("names");
            assert!(!names.is_empty() && !names.contains(&json!("")), "{rule}");
        }
    }
}

#[test]
fn the_binding_gives_the_role_to_the_account_of_the_pod() {
    let objects = objects(&json!({"serviceAccount": {"name": "who"}}));
    let binding = only(&objects, "RoleBinding");
    assert_eq!(
        binding["roleRef"],
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "who"})
    );
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "who", "namespace": NAMESPACE}])
    );
    assert_eq!(only(&objects, "Role")["metadata"]["name"], "who");
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "who");
}

#[test]
fn rights_and_account_can_be_left_to_somebody_else() {
    let kinds = |values: Value| {
        let mut kinds: Vec<_> = objects(&values)
            .iter()
            .filter_map(|object| object["kind"].as_str().map(str::to_owned))
            .collect();
        kinds.sort_unstable();
        kinds.join(" ")
    };
    assert_eq!(
        kinds(json!({"rbac": {"create": false}})),
        "ConfigMap Deployment ServiceAccount"
    );
    assert_eq!(
        kinds(json!({"serviceAccount": {"create": false}})),
        "ConfigMap Deployment Role RoleBinding"
    );
}

/// The schema refuses them first; this is for those who switch it off.
#[test]
fn a_bad_name_stops_the_render_even_without_the_schema() {
    let bad = [
        Value::Null,
        json!(""),
        json!(" "),
        json!("*"),
        json!("A"),
        json!("a\nb"),
        json!(7),
        json!(["a"]),
    ];
    for name in bad {
        for (field, values) in [
            ("deploymentName", json!({"deploymentName": name})),
            ("configMap.name", json!({"configMap": {"name": name}})),
            (
                "serviceAccount.name",
                json!({"serviceAccount": {"name": name}}),
            ),
            ("daemonsetNamespace", json!({"daemonsetNamespace": name})),
        ] {
            // Nothing is the release's own namespace.
            if field == "daemonsetNamespace" && (name.is_null() || name == "") {
                continue;
            }
            assert!(text_with(&[], &values).is_err(), "{values}");
            let error = text_with(&["--skip-schema-validation"], &values)
                .expect_err("a name that is none must not render");
            assert!(
                error.contains(&format!("{field}: {name} is not a name")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_name_may_be_63_characters_long_and_not_64() {
    // The names of the DaemonSets of single architectures are 6 longer.
    for (length, count) in [(57, 3), (58, 1)] {
        let rendered = role(&json!({"deploymentName": "a".repeat(length)}));
        let names = rendered["rules"][0]["resourceNames"].as_array();
        assert_eq!(names.expect("names").len(), count, "{length}");
    }
    let longest = "a".repeat(63);
    let rendered = role(&json!({"deploymentName": longest}));
    assert_eq!(rendered["rules"][0]["resourceNames"], json!([longest]));
    let values = json!({"deploymentName": "a".repeat(64)});
    assert!(text_with(&[], &values).is_err());
    assert!(text_with(&["--skip-schema-validation"], &values).is_err());
}
