//! Laws of `POD_TEMPLATE` and of the other additions to the pods.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

use kip_daemon::config::{Config, Problems};
use kip_daemon::desired::overlay::{merge, merge_key};
use kip_daemon::desired::{Flavour, hash::content_hash};
use kip_daemon::preview;
use kip_daemon::settings::Settings;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

const IMAGES: &str = "one=nginx;two=busybox";

fn settings(more: &[(&str, String)]) -> Settings {
    let images = ("IMAGES".to_owned(), IMAGES.to_owned());
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Settings::from_vars(std::iter::once(images).chain(more)).expect("text is always read")
}

/// The pod template, as the API server gets it.
fn template(more: &[(&str, String)]) -> Result<Value, Problems> {
    let (identity, config) = preview::checked(&settings(more), None)?;
    let object = json!(preview::rendered(&identity, &config));
    Ok(object["spec"]["template"].clone())
}

fn with(overlay: &Map<String, Value>) -> Result<Value, Problems> {
    template(&[("POD_TEMPLATE", json!(overlay).to_string())])
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

fn laid_over(base: &Value, overlay: &Map<String, Value>) -> Value {
    let mut base = map(base.clone());
    merge(&mut base, overlay);
    Value::Object(base)
}

/// Overlays that change something, and are allowed.
fn allowed() -> Vec<Value> {
    vec![
        json!({"metadata": {"labels": {"team": "platform"}}}),
        json!({"metadata": {"annotations": {"note": "x"}}}),
        json!({"spec": {"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}}),
        json!({"spec": {"serviceAccountName": "cached"}}),
        json!({"spec": {"terminationGracePeriodSeconds": null}}),
        json!({"spec": {"securityContext": {"fsGroup": null, "runAsUser": 7}}}),
        json!({"spec": {"nodeSelector": {"disk": "ssd"}}}),
        json!({"spec": {"tolerations": [{"operator": "Exists"}]}}),
        json!({"spec": {"imagePullSecrets": [{"name": "more"}]}}),
        json!({"spec": {"volumes": [{"name": "more", "emptyDir": {}}]}}),
        json!({"spec": {"containers": [{"name": "one", "env": [{"name": "A", "value": "b"}]}]}}),
        json!({"spec": {"containers": [{"name": "two", "resources": {"limits": {"cpu": null}}}]}}),
        json!({"spec": {"containers": [
            {"name": "one", "volumeMounts": [{"name": "more", "mountPath": "/more"}]}]}}),
        json!({"spec": {"initContainers": [{"name": "copy-sleep", "resources": null}]}}),
    ]
}

/// Overlays that touch what must stay.
fn forbidden() -> Vec<Value> {
    vec![
        json!({"metadata": {"labels": {"app.kubernetes.io/component": "other"}}}),
        json!({"metadata": {"annotations": {"kubernetes-image-puller/content-hash": "x"}}}),
        json!({"spec": {"restartPolicy": "Never"}}),
        json!({"spec": {"nodeName": "here"}}),
        json!({"spec": {"volumes": [{"name": "kip", "emptyDir": null}]}}),
        json!({"spec": {"containers": [{"name": "three", "image": "other"}]}}),
        json!({"spec": {"containers": [{"name": "one", "image": "other"}]}}),
        json!({"spec": {"containers": [{"name": "two", "command": null}]}}),
        json!({"spec": {"containers": [{"name": "two", "args": ["1s"]}]}}),
        json!({"spec": {"containers": [{"name": "two", "imagePullPolicy": "Always"}]}}),
        json!({"spec": {"containers": [
            {"name": "one", "volumeMounts": [{"name": "more", "mountPath": "/kip/"}]}]}}),
        json!({"spec": {"initContainers": [{"name": "copy-sleep", "image": "other"}]}}),
        json!({"spec": {"initContainers": [{"name": "more", "image": "other"}]}}),
    ]
}

/// Some of them together; never a null and a value for the same field, so that the order does not matter.
fn some_of(parts: Vec<Value>) -> impl Strategy<Value = Map<String, Value>> {
    let all = parts.len();
    subsequence(parts, 0..=all).prop_map(|parts| {
        let mut whole = Map::new();
        for part in parts {
            combine(&mut whole, map(part));
        }
        whole
    })
}

/// Like a merge, but null stays, since it is still to be laid over something.
fn combine(whole: &mut Map<String, Value>, part: Map<String, Value>) {
    for (field, value) in part {
        match (whole.get_mut(&field), value) {
            (Some(Value::Object(whole)), Value::Object(part)) => combine(whole, part),
            (Some(Value::Array(whole)), Value::Array(part)) => {
                let key = merge_key(&field).expect("only such lists come in several parts");
                for item in part {
                    match whole.iter_mut().find(|old| old[key] == item[key]) {
                        Some(Value::Object(old)) => combine(old, map(item)),
                        _ => whole.push(item),
                    }
                }
            }
            (_, value) => {
                whole.insert(field, value);
            }
        }
    }
}

/// What no overlay may change.
fn what_must_stay(template: &Value) -> Value {
    let spec = &template["spec"];
    let labels = &template["metadata"]["labels"];
    let containers = |list: &str| -> Vec<Value> {
        let list = spec[list].as_array().expect("a list");
        list.iter()
            .map(|container| {
                let mount = container["volumeMounts"]
                    .as_array()
                    .and_then(|mounts| mounts.iter().find(|mount| mount["mountPath"] == "/kip/"));
                let fixed = [
                    "name",
                    "image",
                    "command",
                    "args",
                    "imagePullPolicy",
                    "lifecycle",
                    "livenessProbe",
                ];
                json!([fixed.map(|field| container[field].clone()), mount])
            })
            .collect()
    };
    let volumes = spec["volumes"].as_array().expect("volumes");
    let own_labels = [
        "app.kubernetes.io/instance",
        "app.kubernetes.io/component",
        "app.kubernetes.io/name",
    ];
    let own_labels = own_labels.map(|label| labels[label].clone());
    let pod = ["restartPolicy", "nodeName", "hostPID", "hostIPC"].map(|field| spec[field].clone());
    json!({
        "labels": own_labels,
        "containers": containers("containers"),
        "initContainers": containers("initContainers"),
        "volume": volumes.iter().find(|volume| volume["name"] == "kip"),
        "pod": pod,
        "os": spec["nodeSelector"]["kubernetes.io/os"],
    })
}

/// Documents of few fields, so that two of them meet; items of a list have names that differ.
fn document() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        vec((0..3).prop_map(Value::from), 0..3).prop_map(Value::from),
    ];
    let field = select(vec!["a", "b", "c", "name"]);
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        let item = (
            btree_set(select(vec!["x", "y", "z"]), 0..4),
            vec(inner.clone(), 4),
        );
        prop_oneof![
            btree_map(field.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| json!(map)),
            item.prop_map(|(names, values)| {
                let items = names.into_iter().zip(values);
                let items = items.map(|(name, value)| json!({"name": name, "v": value}));
                json!({"env": items.collect::<Vec<_>>()})
            }),
        ]
    });
    btree_map(
        select(vec!["a", "b", "c"]).prop_map(str::to_owned),
        value,
        0..4,
    )
    .prop_map(|map| map.into_iter().collect())
}

fn cases() -> u32 {
    let asked = std::env::var_os("PROPTEST_CASES");
    asked.map_or(500, |_| ProptestConfig::default().cases)
}

#[test]
fn each_part_alone_is_allowed_or_not() {
    let base = template(&[]).expect("it is valid");
    for part in allowed() {
        let changed = with(&map(part.clone())).unwrap_or_else(|problems| panic!("{problems}"));
        let (mut base, mut changed) = (base.clone(), changed);
        for template in [&mut base, &mut changed] {
            let annotations = template["metadata"]["annotations"].as_object_mut();
            annotations
                .expect("annotations")
                .remove("kubernetes-image-puller/content-hash")
                .expect("the hash");
        }
        assert_ne!(changed, base, "{part}");
    }
    for part in forbidden() {
        assert!(with(&map(part.clone())).is_err(), "{part}");
    }
}

/// The hash that the versions before the additions gave to these pods: an upgrade makes none of them outdated.
#[test]
fn without_additions_the_hash_is_that_of_older_versions() {
    let image =
        "IMAGES=nginx=docker.io/library/nginx:1.27;busybox=quay.io/prometheus/busybox:latest";
    let (name, value) = image.split_once('=').expect("NAME=value");
    let vars = [(name, value), ("POD_LABELS", "{}"), ("POD_TEMPLATE", "{}")];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::from_vars(vars).expect("text is always read");
    let config = Config::from_settings(&settings).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        content_hash(&config.groups[0], Flavour::Kubernetes),
        "78592c167837e8d4"
    );
}

#[test]
fn each_addition_makes_pods_outdated() {
    let hash = |more: &[(&str, &str)]| {
        let more: Vec<_> = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let config = Config::from_settings(&settings(&more));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        content_hash(&config.groups[0], Flavour::Kubernetes)
    };
    let mut hashes = vec![hash(&[])];
    for (name, value) in [
        ("POD_LABELS", r#"{"a": "b"}"#),
        ("POD_ANNOTATIONS", r#"{"a": "b"}"#),
        ("POD_PRIORITY_CLASS", "a"),
        ("POD_RUNTIME_CLASS", "a"),
        ("POD_TEMPLATE", r#"{"metadata": {"labels": {"a": "b"}}}"#),
    ] {
        hashes.push(hash(&[(name, value)]));
    }
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count, "two are the same");
    assert_eq!(
        hash(&[
            ("POD_LABELS", "b: c\na: b"),
            (
                "POD_TEMPLATE",
                "spec: {hostNetwork: true, hostUsers: false}"
            )
        ]),
        hash(&[
            ("POD_LABELS", "{a: b, b: c}"),
            (
                "POD_TEMPLATE",
                "{spec: {hostUsers: false, hostNetwork: true}}"
            )
        ]),
        "how it is written does not count"
    );
}

proptest! {
    // A failure is printed in its smallest form, and belongs into a test of its own then, not into a file of seeds.
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_empty_overlay_changes_nothing(base in document()) {
        let base = Value::Object(base);
        prop_assert_eq!(laid_over(&base, &Map::new()), base);
    }

    #[test]
    fn merging_twice_is_merging_once(base in document(), overlay in document()) {
        let once = laid_over(&Value::Object(base), &overlay);
        prop_assert_eq!(laid_over(&once, &overlay), once);
    }

    #[test]
    fn allowed_parts_may_come_together_and_leave_what_must_stay(overlay in some_of(allowed())) {
        let base = template(&[]).expect("it is valid");
        let found = with(&overlay);
        let found = found.map_err(|problems| TestCaseError::fail(problems.to_string()))?;
        prop_assert_eq!(what_must_stay(&found), what_must_stay(&base));
        // All of it is in the object, and nothing else but the hash and the account's old name.
        prop_assert_eq!(&laid_over(&found, &overlay), &found);
        let mut expected = laid_over(&base, &overlay);
        let hash = "/metadata/annotations/kubernetes-image-puller~1content-hash";
        *expected.pointer_mut(hash).expect("the hash") = found.pointer(hash).expect("the hash").clone();
        if let Some(account) = expected["spec"].get("serviceAccountName").cloned() {
            expected["spec"]["serviceAccount"] = account;
        }
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn one_forbidden_part_spoils_the_whole(
        overlay in some_of(allowed()),
        forbidden in select(forbidden()),
    ) {
        let mut overlay = overlay;
        combine(&mut overlay, map(forbidden));
        prop_assert!(with(&overlay).is_err(), "{overlay:?}");
    }
}
