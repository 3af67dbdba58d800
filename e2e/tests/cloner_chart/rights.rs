//! The rights: exactly these, by name where there is one, and never one for want of a name.

use serde_json::{Value, json};

use super::helm::{NAMESPACE, RELEASE, names, objects, only, text_with};

/// Every rule with the kind of its role, the namespace, and the objects that it is about.
fn rules(values: &Value) -> Vec<(String, Value)> {
    let objects = objects(values);
    let mut found = Vec::new();
    for role in &objects {
        let kind = role["kind"].as_str().expect("a kind");
        if kind == "Role" || kind == "ClusterRole" {
            let place = role["metadata"]["namespace"]
                .as_str()
                .unwrap_or("the cluster");
            for rule in role["rules"].as_array().expect("rules") {
                found.push((place.to_owned(), rule.clone()));
            }
        }
    }
    found
}

fn own_secrets(names: Value) -> (String, Value) {
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": names,
                      "verbs": ["get", "create", "update", "patch"]});
    (NAMESPACE.to_owned(), rule)
}

fn configuration(name: &str) -> (String, Value) {
    let rule = json!({"apiGroups": ["admissionregistration.k8s.io"],
                      "resources": ["mutatingwebhookconfigurations"],
                      "resourceNames": [name], "verbs": ["get", "patch"]});
    ("the cluster".to_owned(), rule)
}

fn pull_secrets(place: &str) -> (String, Value) {
    let rule =
        json!({"apiGroups": [""], "resources": ["secrets", "serviceaccounts"], "verbs": ["get"]});
    (place.to_owned(), rule)
}

fn pods() -> (String, Value) {
    let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]});
    ("the cluster".to_owned(), rule)
}

fn sorted(mut rules: Vec<(String, Value)>) -> Vec<(String, Value)> {
    rules.sort_by_key(|(place, rule)| format!("{place} {rule}"));
    rules
}

#[test]
fn the_rules_are_exactly_these() {
    let both = json!(["image-cloner-proofs", "image-cloner-certificates"]);
    let proofs = json!(["image-cloner-proofs"]);
    let cert_manager = json!({"certManager": {"enabled": true}});
    let named = json!(["b-proofs", "b-certificates"]);
    for (values, expected) in [
        (
            json!({}),
            vec![
                own_secrets(both.clone()),
                configuration("image-cloner"),
                pull_secrets("the cluster"),
                pods(),
            ],
        ),
        (
            json!({"name": "b"}),
            vec![
                own_secrets(named),
                configuration("b"),
                pull_secrets("the cluster"),
                pods(),
            ],
        ),
        (
            json!({"rbac": {"namespaces": ["one", "two", "one"]}}),
            vec![
                own_secrets(both.clone()),
                configuration("image-cloner"),
                pull_secrets("one"),
                pull_secrets("two"),
                pods(),
            ],
        ),
        (
            json!({"rbac": {"pullSecrets": false, "namespaces": ["one"]}}),
            vec![
                own_secrets(both.clone()),
                configuration("image-cloner"),
                pods(),
            ],
        ),
        (
            json!({"rbac": {"pods": false}}),
            vec![
                own_secrets(both.clone()),
                configuration("image-cloner"),
                pull_secrets("the cluster"),
            ],
        ),
        (
            json!({"certificates": cert_manager}),
            vec![
                own_secrets(proofs.clone()),
                pull_secrets("the cluster"),
                pods(),
            ],
        ),
        (
            json!({"certificates": cert_manager, "rbac": {"pods": false, "pullSecrets": false}}),
            vec![own_secrets(proofs)],
        ),
        (json!({"rbac": {"create": false}}), vec![]),
    ] {
        assert_eq!(sorted(rules(&values)), sorted(expected), "{values}");
    }
}

#[test]
fn no_rule_grants_everything() {
    for values in [json!({}), json!({"rbac": {"namespaces": ["shop"]}})] {
        for (_, rule) in rules(&values) {
            for list in ["apiGroups", "resources", "verbs"] {
                let entries = rule[list].as_array().expect("a list");
                assert!(
                    !entries.is_empty() && !entries.contains(&json!("*")),
                    "{rule}"
                );
            }
            if let Some(names) = rule["resourceNames"].as_array() {
                assert!(!names.is_empty() && !names.contains(&json!("")), "{rule}");
            } else {
                // Of any name: to read Secrets one by one, never to change or to list them.
                assert!(
                    rule["verbs"] == json!(["get"]) || rule == pods().1,
                    "{rule}"
                );
            }
        }
    }
}

/// A namespace of another release's, or the release's own, is no reason for two objects of one name.
#[test]
fn the_release_may_be_in_one_of_the_namespaces() {
    let objects = objects(&json!({"rbac": {"namespaces": [NAMESPACE]}}));
    let mut named = names(&objects);
    let count = named.len();
    named.dedup();
    assert_eq!(named.len(), count, "{named:?}");
    assert!(named.contains(&"Role image-cloner-pull-secrets".to_owned()));
}

#[test]
fn every_binding_gives_its_role_to_the_account_of_the_pods() {
    let values = json!({"serviceAccount": {"name": "who"}, "rbac": {"namespaces": ["shop"]}});
    let objects = objects(&values);
    let mut count = 0;
    for binding in &objects {
        let kind = binding["kind"].as_str().expect("a kind");
        let Some(role) = kind.strip_suffix("Binding") else {
            continue;
        };
        count += 1;
        let name = &binding["metadata"]["name"];
        assert_eq!(
            binding["roleRef"],
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name})
        );
        assert_eq!(
            binding["subjects"],
            json!([{"kind": "ServiceAccount", "name": "who", "namespace": NAMESPACE}])
        );
        let is_its_role = |it: &&Value| {
            let at = |it: &Value| it["metadata"]["namespace"].clone();
            it["kind"] == role && it["metadata"]["name"] == *name && at(it) == at(binding)
        };
        assert_eq!(objects.iter().filter(is_its_role).count(), 1, "{binding}");
    }
    assert_eq!(count, 3);
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "who");
    let account = only(&objects, "ServiceAccount");
    assert_eq!(account["metadata"]["name"], "who");
    assert_eq!(account["automountServiceAccountToken"], false);
}

#[test]
fn the_account_can_be_left_to_somebody_else() {
    let objects = objects(&json!({"serviceAccount": {"create": false, "name": "theirs"}}));
    assert!(objects.iter().all(|it| it["kind"] != "ServiceAccount"));
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "theirs");
}

/// The schema refuses them first; this is for those who switch it off.
#[test]
fn a_bad_name_stops_the_render_even_without_the_schema() {
    for name in [
        Value::Null,
        json!(""),
        json!(" "),
        json!("*"),
        json!("A"),
        json!("a\nb"),
        json!(7),
    ] {
        for (field, values) in [
            ("name", json!({"name": name})),
            (
                "serviceAccount.name",
                json!({"serviceAccount": {"name": name}}),
            ),
            ("rbac.namespaces", json!({"rbac": {"namespaces": [name]}})),
            (
                "settings.pullSecret",
                json!({"settings": {"pullSecret": name}}),
            ),
        ] {
            // Nothing is a value of these two.
            let is_optional = matches!(field, "serviceAccount.name" | "settings.pullSecret");
            if is_optional && (name.is_null() || name == "") {
                continue;
            }
            assert!(text_with(&[], &values).is_err(), "{values}");
            let error = text_with(&["--skip-schema-validation"], &values)
                .expect_err("a name that is none must not render");
            let expected = format!("{field}: {name} is not a name");
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn a_name_may_be_63_characters_long_begins_with_a_letter_and_has_no_dot() {
    let longest = "a".repeat(63);
    let certificates = json!({"certManager": {"enabled": true}});
    let made = objects(&json!({"name": longest, "certificates": certificates}));
    assert_eq!(only(&made, "Service")["metadata"]["name"], longest);
    for object in &made {
        let name = &object["spec"]["commonName"];
        assert!(
            name.as_str().is_none_or(|name| name.len() <= 64),
            "{object}"
        );
    }
    for wrong in ["a".repeat(64), "1a".to_owned(), "a.b".to_owned()] {
        let values = json!({"name": wrong});
        assert!(text_with(&[], &values).is_err(), "{wrong}");
        let error = text_with(&["--skip-schema-validation"], &values).expect_err("no name");
        assert!(error.contains("name: \""), "{error}");
    }
    assert_ne!(RELEASE, "image-cloner", "the name is not the release's");
}
