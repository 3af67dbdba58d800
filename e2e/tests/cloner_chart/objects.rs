//! What is made only where it is asked for.

use serde_json::json;

use super::helm::{RELEASE, objects, only};

#[test]
fn the_network_policy_lets_the_api_server_in_and_leaves_the_way_out_open() {
    let peers = json!([{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]);
    let made = objects(&json!({"networkPolicy": {"create": true, "ingressFrom": peers}}));
    let spec = &only(&made, "NetworkPolicy")["spec"];
    assert_eq!(
        *spec,
        json!({
            "podSelector": {"matchLabels": {"app": "image-cloner"}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [{"port": 8443, "protocol": "TCP"}]},
                {"ports": [{"port": 8080, "protocol": "TCP"}], "from": peers},
            ],
        })
    );
    let open = objects(&json!({"networkPolicy": {"create": true}}));
    let ingress = &only(&open, "NetworkPolicy")["spec"]["ingress"];
    assert!(ingress[1]["from"].is_null(), "{ingress}");
}

#[test]
fn a_service_monitor_finds_the_port_that_is_made_for_it() {
    let made = objects(&json!({
        "serviceMonitor": {"create": true, "interval": "30s", "labels": {"release": "prometheus"}},
        "service": {"annotations": {"team": 7}},
    }));
    let monitor = only(&made, "ServiceMonitor");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    let endpoint = json!({"port": "http", "path": "/metrics", "interval": "30s"});
    assert_eq!(monitor["spec"]["endpoints"], json!([endpoint]));
    let selector = &monitor["spec"]["selector"]["matchLabels"];
    assert_eq!(
        *selector,
        json!({"app": "image-cloner", "app.kubernetes.io/instance": RELEASE})
    );
    let service = only(&made, "Service");
    for (label, value) in selector.as_object().expect("labels") {
        assert_eq!(service["metadata"]["labels"][label], *value);
    }
    assert_eq!(service["metadata"]["annotations"], json!({"team": "7"}));
    let http = json!({"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"});
    assert_eq!(service["spec"]["ports"][1], http);
}
