//! Settings in, the rendered `DaemonSet` out: `golden/NAME.env` gives `golden/NAME.yaml`.
//!
//! In an `.env` file a line is `NAME=value`, a line that begins with two spaces goes on with the value above it, and
//! `#` begins a remark. `UPDATE_GOLDEN=1 cargo test -p kip-daemon --test golden` writes the results anew.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "support/cases.rs"]
mod files;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Once;

use serde_json::{Value, json};

use files::{cases, directory, read, settings};

/// The daemon's own image where none is named; a release would change every file otherwise.
const OWN_IMAGE: &str = concat!("kubernetes-image-puller:", env!("CARGO_PKG_VERSION"));
const OWN_IMAGE_IN_FILES: &str = "kubernetes-image-puller:VERSION";

fn rendered(case: &str, arguments: &[&str]) -> String {
    let settings = settings(case);
    let vars = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let output = support::output(arguments, vars);
    let said = support::text(&output.stderr);
    assert!(output.status.success(), "{case}: {}: {said}", output.status);
    assert_eq!(said, "", "{case}: something on standard error");
    support::text(&output.stdout)
}

/// What the case renders now, as it stands in its file.
fn rendered_for_file(case: &str) -> String {
    rendered(case, &["render"]).replace(OWN_IMAGE, OWN_IMAGE_IN_FILES)
}

/// Writes the files anew if that is asked for: once, before any test reads them.
fn update() {
    static UPDATE: Once = Once::new();
    UPDATE.call_once(|| {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            for case in cases("env") {
                fs::write(
                    directory().join(format!("{case}.yaml")),
                    rendered_for_file(&case),
                )
                .expect("the folder can be written");
            }
        }
    });
}

/// The golden files as the API server would read them.
fn golden() -> Vec<(String, Value)> {
    update();
    let cases = cases("yaml");
    assert!(cases.len() >= 12, "only {} files", cases.len());
    cases
        .into_iter()
        .map(|case| {
            let object = serde_saphyr::from_str(&read(&format!("{case}.yaml")))
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            (case, object)
        })
        .collect()
}

fn object(case: &str) -> Value {
    let found = golden().into_iter().find(|(name, _)| name == case);
    found.unwrap_or_else(|| panic!("there is no case {case}")).1
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("no list at {pointer}"))
}

#[test]
fn each_case_renders_as_its_file_says() {
    update();
    let inputs = cases("env");
    assert!(inputs.len() >= 12, "only {} cases", inputs.len());
    let mut wrong = Vec::new();
    for case in &inputs {
        let now = rendered_for_file(case);
        let file = directory().join(format!("{case}.yaml"));
        let then = fs::read_to_string(&file).unwrap_or_default();
        if now != then {
            wrong.push(format!("--- {case}, expected\n{then}+++ rendered\n{now}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nUPDATE_GOLDEN=1 writes the files anew",
        wrong.join("\n")
    );
}

#[test]
fn no_file_is_left_over_from_a_case_that_is_gone() {
    let inputs = cases("env");
    let stale: Vec<_> = cases("yaml").difference(&inputs).cloned().collect();
    assert_eq!(stale, [""; 0], "remove them, or bring their .env back");
    for file in fs::read_dir(directory()).expect("the folder is there") {
        let path = file.expect("a folder entry").path();
        let known = path.extension().is_some_and(|e| e == "env" || e == "yaml");
        assert!(known, "{} is no golden file", path.display());
    }
}

#[test]
fn every_live_setting_has_a_case_that_shows_its_effect() {
    let set: BTreeSet<String> = cases("env")
        .iter()
        .flat_map(|c| settings(c).into_keys())
        .collect();
    // They decide when and where something is done, not what the object is.
    let invisible = [
        "CACHING_INTERVAL_HOURS",
        "REFRESH",
        "REFRESH_FALLBACK",
        "PLAIN_HTTP_REGISTRIES",
        "MAX_NODES_AT_ONCE",
        "SETTLE_DEADLINE",
        "PAUSED",
        "CLEANUP_ON_SHUTDOWN",
    ];
    for variable in kip_daemon::settings::VARIABLES.iter().filter(|v| v.live) {
        assert!(
            set.contains(variable.name) || invisible.contains(&variable.name),
            "no case sets {}",
            variable.name
        );
    }
}

#[test]
fn json_says_the_same_as_yaml() {
    for (case, expected) in golden() {
        let json = rendered(&case, &["render", "--output", "json"]);
        let json = json.replace(OWN_IMAGE, OWN_IMAGE_IN_FILES);
        let json: Value = serde_json::from_str(&json).expect("it is JSON");
        assert_eq!(json, expected, "{case}");
    }
}

#[test]
fn what_is_written_differently_but_means_the_same_renders_the_same() {
    assert_eq!(object("yaml-instead-of-json"), object("json"));
    assert_eq!(object("spaces-and-line-breaks"), object("defaults"));
    assert_eq!(object("pod-template-empty"), object("defaults"));
}

#[test]
fn the_order_of_the_list_is_the_order_of_the_containers() {
    let object = object("order-is-kept");
    let names: Vec<_> = list(&object, "/spec/template/spec/containers")
        .iter()
        .map(|container| container["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["zulu", "alpha", "mike", "bravo"]);
}

#[test]
fn resources_that_are_none_are_left_out() {
    let none = object("resources-none");
    let some = object("resources-some");
    let containers = list(&none, "/spec/template/spec/containers").iter();
    for container in containers.chain(list(&none, "/spec/template/spec/initContainers")) {
        assert_eq!(container.get("resources"), None, "{container}");
    }
    for container in list(&some, "/spec/template/spec/containers") {
        let expected = json!({"requests": {"cpu": "10m"}, "limits": {"memory": "1e8"}});
        assert_eq!(container["resources"], expected);
    }
}

/// What must hold whatever the settings say: the security level `restricted`, no registry needed for what is there,
/// nothing of the cluster or the image that could keep a sleeper from running.
#[test]
fn every_object_keeps_the_laws_of_the_pod() {
    // The laws of what an overlay says are in overlay.rs.
    let without_overlay = |(case, _): &(String, Value)| case != "pod-template";
    for (case, object) in golden().into_iter().filter(without_overlay) {
        check_object(&case, &object);
        let pod = &object["spec"]["template"]["spec"];
        check_pod(&case, pod);
        let init = list(pod, "/initContainers");
        assert_eq!(init.len(), 1, "{case}: one init container");
        check_copy_sleep(&case, &init[0]);
        let sleepers = list(pod, "/containers");
        assert!(!sleepers.is_empty(), "{case}: no container");
        for (place, sleeper) in sleepers.iter().enumerate() {
            check_sleeper(&case, place, sleeper);
        }
        let mut names = BTreeSet::new();
        for container in init.iter().chain(sleepers) {
            check_container(&case, container);
            let name = container["name"].as_str().expect("a name");
            assert_eq!(kip_daemon::config::names::dns_label(name), Ok(()), "{case}");
            assert!(names.insert(name), "{case}: {name} twice");
        }
    }
}

fn check_object(case: &str, object: &Value) {
    assert_eq!(object["apiVersion"], "apps/v1", "{case}");
    assert_eq!(object["kind"], "DaemonSet", "{case}");
    let name = &object["metadata"]["name"];
    let selector = json!({
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "holder",
    });
    assert_eq!(
        object["spec"]["selector"],
        json!({"matchLabels": selector}),
        "{case}"
    );
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let labels = object.pointer(labels).expect("labels");
        for (key, value) in selector.as_object().expect("a map") {
            assert_eq!(labels[key], *value, "{case}");
        }
        assert_eq!(
            labels["app.kubernetes.io/name"], "kubernetes-image-puller",
            "{case}"
        );
        assert_eq!(
            labels["app.kubernetes.io/managed-by"], "kip-daemon",
            "{case}"
        );
    }
    let hash = object["spec"]["template"]["metadata"]["annotations"]
        ["kubernetes-image-puller/content-hash"]
        .as_str()
        .expect("a content hash");
    assert_eq!(hash.len(), 16, "{case}");
    assert_eq!(object.get("status"), None, "{case}");
    assert_eq!(object["metadata"].get("ownerReferences"), None, "{case}");
}

fn check_pod(case: &str, pod: &Value) {
    assert_eq!(pod["automountServiceAccountToken"], false, "{case}");
    assert_eq!(pod["enableServiceLinks"], false, "{case}");
    assert_eq!(pod["terminationGracePeriodSeconds"], 1, "{case}");
    assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux", "{case}");
    assert_eq!(
        pod["securityContext"],
        json!({
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }),
        "{case}"
    );
    let volume = json!([{"name": "kip", "emptyDir": {"sizeLimit": "50Mi"}}]);
    assert_eq!(pod["volumes"], volume, "{case}");
    for host in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"] {
        assert_eq!(pod.get(host), None, "{case}: {host}");
    }
}

fn check_container(case: &str, container: &Value) {
    assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{case}");
    assert_eq!(container["workingDir"], "/kip/", "{case}");
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        }),
        "{case}: the pod gives the rest of what `restricted` asks for"
    );
    let mounts = list(container, "/volumeMounts");
    assert_eq!(mounts.len(), 1, "{case}");
    assert_eq!(mounts[0]["name"], "kip", "{case}");
    assert_eq!(mounts[0]["mountPath"], "/kip/", "{case}");
    for hook in [
        "args",
        "ports",
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
    ] {
        assert_eq!(container.get(hook), None, "{case}: {hook}");
    }
}

fn check_copy_sleep(case: &str, init: &Value) {
    assert_eq!(init["name"], "copy-sleep", "{case}");
    let command = json!(["/kip-sleep", "install", "/kip/sleep"]);
    assert_eq!(init["command"], command, "{case}");
    assert_ne!(init["volumeMounts"][0]["readOnly"], true, "{case}");
}

fn check_sleeper(case: &str, place: usize, sleeper: &Value) {
    let mut command = vec!["/kip/sleep".to_owned(), "2562047h".to_owned()];
    if place > 0 {
        command.push(format!("{}ms", 50 * place));
    }
    assert_eq!(sleeper["command"], json!(command), "{case}");
    let void = json!([{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]);
    assert_eq!(sleeper["env"], void, "{case}");
    assert_eq!(sleeper["volumeMounts"][0]["readOnly"], true, "{case}");
}
