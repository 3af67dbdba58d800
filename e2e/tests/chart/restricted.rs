//! Pod Security `restricted` (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>), its rules for
//! what this chart can set.

use serde_json::{Value, json};

use super::helm::deployment;

/// What `restricted` finds wrong with a pod.
fn violations(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let general = &pod["securityContext"];
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod[key] == true {
            found.push(key.to_owned());
        }
    }
    for container in pod["containers"].as_array().expect("containers") {
        let own = &container["securityContext"];
        let effective = |key: &str| {
            if own[key].is_null() {
                &general[key]
            } else {
                &own[key]
            }
        };
        let mut check = |holds: bool, rule: &str| {
            if !holds {
                found.push(rule.to_owned());
            }
        };
        check(
            own["allowPrivilegeEscalation"] == false,
            "allowPrivilegeEscalation",
        );
        check(own["privileged"] != true, "privileged");
        let drop = own["capabilities"]["drop"].as_array();
        check(
            drop.is_some_and(|drop| drop.contains(&json!("ALL"))),
            "capabilities.drop",
        );
        let add = own["capabilities"]["add"].as_array();
        check(
            add.is_none_or(|add| add.iter().all(|it| it == "NET_BIND_SERVICE")),
            "capabilities.add",
        );
        check(effective("runAsNonRoot") == true, "runAsNonRoot");
        check(effective("runAsUser") != 0, "runAsUser");
        let seccomp = &effective("seccompProfile")["type"];
        check(
            seccomp == "RuntimeDefault" || seccomp == "Localhost",
            "seccompProfile",
        );
    }
    found
}

fn found(values: &Value) -> Vec<String> {
    violations(&deployment(values)["spec"]["template"]["spec"])
}

#[test]
fn the_default_pod_passes() {
    assert_eq!(found(&json!({})), Vec::<String>::new());
}

/// Each rule fires, so the test above says something.
#[test]
fn each_weakening_is_found() {
    let both = |context: Value| json!({"podSecurityContext": context, "containerSecurityContext": context});
    let own = |context: Value| json!({"containerSecurityContext": context});
    for (values, rule) in [
        (
            own(json!({"allowPrivilegeEscalation": null})),
            "allowPrivilegeEscalation",
        ),
        (own(json!({"privileged": true})), "privileged"),
        (
            own(json!({"capabilities": {"drop": null}})),
            "capabilities.drop",
        ),
        (
            own(json!({"capabilities": {"add": ["SYS_ADMIN"]}})),
            "capabilities.add",
        ),
        (both(json!({"runAsNonRoot": null})), "runAsNonRoot"),
        (own(json!({"runAsUser": 0})), "runAsUser"),
        (both(json!({"seccompProfile": null})), "seccompProfile"),
    ] {
        assert_eq!(found(&values), [rule], "{values}");
    }
}

#[test]
fn no_user_or_group_is_fixed_so_that_openshift_can_set_them() {
    let pod = &deployment(&json!({}))["spec"]["template"]["spec"];
    for context in [
        &pod["securityContext"],
        &pod["containers"][0]["securityContext"],
    ] {
        for key in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"] {
            assert!(context[key].is_null(), "{key} in {context}");
        }
    }
}
