//! From `helm install` to images on the nodes.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::DaemonSet;
use kip_e2e::lab::{Release, alone, space};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::setup::{self, Entries};

#[tokio::test]
async fn every_image_is_on_every_node_and_held_by_a_running_container() {
    space::within("samples", async |space| {
        let entries = setup::push_samples(&space.cluster);
        assert!(entries.len() >= 10, "{entries:?}");
        setup::installed(space, &entries).await;
        for node in space.cluster.nodes().await.unwrap() {
            let tasks = space.cluster.ctr(&node, &["tasks", "ls"]).await.unwrap();
            let running: Vec<&str> = tasks
                .lines()
                .filter(|line| line.ends_with("RUNNING"))
                .filter_map(|line| line.split_whitespace().next())
                .collect();
            for (name, image) in &entries {
                let filter = format!("image=={image}");
                let ids = space
                    .cluster
                    .ctr(&node, &["containers", "ls", "-q", &filter])
                    .await
                    .unwrap();
                let holders = ids.lines().filter(|id| running.contains(id)).count();
                assert_eq!(holders, 1, "{name} on {node}: containers {ids:?}");
            }
        }
        let nodes = space.cluster.nodes().await.unwrap().len();
        space
            .metric_is(r#"kip_nodes{state="complete"}"#, &nodes.to_string())
            .await;
    })
    .await;
}

/// Installing the chart takes at most 5 s longer than the same images take in a `DaemonSet` written by hand.
#[tokio::test]
async fn installing_takes_hardly_longer_than_a_bare_daemonset() {
    const ROUNDS: usize = 3;
    let _alone = alone();
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..ROUNDS {
        space::within("install", async |space| {
            let entries = setup::push_images(&space.cluster, 5, 2048);
            let started = Instant::now();
            let _release = Release::install(&space.name, &setup::values(&entries))
                .await
                .unwrap();
            space.all_held(&entries).await;
            ours.push(started.elapsed());
        })
        .await;
        space::within("bare", async |space| {
            let entries = setup::push_images(&space.cluster, 5, 2048);
            let started = Instant::now();
            let daemonset = bare_daemonset(&entries);
            space
                .api::<DaemonSet>()
                .create(&PostParams::default(), &daemonset)
                .await
                .unwrap();
            space.all_held(&entries).await;
            bare.push(started.elapsed());
            space
                .api::<DaemonSet>()
                .delete("bare", &DeleteParams::default())
                .await
                .unwrap();
        })
        .await;
    }
    ours.sort_unstable();
    bare.sort_unstable();
    let (ours, bare) = (ours[ROUNDS / 2], bare[ROUNDS / 2]);
    println!(
        "figure: install to all cached: {ours:.1?}, bare DaemonSet {bare:.1?} (median of {ROUNDS})"
    );
    assert!(
        ours <= bare + Duration::from_secs(5),
        "{ours:?} beside {bare:?}"
    );
}

/// The labels are those by which the harness finds the holder's pods.
#[allow(clippy::unwrap_used, reason = "a fixture of the test")]
fn bare_daemonset(entries: &Entries) -> DaemonSet {
    let labels = json!({"app.kubernetes.io/component": "holder"});
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    let containers: Vec<_> = entries
        .iter()
        .map(|(name, image)| json!({"name": name, "image": image, "securityContext": security}))
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": "bare"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": containers, "terminationGracePeriodSeconds": 1}}},
    }))
    .unwrap()
}
