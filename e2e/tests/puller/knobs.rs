//! Everything that a user may say about the pods, on pods that run.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, in its helper functions as well"
)]

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Release, Space, eventually, space};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::setup;

/// Low, and below zero, where no default is.
const PRIORITY: i32 = -7;

/// A priority class and a runtime class of the space's name; they belong to no namespace.
async fn with_classes(space: &Space, body: impl AsyncFnOnce()) {
    let priorities = Api::<PriorityClass>::all(space.cluster.client.clone());
    let runtimes = Api::<RuntimeClass>::all(space.cluster.client.clone());
    let metadata = ObjectMeta {
        name: Some(space.name.clone()),
        ..ObjectMeta::default()
    };
    let priority = PriorityClass {
        metadata: metadata.clone(),
        value: PRIORITY,
        ..PriorityClass::default()
    };
    let runtime = RuntimeClass {
        metadata,
        // The name that containerd's own configuration gives it.
        handler: "runc".to_owned(),
        ..RuntimeClass::default()
    };
    let made = PostParams::default();
    priorities.create(&made, &priority).await.unwrap();
    runtimes.create(&made, &runtime).await.unwrap();
    let result = AssertUnwindSafe(body()).catch_unwind().await;
    let gone = DeleteParams::default();
    priorities.delete(&space.name, &gone).await.unwrap();
    runtimes.delete(&space.name, &gone).await.unwrap();
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

fn as_json(pod: &Pod) -> Value {
    serde_json::to_value(pod).unwrap()
}

#[tokio::test]
async fn every_knob_is_seen_on_the_pods_and_taken_back_by_an_edit() {
    space::within("knobs", async |space| {
        with_classes(space, async || scenario(space).await).await;
    })
    .await;
}

async fn scenario(space: &Space) {
    let entries = setup::push_images(&space.cluster, 2, 64);
    let template = "
        metadata:
          labels: {stage: laid-over}
        spec:
          dnsPolicy: Default
          terminationGracePeriodSeconds: 2
          securityContext: {fsGroup: null, supplementalGroups: [777]}
          containers:
          - name: image-1
            env: [{name: LANG, value: C}]
            volumeMounts: [{name: more, mountPath: /more}]
          volumes:
          - {name: more, emptyDir: {sizeLimit: 1Mi}}";
    let values = json!({
        "configMap.images": setup::list(&entries),
        "configMap.podLabels": {"team": "platform", "stage": "first"},
        "configMap.podAnnotations": {"sidecar.istio.io/inject": "false"},
        "configMap.podPriorityClass": space.name,
        "configMap.podRuntimeClass": space.name,
        "configMap.podTemplate": template,
        // The daemon's own pod, and the objects that are made only when they are asked for.
        "commonLabels": {"team": "platform"},
        "service.create": true,
        "networkPolicy.create": true,
        "podDisruptionBudget.create": true,
        "dnsPolicy": "Default",
        "extraEnv": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": NAME}},
        }],
    });
    Release::install(&space.name, &values).await.unwrap();
    let pods = space.all_held(&entries).await;
    for pod in &pods {
        check(&as_json(pod), &space.name);
    }
    check_daemon(space).await;

    // A mistake is named by its place, and changes nothing.
    let before = space.fingerprints().await.unwrap();
    let wrong = "{spec: {containers: [{name: image-0, command: [/bin/sh]}]}}";
    space
        .edit_config(json!({"POD_TEMPLATE": wrong}))
        .await
        .unwrap();
    space
        .event_says(
            "InvalidConfiguration",
            "spec.containers[image-0].command cannot be set",
        )
        .await;
    assert_eq!(space.fingerprints().await.unwrap(), before);

    let plain = json!({
        "POD_LABELS": "team: another", "POD_ANNOTATIONS": "{}", "POD_TEMPLATE": "{}",
        "POD_PRIORITY_CLASS": null, "POD_RUNTIME_CLASS": null,
    });
    space.edit_config(plain).await.unwrap();
    eventually("all pods are plain again but for a label", async || {
        for pod in space.held(&entries).await? {
            let pod = as_json(&pod);
            let labels = &pod["metadata"]["labels"];
            anyhow::ensure!(labels["team"] == "another", "{labels}");
            anyhow::ensure!(labels.get("stage").is_none(), "{labels}");
            let annotations = &pod["metadata"]["annotations"];
            let annotation = annotations.get("sidecar.istio.io/inject");
            anyhow::ensure!(annotation.is_none(), "{annotations}");
            let spec = &pod["spec"];
            anyhow::ensure!(spec["priority"] != PRIORITY, "{spec}");
            anyhow::ensure!(spec.get("runtimeClassName").is_none(), "{spec}");
            anyhow::ensure!(spec["dnsPolicy"] == "ClusterFirst", "{spec}");
            anyhow::ensure!(spec["securityContext"]["fsGroup"] == 65532, "{spec}");
        }
        Ok(())
    })
    .await;
}

/// The API server takes them as the chart writes them, and the daemon works with them.
async fn check_daemon(space: &Space) {
    let daemon = as_json(&space.daemon_ready().await);
    assert_eq!(daemon["metadata"]["labels"]["team"], "platform");
    assert_eq!(daemon["spec"]["dnsPolicy"], "Default");
    let service = space.api::<Service>().get(NAME).await.unwrap();
    assert_eq!(
        service.spec.unwrap().publish_not_ready_addresses,
        Some(true)
    );
    let budget = space.api::<PodDisruptionBudget>();
    eventually("the budget covers the daemon's pod", async || {
        let status = budget.get(NAME).await?.status;
        let expected = status.as_ref().map(|status| status.expected_pods);
        anyhow::ensure!(expected == Some(1), "{status:?}");
        Ok(())
    })
    .await;
    let policies = space.api::<NetworkPolicy>();
    for name in [NAME.to_owned(), format!("{NAME}-pods")] {
        policies.get(&name).await.unwrap();
    }
}

fn check(pod: &Value, classes: &str) {
    let metadata = &pod["metadata"];
    assert_eq!(metadata["labels"]["team"], "platform");
    assert_eq!(
        metadata["labels"]["stage"], "laid-over",
        "the template has the last word"
    );
    assert_eq!(
        metadata["annotations"]["sidecar.istio.io/inject"], "false",
        "{metadata}"
    );
    let spec = &pod["spec"];
    assert_eq!(spec["priorityClassName"], classes);
    assert_eq!(spec["priority"], PRIORITY, "the class was resolved");
    assert_eq!(spec["runtimeClassName"], classes);
    assert_eq!(spec["dnsPolicy"], "Default");
    assert_eq!(spec["terminationGracePeriodSeconds"], 2);
    assert_eq!(
        spec["securityContext"],
        json!({
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"}, "supplementalGroups": [777],
        })
    );
    let containers = spec["containers"].as_array().unwrap();
    let named = |name: &str| containers.iter().find(|it| it["name"] == name).unwrap();
    let has = |container: &Value, list: &str, key: &str, name: &str| {
        let list = container[list].as_array().unwrap();
        list.iter().any(|item| item[key] == name)
    };
    for (container, is_changed) in [("image-0", false), ("image-1", true)] {
        let container = named(container);
        assert_eq!(has(container, "env", "name", "LANG"), is_changed);
        assert_eq!(
            has(container, "volumeMounts", "mountPath", "/more"),
            is_changed
        );
        assert!(has(container, "env", "name", "NVIDIA_VISIBLE_DEVICES"));
        assert!(has(container, "volumeMounts", "mountPath", "/kip/"));
    }
}
