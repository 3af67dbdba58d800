//! Others in the cluster who mean well, and some who do not.

use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Space, eventually, space};
use kube::ResourceExt as _;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};

use super::setup;

/// The number of requests that the daemon sent about the `DaemonSet`, watches left out.
fn requests_of(space: &Space, audit: &kip_e2e::lab::logs::AuditLog) -> usize {
    let requests = audit.requests().expect("the audit log can be read");
    requests
        .iter()
        .filter(|request| {
            request.agent().starts_with("kip-daemon/") && request.namespace() == space.name
        })
        .filter(|request| {
            request.resource() == "daemonsets" && matches!(request.verb.as_str(), "get" | "patch")
        })
        .count()
}

fn container_names(daemonset: &DaemonSet) -> Vec<String> {
    let pod = daemonset
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    pod.into_iter()
        .flat_map(|pod| &pod.containers)
        .map(|container| container.name.clone())
        .collect()
}

#[tokio::test]
async fn a_policy_that_changes_our_labels_is_told_and_not_fought_for_ever() {
    space::within("policy", async |space| {
        let policy = policy_apis(space);
        let name = format!("e2e-{}", space.name);
        policy[0].create(&PostParams::default(), &object("MutatingAdmissionPolicy", &name, &json!({
            "matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}},
                "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["daemonsets"],
                    "operations": ["CREATE", "UPDATE"]}]},
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
                "Object{metadata: Object.metadata{labels: {\"app.kubernetes.io/managed-by\": \"platform\"}}}"}}],
        }))).await.unwrap();
        policy[1].create(&PostParams::default(), &object("MutatingAdmissionPolicyBinding", &name, &json!({
            "policyName": name,
        }))).await.unwrap();
        // The policy takes effect when the API server has seen it.
        eventually("the policy is in force", async || {
            let probe: DaemonSet = serde_json::from_value(json!({"metadata": {"name": "probe"}, "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}})).unwrap();
            let dry = PostParams { dry_run: true, ..PostParams::default() };
            let made = space.api::<DaemonSet>().create(&dry, &probe).await?;
            anyhow::ensure!(made.labels().contains_key("app.kubernetes.io/managed-by"), "not yet");
            Ok(())
        })
        .await;
        let daemon = setup::lone_daemon(space, &[]);
        eventually("the DaemonSet is made", async || space.daemonset().await).await;
        let audit = space.cluster.audit_log().unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let requests = requests_of(space, &audit);
        let log = daemon.log();
        for api in &policy {
            api.delete(&name, &DeleteParams::default()).await.unwrap();
        }
        assert!(requests <= 4, "{requests} requests in 5 s\n{log}");
        assert!(log.contains("app.kubernetes.io/managed-by"), "it says which key is not kept\n{log}");
    })
    .await;
}

fn policy_apis(space: &Space) -> [Api<DynamicObject>; 2] {
    ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"].map(|kind| {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
            "admissionregistration.k8s.io",
            "v1",
            kind,
        ));
        Api::all_with(space.cluster.client.clone(), &resource)
    })
}

fn object(kind: &str, name: &str, spec: &Value) -> DynamicObject {
    serde_json::from_value(
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": name}, "spec": spec}),
    )
    .expect("an object")
}

#[tokio::test]
async fn what_was_added_is_removed_also_when_the_field_owners_were_wiped() {
    space::within("wiped", async |space| {
        let daemon = setup::lone_daemon(space, &[]);
        let made = eventually("the DaemonSet is made", async || space.daemonset().await).await;
        assert_eq!(container_names(&made), ["a", "b"]);
        let mut evil = made
            .spec
            .unwrap()
            .template
            .spec
            .unwrap()
            .containers
            .remove(0);
        evil.name = "evil".to_owned();
        let patch: json_patch::Patch = serde_json::from_value(json!([
            {"op": "add", "path": "/spec/template/spec/containers/-", "value": evil},
            {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
        ]))
        .unwrap();
        let patched = space
            .api::<DaemonSet>()
            .patch(NAME, &PatchParams::default(), &Patch::<()>::Json(patch))
            .await
            .unwrap();
        assert_eq!(container_names(&patched), ["a", "b", "evil"]);
        eventually("the container is gone", async || {
            let names = container_names(&space.daemonset().await?);
            anyhow::ensure!(names == ["a", "b"], "{names:?}\n{}", daemon.log());
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn cleaning_up_never_deletes_the_daemonset_of_somebody_else() {
    space::within("foreign", async |space| {
        let foreign: DaemonSet = serde_json::from_value(json!({
            "metadata": {"name": NAME},
            "spec": {"selector": {"matchLabels": {"app": "theirs"}}, "template": {
                "metadata": {"labels": {"app": "theirs"}},
                "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "a", "image": "registry.invalid/a:1"}]}}},
        }))
        .unwrap();
        let theirs = space.api::<DaemonSet>().create(&PostParams::default(), &foreign).await.unwrap();
        let mut daemon = setup::lone_daemon(space, &[("CLEANUP_ON_SHUTDOWN", "true")]);
        eventually("the daemon says that it is not ready, and why", async || match daemon.get("/readyz") {
            Some((503, text)) if text.contains("another selector") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        let kill = Command::new("kill").args(["-s", "TERM", &daemon.id().to_string()]).status();
        assert!(kill.is_ok_and(|status| status.success()));
        let status = eventually("the daemon ends", async || match daemon.exited() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert!(status.success());
        let now = space.daemonset().await.unwrap();
        assert_eq!((now.uid(), now.metadata.generation), (theirs.uid(), theirs.metadata.generation));
        assert!(now.metadata.deletion_timestamp.is_none());
    })
    .await;
}
