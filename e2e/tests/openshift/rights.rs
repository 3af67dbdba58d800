//! The Role: exactly these rights, by names that cannot be empty.

use serde_json::{Value, json};

use super::helm::only;
use super::templates::{SERVICE_ACCOUNT, objects, process};

const ROLE: &str = "create-daemonset";
/// The Role for pull secrets.
const SECRETS: &str = "read-pull-secrets";

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is).expect("there is one")
}

#[test]
fn the_rules_are_exactly_these() {
    let arguments = ["DAEMONSET_NAME=the-set", "DEPLOYMENT_NAME=the-deployment"];
    assert_eq!(
        named(&objects(&arguments), "Role", ROLE)["rules"],
        json!([
            {"apiGroups": ["apps"], "resources": ["daemonsets"],
             "resourceNames": ["the-set", "the-set-amd64", "the-set-arm64"],
             "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
            {"apiGroups": [""], "resources": ["pods"],
             "verbs": ["get", "list", "watch", "create", "delete"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["the-deployment"],
             "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["k8s-image-puller"],
             "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        ])
    );
}

/// Only a list of rules can be none: `resourceNames: []` in a rule would be for every Secret.
#[test]
fn secrets_are_read_by_the_rules_that_are_given_and_without_them_not_at_all() {
    let rules = |arguments: &[&str]| named(&objects(arguments), "Role", SECRETS)["rules"].clone();
    assert_eq!(rules(&[]), json!([]));
    let given = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"]}]);
    assert_eq!(rules(&[&format!("PULL_SECRET_RULES={given}")]), given);
}

#[test]
fn the_names_of_the_config_map_are_one() {
    let objects = objects(&[""; 0]);
    let name = &only(&objects, "ConfigMap")["metadata"]["name"];
    let container = &only(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], *name);
    let env = container["env"].as_array().expect("a list");
    let watched = env.iter().find(|env| env["name"] == "CONFIG_MAP_NAME");
    assert_eq!(watched.expect("it is set")["value"], *name);
    let rules = &named(&objects, "Role", ROLE)["rules"];
    assert_eq!(rules[3]["resourceNames"], json!([name]));
}

/// Old installations have them under these names; a Role of another name would leave the old rights in force.
#[test]
fn role_and_binding_keep_their_names_and_bind_the_account() {
    let items = process(SERVICE_ACCOUNT, &["SERVICEACCOUNT_NAME=who"]).unwrap()["items"].take();
    let items = items.as_array().expect("a list");
    assert_eq!(only(items, "ServiceAccount")["metadata"]["name"], "who");
    for name in [ROLE, SECRETS] {
        let binding = named(items, "RoleBinding", name);
        assert_eq!(
            binding["roleRef"],
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name})
        );
        assert_eq!(
            binding["subjects"],
            json!([{"kind": "ServiceAccount", "name": "who"}])
        );
    }
}
