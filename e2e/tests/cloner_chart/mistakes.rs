//! Mistakes that people make, and what they are told.

use serde_json::{Value, json};

use super::helm::{config, refusal};

#[test]
fn a_registry_that_is_none_is_refused_with_an_example() {
    for (registry, wrong) in [
        (
            json!("https://registry.example.com/backup"),
            "has no https:// before its name",
        ),
        (
            json!("registry.example.com/Backup"),
            "has capitals or spaces",
        ),
        (json!(" registry.example.com"), "has capitals or spaces"),
        (
            json!("registry.example.com/backup:latest"),
            "has a tag or a digest",
        ),
        (
            json!("registry.example.com/backup@sha256:00"),
            "has a tag or a digest",
        ),
        (
            json!("registry.example.com/"),
            "begins or ends with a slash",
        ),
    ] {
        let error = refusal(&json!({"settings": {"registry": registry}}));
        assert!(
            error.contains(&format!("settings.registry: {registry} ")),
            "{error}"
        );
        assert!(error.contains(wrong), "{error}");
        assert!(
            error.contains("example: registry.example.com/backup"),
            "{error}"
        );
    }
    for registry in [
        "registry.example.com",
        "localhost:5000/a/b",
        "[::1]:5000",
        "bob",
    ] {
        let data = config(&json!({"settings": {"registry": registry}}));
        assert_eq!(data["REGISTRY"], registry);
    }
}

/// Empty is Docker Hub, as in the original: only without credentials it cannot be meant.
#[test]
fn no_registry_and_no_credentials_is_refused() {
    assert!(config(&json!({})).get("REGISTRY").is_none());
    let error = refusal(&json!({"registryAuth": {"secret": ""}}));
    assert!(
        error.contains("settings.registry: empty is Docker Hub"),
        "{error}"
    );
    assert!(error.contains("registryAuth.secret must name"), "{error}");
}

#[test]
fn a_registry_without_a_path_needs_credentials() {
    let without = |registry: &str| json!({"registryAuth": {"secret": ""}, "settings": {"registry": registry}});
    for registry in ["registry.example.com", "localhost:5000/"] {
        let error = refusal(&without(registry));
        assert!(error.contains("has no path"), "{error}");
    }
    assert_eq!(
        config(&without("localhost:5000/a"))["REGISTRY"],
        "localhost:5000/a"
    );
}

fn refused_at(values: &Value, place: &str) {
    let error = refusal(values);
    let expected = format!("at '{place}'");
    assert!(error.contains(&expected), "no {place} in {error}");
}

#[test]
fn a_setting_of_the_wrong_kind_is_refused() {
    for (key, wrong, place) in [
        ("naming", json!("short"), ""),
        ("pullSecret", json!("Not_A_Name"), ""),
        ("referrers", json!("yes"), ""),
        ("kinds", json!({"Pod": true}), ""),
        ("onTimeout", json!("wait"), ""),
        ("onFailure", json!("ignore"), ""),
        ("unproven", json!("ask"), ""),
        ("exemptNamespaces", json!(["a b"]), "/0"),
        ("exemptOwners", json!("a,b"), ""),
        ("exemptLabels", json!(["app"]), "/0"),
        ("allowRegistries", json!(["https://docker.io"]), "/0"),
        ("denyRegistries", json!(["docker.io/library"]), "/0"),
        ("privateRegistries", json!("10.0.0.0/8"), ""),
        ("plainHttpRegistries", json!("http://registry.example"), ""),
        ("copiesAtOnce", json!(0), ""),
        ("copiesAtOnce", json!(257), ""),
        ("originalFresh", json!(30), ""),
        ("copyFresh", json!("10"), ""),
        ("proofLifetime", json!("30d"), ""),
        ("certificateLifetime", json!("-1h"), ""),
        ("logFormat", json!("yaml"), ""),
        ("logLevel", json!("loud"), ""),
    ] {
        let place = format!("/settings/{key}{place}");
        refused_at(&json!({"settings": {key: wrong}}), &place);
    }
}

#[test]
fn another_value_of_the_wrong_kind_is_refused() {
    for (values, place) in [
        (json!({"name": "Upper"}), "/name"),
        (json!({"name": "1st"}), "/name"),
        (json!({"replicas": "2"}), "/replicas"),
        (json!({"replicas": -1}), "/replicas"),
        (json!({"image": {"tag": 1.1}}), "/image/tag"),
        (
            json!({"image": {"pullPolicy": "always"}}),
            "/image/pullPolicy",
        ),
        (
            json!({"registryAuth": {"secret": "A"}}),
            "/registryAuth/secret",
        ),
        (
            json!({"registryCA": {"configMap": "A"}}),
            "/registryCA/configMap",
        ),
        (
            json!({"webhook": {"failurePolicy": "ignore"}}),
            "/webhook/failurePolicy",
        ),
        (
            json!({"webhook": {"timeoutSeconds": 0}}),
            "/webhook/timeoutSeconds",
        ),
        (
            json!({"webhook": {"timeoutSeconds": 31}}),
            "/webhook/timeoutSeconds",
        ),
        (
            json!({"webhook": {"timeoutSeconds": "10s"}}),
            "/webhook/timeoutSeconds",
        ),
        (
            json!({"webhook": {"reinvocationPolicy": "Always"}}),
            "/webhook/reinvocationPolicy",
        ),
        (
            json!({"webhook": {"allNamespaces": "yes"}}),
            "/webhook/allNamespaces",
        ),
        (
            json!({"webhook": {"exemptOwnNamespace": "no"}}),
            "/webhook/exemptOwnNamespace",
        ),
        (
            json!({"webhook": {"namespaceSelector": {"matchLabels": ["a"]}}}),
            "/webhook/namespaceSelector/matchLabels",
        ),
        (
            json!({"certificates": {"certManager": {"issuerRef": {"kind": "Issuer"}}}}),
            "/certificates/certManager/issuerRef",
        ),
        (json!({"rbac": {"namespaces": "shop"}}), "/rbac/namespaces"),
        (
            json!({"rbac": {"namespaces": ["a.b"]}}),
            "/rbac/namespaces/0",
        ),
        (json!({"rbac": {"pullSecrets": ["a"]}}), "/rbac/pullSecrets"),
        (
            json!({"terminationGracePeriodSeconds": -1}),
            "/terminationGracePeriodSeconds",
        ),
        (
            json!({"extraEnv": [{"name": "A", "value": 1}]}),
            "/extraEnv/0/value",
        ),
        (
            json!({"serviceMonitor": {"interval": "30"}}),
            "/serviceMonitor/interval",
        ),
        (
            json!({"podDisruptionBudget": {"minAvailable": "half"}}),
            "/podDisruptionBudget/minAvailable",
        ),
    ] {
        refused_at(&values, place);
    }
}

#[test]
fn a_typo_is_refused_at_every_level() {
    for (values, place, typo) in [
        (json!({"replicaCount": 2}), "''", "replicaCount"),
        (json!({"registry": "r.example"}), "''", "registry"),
        (
            json!({"settings": {"regsitry": "r.example"}}),
            "'/settings'",
            "regsitry",
        ),
        (
            json!({"settings": {"REGISTRY": "r.example"}}),
            "'/settings'",
            "REGISTRY",
        ),
        (json!({"webhook": {"timeout": 5}}), "'/webhook'", "timeout"),
        (
            json!({"webhook": {"namespaceSelector": {"image-cloner": "enabled"}}}),
            "'/webhook/namespaceSelector'",
            "image-cloner",
        ),
        (
            json!({"certificates": {"certmanager": {}}}),
            "'/certificates'",
            "certmanager",
        ),
        (
            json!({"certificates": {"certManager": {"create": true}}}),
            "'/certificates/certManager'",
            "create",
        ),
        (json!({"rbac": {"enabled": true}}), "'/rbac'", "enabled"),
        (
            json!({"registryAuth": {"password": "x"}}),
            "'/registryAuth'",
            "password",
        ),
        (json!({"service": {"port": 443}}), "'/service'", "port"),
        (
            json!({"livenessProbe": {"httpGet": {}}}),
            "'/livenessProbe'",
            "httpGet",
        ),
        (
            json!({"resources": {"request": {}}}),
            "'/resources'",
            "request",
        ),
        (
            json!({"networkPolicy": {"enabled": true}}),
            "'/networkPolicy'",
            "enabled",
        ),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": 1}}),
            "'/podDisruptionBudget'",
            "maxUnavailable",
        ),
    ] {
        let error = refusal(&values);
        let expected = format!("at {place}: additional properties '{typo}' not allowed");
        assert!(error.contains(&expected), "no {expected:?} in {error}");
    }
}
