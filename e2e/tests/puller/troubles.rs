//! Troubles that a cluster makes: each is told by its name, in a metric and in an Event, and nothing is let go for it.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, in its helper functions as well"
)]

#[path = "troubles/always.rs"]
mod always;
#[path = "troubles/policies.rs"]
mod policies;
#[path = "troubles/refused.rs"]
mod refused;
#[path = "troubles/secrets.rs"]
mod secrets;

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Release, Space, eventually, space};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::setup;

/// Pods that are missing are told of after half a minute, at the next heartbeat.
const PATIENT: Duration = Duration::from_secs(120);

fn from<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).expect("the literals of this file have the fields of their kind")
}

async fn trouble_is(space: &Space, reason: &str, nodes: &str) {
    let metric = format!(r#"kip_troubles{{reason="{reason}"}}"#);
    space.metric_is(&metric, nodes).await;
}

/// Its controller waits longer and longer between its tries; a change of the object brings one more at once. That is not to be
/// lost: what the API server lets in follows a quota or a range a moment after it was changed.
async fn nudge(space: &Space) {
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually("the API server takes another such pod", async || {
        let mut pod = space.holder_pods().await?.pop().context("there is none")?;
        pod.metadata = ObjectMeta {
            name: Some("probe".to_owned()),
            ..ObjectMeta::default()
        };
        pod.spec.as_mut().context("no spec")?.node_name = None;
        anyhow::Ok(space.api::<Pod>().create(&dry_run, &pod).await?)
    })
    .await;
    let nudged = space.nudge::<DaemonSet>(NAME).await;
    nudged.expect("it can be annotated");
}

async fn delete_a_pod(space: &Space) {
    let pods = space.holder_pods().await.expect("there are pods");
    let deleted = space.delete_pod(&pods[0]).await;
    deleted.expect("it can be deleted");
}

async fn set_quota(space: &Space, pods: &str) {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "small"}, "spec": {"hard": {"pods": pods}}});
    let params = PatchParams::apply("test").force();
    space
        .api::<ResourceQuota>()
        .patch("small", &params, &Patch::Apply(quota))
        .await
        .expect("a quota can be set");
    // The API server goes by its status, which a controller writes.
    eventually("the quota is in force", async || {
        let quota = space.api::<ResourceQuota>().get("small").await?;
        let hard = quota.status.and_then(|status| status.hard);
        let found = hard.and_then(|hard| Some(hard.get("pods")?.0.clone()));
        anyhow::ensure!(found.as_deref() == Some(pods), "{found:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_quota_that_is_too_small_is_named_for_pods_and_for_fetchers() {
    space::within("quota", async |space| {
        let mut entries = setup::push_images(&space.cluster, 2, 64);
        // The daemon, and one of two nodes.
        set_quota(space, "2").await;
        let values = setup::values(&entries);
        Release::install(&space.name, &values).await.unwrap();
        space
            .event_says_within(PATIENT, "PodsMissing", "exceeded quota: small")
            .await;
        trouble_is(space, "quota", "1").await;

        set_quota(space, "3").await;
        nudge(space).await;
        space.all_held(&entries).await;
        trouble_is(space, "quota", "0").await;
        let before = space.fingerprints().await.unwrap();

        // No room for a fetcher.
        entries[0].1 = setup::push_images(&space.cluster, 1, 64).remove(0).1;
        let edit = json!({"IMAGES": setup::list(&entries)});
        space.edit_config(edit).await.unwrap();
        space
            .event_says("FetchRefused", "exceeded quota: small")
            .await;
        trouble_is(space, "quota", "1").await;
        assert_eq!(space.fingerprints().await.unwrap(), before);
        set_quota(space, "4").await;
        space.all_held(&entries).await;
        trouble_is(space, "quota", "0").await;
    })
    .await;
}

#[tokio::test]
async fn a_limit_range_is_taken_as_it_is_or_named() {
    space::within("limits", async |space| {
        let limits = |limit: Value| -> LimitRange {
            from(json!({"metadata": {"name": "range"}, "spec": {"limits": [limit]}}))
        };
        let api = space.api::<LimitRange>();
        let create = PostParams::default();
        // What is left out is filled in, and the pods are as they should be all the same.
        let default = json!({"type": "Container", "default": {"memory": "64Mi", "cpu": "1"},
            "defaultRequest": {"memory": "8Mi", "cpu": "1m"}});
        api.create(&create, &limits(default)).await.unwrap();
        let mut entries = setup::push_images(&space.cluster, 2, 64);
        let mut values = setup::values(&entries);
        values["configMap.cachingMemoryRequest"] = json!("none");
        values["configMap.cachingMemoryLimit"] = json!("none");
        let release = Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let before = space.fingerprints().await.unwrap();
        api.delete("range", &DeleteParams::default()).await.unwrap();
        release.upgrade(&setup::values(&entries)).await.unwrap();
        eventually("each pod is made anew", async || {
            space.held(&entries).await?;
            let now = space.fingerprints().await?;
            let is_old = now.keys().any(|uid| before.contains_key(uid));
            anyhow::ensure!(!is_old, "old pods");
            Ok(())
        })
        .await;

        // A fetcher requests nothing, and where that is refused as much as the others.
        let something = json!({"type": "Container", "min": {"cpu": "1m", "memory": "1Mi"}});
        api.create(&create, &limits(something)).await.unwrap();
        entries[0].1 = setup::push_images(&space.cluster, 1, 64).remove(0).1;
        let edit = json!({"IMAGES": setup::list(&entries)});
        space.edit_config(edit).await.unwrap();
        space.all_held(&entries).await;
        api.delete("range", &DeleteParams::default()).await.unwrap();

        let smallest = json!({"type": "Container", "max": {"memory": "15Mi"}});
        api.create(&create, &limits(smallest)).await.unwrap();
        delete_a_pod(space).await;
        let words = "maximum memory usage per Container is 15Mi";
        space.event_says_within(PATIENT, "PodsMissing", words).await;
        trouble_is(space, "limit_range", "1").await;
        api.delete("range", &DeleteParams::default()).await.unwrap();
        nudge(space).await;
        space.all_held(&entries).await;
        trouble_is(space, "limit_range", "0").await;
    })
    .await;
}

#[tokio::test]
async fn a_level_of_pod_security_that_forbids_what_the_overlay_asks_for_is_named() {
    space::within("level", async |space| {
        let entries = setup::push_images(&space.cluster, 2, 64);
        setup::installed(space, &entries).await;
        let before = space.fingerprints().await.unwrap();
        let template = json!({"POD_TEMPLATE": "{spec: {hostNetwork: true}}"});
        space.edit_config(template).await.unwrap();
        let words = "violates PodSecurity \\\"restricted:latest\\\"";
        let words = words.replace('\\', "");
        space.event_says("FetchRefused", &words).await;
        trouble_is(space, "pod_security", "1").await;
        assert_eq!(space.fingerprints().await.unwrap(), before);

        delete_a_pod(space).await;
        space
            .event_says_within(PATIENT, "PodsMissing", &words)
            .await;
        space
            .edit_config(json!({"POD_TEMPLATE": "{}"}))
            .await
            .unwrap();
        space.all_held(&entries).await;
        trouble_is(space, "pod_security", "0").await;
    })
    .await;
}
