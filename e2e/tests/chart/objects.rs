//! The objects that are made only when they are asked for: `Service`, `ServiceMonitor`, `NetworkPolicy`,
//! `PodDisruptionBudget`.

use serde_json::{Value, json};

use super::helm::{NAMESPACE, RELEASE, deployment, objects, only};

/// Whether a selector of labels fits the daemon's pod.
fn fits_the_daemon(values: &Value, selector: &Value) -> bool {
    let labels = deployment(values)["spec"]["template"]["metadata"]["labels"].clone();
    let selector = selector.as_object().expect("a map of labels");
    !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
}

#[test]
fn none_is_made_unless_it_is_asked_for() {
    for object in objects(&json!({})) {
        let kind = object["kind"].as_str().expect("a kind");
        assert!(
            ![
                "Service",
                "ServiceMonitor",
                "NetworkPolicy",
                "PodDisruptionBudget"
            ]
            .contains(&kind),
            "{object}"
        );
    }
}

#[test]
fn the_service_leads_to_the_daemon_even_while_it_is_not_ready() {
    let values = json!({
        "deploymentName": "puller",
        "service": {"create": true, "port": 9100, "annotations": {"prometheus.io/scrape": true}},
    });
    let service = only(&objects(&values), "Service").clone();
    assert_eq!(service["metadata"]["name"], "puller");
    assert_eq!(service["metadata"]["namespace"], NAMESPACE);
    assert_eq!(
        service["metadata"]["annotations"],
        json!({"prometheus.io/scrape": "true"})
    );
    let selector = json!({"app": "puller", "app.kubernetes.io/component": "daemon"});
    assert_eq!(
        service["spec"],
        json!({
            "type": "ClusterIP",
            "publishNotReadyAddresses": true,
            "selector": selector,
            "ports": [{"name": "http", "port": 9100, "targetPort": "http", "protocol": "TCP"}],
        })
    );
    assert!(fits_the_daemon(&values, &selector));
    let port = &deployment(&values)["spec"]["template"]["spec"]["containers"][0]["ports"][0];
    assert_eq!(port["name"], "http");
}

#[test]
fn the_service_monitor_brings_its_service_and_finds_it() {
    let values = json!({"serviceMonitor": {
        "create": true, "interval": "30s", "scrapeTimeout": "10s",
        "labels": {"release": "prometheus", "app.kubernetes.io/name": "other"},
    }});
    let objects = objects(&values);
    let monitor = only(&objects, "ServiceMonitor");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["metadata"]["namespace"], NAMESPACE);
    let labels = &monitor["metadata"]["labels"];
    assert_eq!(labels["release"], "prometheus");
    assert_eq!(labels["app.kubernetes.io/name"], "kubernetes-image-puller");
    assert_eq!(
        monitor["spec"],
        json!({
            "selector": {"matchLabels": {
                "app": "kubernetes-image-puller", "app.kubernetes.io/instance": RELEASE,
            }},
            "endpoints": [{"port": "http", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}],
        })
    );
    let service = only(&objects, "Service");
    let selector = monitor["spec"]["selector"]["matchLabels"].as_object();
    for (key, value) in selector.expect("labels") {
        assert_eq!(service["metadata"]["labels"][key], *value, "{key}");
    }
    assert_eq!(service["spec"]["ports"][0]["name"], "http");

    let plain = super::helm::objects(&json!({"serviceMonitor": {"create": true}}));
    assert_eq!(
        only(&plain, "ServiceMonitor")["spec"]["endpoints"],
        json!([{"port": "http", "path": "/metrics"}])
    );
}

/// The policies, the daemon's first.
fn policies(values: &Value) -> (Value, Value) {
    let objects = objects(values);
    let of_kind = |object: &&Value| object["kind"] == "NetworkPolicy";
    let mut found = objects.iter().filter(of_kind).cloned();
    let pair = (found.next().expect("one"), found.next().expect("two"));
    assert_eq!(found.next(), None);
    match pair.0["metadata"]["name"].as_str() {
        Some(name) if name.ends_with("-pods") => (pair.1, pair.0),
        _ => pair,
    }
}

#[test]
fn the_daemon_may_be_asked_and_may_ask_dns_the_api_server_and_registries() {
    let values = json!({"networkPolicy": {"create": true}});
    let (daemon, _) = policies(&values);
    let selector = daemon["spec"]["podSelector"]["matchLabels"].clone();
    assert!(fits_the_daemon(&values, &selector), "{selector}");
    let tcp = |port: u16| json!({"port": port, "protocol": "TCP"});
    assert_eq!(
        daemon["spec"],
        json!({
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [tcp(8080)]}],
            "egress": [
                {"ports": [{"port": 53, "protocol": "UDP"}, tcp(53)]},
                {"ports": [tcp(443), tcp(6443)]},
                {"ports": [tcp(443)]},
            ],
        })
    );

    let from = json!([{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]);
    let more = json!([{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]);
    let (daemon, _) = policies(&json!({"networkPolicy": {
        "create": true, "apiServerPorts": [16443], "registryPorts": [5000], "ingressFrom": from, "extraEgress": more,
    }}));
    assert_eq!(
        daemon["spec"]["ingress"],
        json!([{"ports": [tcp(8080)], "from": from}])
    );
    let egress = daemon["spec"]["egress"].as_array().expect("rules");
    assert_eq!(egress.len(), 4, "{egress:?}");
    assert_eq!(egress[1], json!({"ports": [tcp(16443)]}));
    assert_eq!(egress[2], json!({"ports": [tcp(5000)]}));
    assert_eq!(egress[3], more[0]);
    // No ports, no rule: a rule without ports would be for all of them.
    let (daemon, _) = policies(&json!({"networkPolicy": {"create": true, "registryPorts": []}}));
    let egress = daemon["spec"]["egress"].as_array().expect("rules");
    assert_eq!(egress.len(), 2, "{egress:?}");
}

#[test]
fn the_caching_pods_may_nothing_wherever_they_are() {
    let values = json!({
        "deploymentName": "puller", "daemonsetNamespace": "elsewhere", "networkPolicy": {"create": true},
    });
    let (daemon, pods) = policies(&values);
    assert_eq!(daemon["metadata"]["namespace"], NAMESPACE);
    assert_eq!(pods["metadata"]["namespace"], "elsewhere");
    assert_eq!(
        pods["spec"],
        json!({
            "podSelector": {
                "matchExpressions": [{
                    "key": "app.kubernetes.io/instance", "operator": "In",
                    "values": ["puller", "puller-amd64", "puller-arm64"],
                }, {
                    "key": "app.kubernetes.io/component", "operator": "In", "values": ["holder", "fetcher"],
                }],
            },
            "policyTypes": ["Ingress", "Egress"],
        })
    );
}

#[test]
fn the_disruption_budget_lets_a_node_be_drained_unless_it_is_told_not_to() {
    let budget = |most: Value| {
        let values = json!({"podDisruptionBudget": {"create": true, "maxUnavailable": most}});
        let budget = only(&objects(&values), "PodDisruptionBudget")["spec"].clone();
        assert!(fits_the_daemon(&values, &budget["selector"]["matchLabels"]));
        assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
        budget["maxUnavailable"].clone()
    };
    assert_eq!(budget(json!(0)), 0);
    assert_eq!(budget(json!("50%")), "50%");
    let plain = objects(&json!({"podDisruptionBudget": {"create": true}}));
    let plain = only(&plain, "PodDisruptionBudget");
    assert_eq!(plain["spec"]["maxUnavailable"], 1);
}
