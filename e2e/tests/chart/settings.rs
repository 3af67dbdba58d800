//! The forms that a `configMap.*` value may take, and the text that the daemon gets for each.

use serde_json::{Value, json};

use super::helm::{config, deployment, refusal, text_with};

/// The ConfigMap for one value below `configMap`.
fn with(key: &str, value: Value) -> Value {
    config(&json!({"configMap": {key: value}}))
}

#[test]
fn maps_and_lists_give_the_same_as_strings_of_json() {
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "cpus", "operator": "Gt", "values": ["4"]}]}]}}});
    let tolerations = json!([{"key": "gpu", "operator": "Exists", "tolerationSeconds": 3_600_000}]);
    let selector = json!({"disk": "ssd", "zone": "a"});
    let annotations =
        json!({"team": "it's \"ours\" & <more>", "url": "https://example.com/?a=1#b"});
    let real = config(&json!({"configMap": {
        "images": ["one=example.com/one:1", "example.com/two"],
        "imagePullSecrets": ["first", {"name": "second"}],
        "affinity": affinity, "tolerations": tolerations,
        "nodeSelector": selector, "daemonsetAnnotations": annotations,
    }}));
    let strings = config(&json!({"configMap": {
        "images": " one=example.com/one:1 ;\n  example.com/two; ",
        "imagePullSecrets": "first;second",
        "affinity": affinity.to_string(), "tolerations": tolerations.to_string(),
        "nodeSelector": selector.to_string(), "daemonsetAnnotations": annotations.to_string(),
    }}));
    assert_eq!(real["IMAGES"], "one=example.com/one:1;\nexample.com/two");
    assert_eq!(real["IMAGE_PULL_SECRETS"], "first;second");
    for key in ["IMAGES", "IMAGE_PULL_SECRETS"] {
        assert_eq!(real[key], strings[key]);
    }
    let pairs = [
        ("AFFINITY", affinity),
        ("TOLERATIONS", tolerations),
        ("NODE_SELECTOR", selector),
        ("DAEMONSET_ANNOTATIONS", annotations),
    ];
    for (key, expected) in pairs {
        for config in [&real, &strings] {
            let text = config[key].as_str().expect("a string");
            let value: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(value, expected, "{key}");
        }
    }
}

#[test]
fn images_of_a_list_keep_their_order_and_those_of_a_map_are_sorted() {
    let list = json!([
        "zed=example.com/z",
        "abc=example.com/a",
        "mid=example.com/m"
    ]);
    assert_eq!(
        with("images", list)["IMAGES"],
        "zed=example.com/z;\nabc=example.com/a;\nmid=example.com/m"
    );
    let map = json!({"zed": "example.com/z", "abc": "example.com/a", "mid": "example.com/m"});
    assert_eq!(
        with("images", map)["IMAGES"],
        "abc=example.com/a;\nmid=example.com/m;\nzed=example.com/z"
    );
}

#[test]
fn the_form_of_the_originals_values_file_still_works() {
    let values = json!({
        "priorityClassName": {},
        "image": {"tag": "next"},
        "configMap": {
            "images": "java11-maven=quay.io/eclipse/che-java11-maven:nightly; che-theia=quay.io/eclipse/che-theia:next;\n",
            "cachingIntervalHours": 1, "cachingMemoryRequest": "10Mi", "cachingCpuRequest": ".05",
            "daemonsetAnnotations": "{}", "nodeSelector": "{}", "imagePullSecrets": "", "affinity": "{}", "tolerations": "[]",
        },
    });
    let config = config(&values);
    assert_eq!(
        config["IMAGES"],
        "java11-maven=quay.io/eclipse/che-java11-maven:nightly;\nche-theia=quay.io/eclipse/che-theia:next"
    );
    assert_eq!(config["CACHING_INTERVAL_HOURS"], "1");
    assert_eq!(config["NODE_SELECTOR"], "{}");
    assert_eq!(config["TOLERATIONS"], "[]");
    let pod = &deployment(&values)["spec"]["template"]["spec"];
    assert!(pod["priorityClassName"].is_null(), "{pod}");
}

#[test]
fn numbers_become_the_digits_that_were_written() {
    for (key, variable, number, text) in [
        (
            "cachingIntervalHours",
            "CACHING_INTERVAL_HOURS",
            json!(2),
            "2",
        ),
        (
            "cachingIntervalHours",
            "CACHING_INTERVAL_HOURS",
            json!("2"),
            "2",
        ),
        (
            "cachingIntervalHours",
            "CACHING_INTERVAL_HOURS",
            json!(0),
            "0",
        ),
        (
            "cachingIntervalHours",
            "CACHING_INTERVAL_HOURS",
            json!(0.5),
            "0.5",
        ),
        (
            "refreshFallback",
            "REFRESH_FALLBACK",
            json!("never"),
            "never",
        ),
        (
            "plainHttpRegistries",
            "PLAIN_HTTP_REGISTRIES",
            json!(["r.example:5000", "localhost:5001"]),
            "r.example:5000;localhost:5001",
        ),
        (
            "plainHttpRegistries",
            "PLAIN_HTTP_REGISTRIES",
            json!("r.example:5000"),
            "r.example:5000",
        ),
        ("maxNodesAtOnce", "MAX_NODES_AT_ONCE", json!(5), "5"),
        ("maxNodesAtOnce", "MAX_NODES_AT_ONCE", json!("25%"), "25%"),
        (
            "cachingCpuRequest",
            "CACHING_CPU_REQUEST",
            json!(0.05),
            "0.05",
        ),
        (
            "cachingCpuLimit",
            "CACHING_CPU_LIMIT",
            json!(0.0001),
            "0.0001",
        ),
        (
            "cachingMemoryRequest",
            "CACHING_MEMORY_REQUEST",
            json!(10_485_760),
            "10485760",
        ),
        (
            "cachingMemoryLimit",
            "CACHING_MEMORY_LIMIT",
            json!(1_000_000_000_000_u64),
            "1000000000000",
        ),
    ] {
        assert_eq!(with(key, number)[variable], text);
    }
}

/// The command line's numbers are of another kind than a file's.
#[test]
fn numbers_of_the_command_line_are_the_same() {
    let set = "configMap.cachingIntervalHours=2,configMap.cachingMemoryLimit=20971520,configMap.cachingCpuRequest=.05";
    let text = text_with(&["--set", set], &json!({})).expect("a render");
    for line in [
        "CACHING_INTERVAL_HOURS: \"2\"\n",
        "CACHING_MEMORY_LIMIT: \"20971520\"\n",
        "CACHING_CPU_REQUEST: \".05\"\n",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
}

#[test]
fn large_numbers_survive_in_the_deployment() {
    let values = json!({
        "containerSecurityContext": {"runAsUser": 1_000_640_000},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3_600_000}],
        "resources": {"limits": {"memory": 268_435_456, "cpu": 0.2}},
    });
    let text = text_with(&[], &values).expect("a render");
    assert!(!text.contains("e+0"), "an exponent in {text}");
    let pod = &deployment(&values)["spec"]["template"]["spec"];
    assert_eq!(pod["tolerations"][0]["tolerationSeconds"], 3_600_000);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["runAsUser"], 1_000_640_000);
    assert_eq!(
        container["resources"]["limits"],
        json!({"cpu": "0.2", "memory": "268435456"})
    );
}

#[test]
fn labels_selectors_and_annotations_become_strings() {
    let map = json!({"gpu": true, "generation": 3, "name": "plain"});
    let strings = json!({"gpu": "true", "generation": "3", "name": "plain"});
    let values = json!({
        "deploymentAnnotations": map, "podAnnotations": map, "nodeSelector": map,
        "configMap": {
            "nodeSelector": map, "daemonsetAnnotations": map, "podLabels": map, "podAnnotations": map,
        },
    });
    let deployment = deployment(&values);
    let template = &deployment["spec"]["template"];
    assert_eq!(deployment["metadata"]["annotations"], strings);
    assert_eq!(template["metadata"]["annotations"], strings);
    assert_eq!(template["spec"]["nodeSelector"], strings);
    let config = config(&values);
    for key in [
        "NODE_SELECTOR",
        "DAEMONSET_ANNOTATIONS",
        "POD_LABELS",
        "POD_ANNOTATIONS",
    ] {
        let value: Value =
            serde_json::from_str(config[key].as_str().expect("a string")).expect("JSON");
        assert_eq!(value, strings, "{key}");
    }
}

#[test]
fn what_is_not_set_leaves_the_daemons_default() {
    for (key, variable) in [
        ("cachingIntervalHours", "CACHING_INTERVAL_HOURS"),
        ("refresh", "REFRESH"),
        ("refreshFallback", "REFRESH_FALLBACK"),
        ("plainHttpRegistries", "PLAIN_HTTP_REGISTRIES"),
        ("maxNodesAtOnce", "MAX_NODES_AT_ONCE"),
        ("settleDeadline", "SETTLE_DEADLINE"),
        ("paused", "PAUSED"),
        ("cachingMemoryLimit", "CACHING_MEMORY_LIMIT"),
        ("nodeSelector", "NODE_SELECTOR"),
        ("affinity", "AFFINITY"),
        ("tolerations", "TOLERATIONS"),
        ("imagePullSecrets", "IMAGE_PULL_SECRETS"),
        ("podLabels", "POD_LABELS"),
        ("podAnnotations", "POD_ANNOTATIONS"),
        ("podPriorityClass", "POD_PRIORITY_CLASS"),
        ("podRuntimeClass", "POD_RUNTIME_CLASS"),
        ("podTemplate", "POD_TEMPLATE"),
        ("kipImage", "KIP_IMAGE"),
        ("cleanupOnShutdown", "CLEANUP_ON_SHUTDOWN"),
    ] {
        assert!(with(key, Value::Null).get(variable).is_none(), "{key}");
    }
    assert!(
        with("imagePullSecrets", json!([]))
            .get("IMAGE_PULL_SECRETS")
            .is_none()
    );
    assert!(with("kipImage", json!("")).get("KIP_IMAGE").is_none());
}

#[test]
fn rare_settings_reach_the_daemon_when_set() {
    assert_eq!(
        with("kipImage", json!("example.com/kip:1"))["KIP_IMAGE"],
        "example.com/kip:1"
    );
    for value in [json!(true), json!("true")] {
        assert_eq!(
            with("cleanupOnShutdown", value)["CLEANUP_ON_SHUTDOWN"],
            "true"
        );
    }
    assert_eq!(
        with("cleanupOnShutdown", json!(false))["CLEANUP_ON_SHUTDOWN"],
        "false"
    );
    assert_eq!(
        with("podPriorityClass", json!("low"))["POD_PRIORITY_CLASS"],
        "low"
    );
    assert_eq!(
        with("podRuntimeClass", json!("gvisor"))["POD_RUNTIME_CLASS"],
        "gvisor"
    );
    assert_eq!(with("refresh", json!("never"))["REFRESH"], "never");
    assert_eq!(with("settleDeadline", json!("1h"))["SETTLE_DEADLINE"], "1h");
    assert_eq!(with("paused", json!(true))["PAUSED"], "true");
    let values = json!({"logFormat": "json", "logLevel": "debug"});
    let container = &deployment(&values)["spec"]["template"]["spec"]["containers"][0];
    let env = container["env"].as_array().expect("env");
    assert!(
        env.contains(&json!({"name": "LOG_FORMAT", "value": "json"})),
        "{env:?}"
    );
    assert!(
        env.contains(&json!({"name": "LOG_LEVEL", "value": "debug"})),
        "{env:?}"
    );
}

/// Null included, which deletes.
#[test]
fn a_pod_template_is_a_map_or_a_string_that_stays_as_it_is() {
    let spec = json!({
        "hostNetwork": true,
        "terminationGracePeriodSeconds": 3_600_000,
        "securityContext": {"fsGroup": null},
    });
    let template = json!({"spec": spec});
    for form in [template.clone(), json!(template.to_string())] {
        let config = with("podTemplate", form);
        let text = config["POD_TEMPLATE"].as_str().expect("a string");
        let value: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(value, template);
    }
    let yaml = "spec:\n  securityContext:\n    fsGroup: null # deleted\n";
    assert_eq!(with("podTemplate", json!(yaml))["POD_TEMPLATE"], yaml);
    for wrong in [json!({"spce": {}}), json!({"spec": []}), json!(["spec"])] {
        let error = refusal(&json!({"configMap": {"podTemplate": wrong}}));
        assert!(error.contains("/configMap/podTemplate"), "{error}");
    }
}

#[test]
fn a_list_without_an_image_is_refused() {
    for empty in [json!(""), json!([]), json!({})] {
        let error = refusal(&json!({"configMap": {"images": empty}}));
        assert!(error.contains("/configMap/images"), "{error}");
    }
    // What only looks like an entry, and null (Helm takes the default away).
    let error = refusal(&json!({"configMap": {"images": " ;\n ; "}}));
    assert!(
        error.contains("configMap.images: there is no image in it; example: "),
        "{error}"
    );
    let error = refusal(&json!({"configMap": {"images": null}}));
    assert!(error.contains("'images'"), "{error}");
}

#[test]
fn text_that_is_special_in_yaml_arrives_as_it_was() {
    let odd = "one=example.com/one:1 # no comment;two={{ .Values }};three='\"\\: |- %\u{e4}";
    let config = with("images", json!(odd));
    assert_eq!(config["IMAGES"], odd.replace(';', ";\n"));
    let annotations = "{\"a\": \"\\\"\\\\ \\u00e4\",\n \"b\": \"#\"}";
    assert_eq!(
        with("daemonsetAnnotations", json!(annotations))["DAEMONSET_ANNOTATIONS"],
        annotations
    );
}

#[test]
fn secrets_of_the_daemons_own_image_are_names_or_objects() {
    let values = json!({"imagePullSecrets": ["first", {"name": "second"}]});
    let pod = &deployment(&values)["spec"]["template"]["spec"];
    assert_eq!(
        pod["imagePullSecrets"],
        json!([{"name": "first"}, {"name": "second"}])
    );
    assert!(config(&values).get("IMAGE_PULL_SECRETS").is_none());
}

#[test]
fn a_label_of_the_chart_cannot_be_replaced() {
    for label in ["app", "app.kubernetes.io/component"] {
        let error = refusal(&json!({"podLabels": {label: "holder"}}));
        assert!(
            error.contains(&format!("podLabels: \"{label}\" is a label of the chart")),
            "{error}"
        );
    }
    let values = json!({"podLabels": {"team": "platform"}});
    let labels = &deployment(&values)["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["team"], "platform");
    assert_eq!(labels["app"], "kubernetes-image-puller");
    for label in ["app", "app.kubernetes.io/instance", "helm.sh/chart"] {
        let error = refusal(&json!({"commonLabels": {label: "other"}}));
        let expected = format!("commonLabels: \"{label}\" is a label of the chart");
        assert!(error.contains(&expected), "{error}");
    }
}
