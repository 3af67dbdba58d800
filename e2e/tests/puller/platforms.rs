//! Images that have nothing for the architecture of some nodes.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, in its helper functions as well"
)]

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::image::architecture;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{
    Change, Daemon, History, Recorder, Release, Space, eventually, eventually_within, space,
};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use super::rollout::{no_fetcher_is_left, nothing_was_let_go, refresh};
use super::setup::{self, Entries};

const PARTS: &str = "kubernetes-image-puller/parts";
const PATIENT: Duration = Duration::from_secs(180);

/// What this machine is, and what it is not.
fn architectures() -> (&'static str, &'static str) {
    match architecture() {
        "amd64" => ("amd64", "arm64"),
        other => (other, "amd64"),
    }
}

fn part_name() -> String {
    format!("{NAME}-{}", architecture())
}

fn wanted(daemonset: &DaemonSet) -> (i32, i32) {
    let status = daemonset.status.clone().unwrap_or_default();
    (
        status.desired_number_scheduled,
        status.current_number_scheduled,
    )
}

/// The main `DaemonSet` wants no node, and the part's has all of them, with these images and no other.
async fn is_apart(space: &Space, held: &Entries) -> Result<()> {
    let main = space.daemonset().await?;
    ensure!(wanted(&main) == (0, 0), "{:?}", main.status);
    let part = space.api::<DaemonSet>().get(&part_name()).await?;
    ensure!(wanted(&part) == (2, 2), "{:?}", part.status);
    let pods = space.held(held).await?;
    for pod in &pods {
        let instance = pod.labels().get("app.kubernetes.io/instance");
        ensure!(instance == Some(&part_name()), "{instance:?}");
    }
    Ok(())
}

/// The main `DaemonSet` has all nodes, and there is no other.
async fn is_one(space: &Space, entries: &Entries) -> Result<()> {
    let part = space.api::<DaemonSet>().get_opt(&part_name()).await?;
    ensure!(part.is_none(), "{:?}", part.and_then(|part| part.status));
    let main = space.daemonset().await?;
    ensure!(wanted(&main) == (2, 2), "{:?}", main.status);
    let parts = main.annotations().get(PARTS);
    ensure!(parts.is_none(), "{parts:?}");
    space.held(entries).await.map(drop)
}

fn image_names(pod: &Pod) -> Vec<&str> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.map(|it| it.name.as_str()).collect()
}

#[tokio::test]
async fn an_image_that_has_nothing_for_the_nodes_is_kept_off_them_until_it_has_and_no_other_is_let_go()
 {
    space::within("platforms", async |space| {
        let (here, elsewhere) = architectures();
        let mut entries = setup::push_images(&space.cluster, 3, 4);
        let foreign = entries[1].1.clone();
        setup::push_index(&space.cluster, &foreign, &[elsewhere]);
        let mut values = setup::values(&entries);
        values["configMap.cachingIntervalHours"] = json!("0");
        let others: Entries = [0, 2].map(|index: usize| entries[index].clone()).into();

        let recorder = Recorder::start(&space.cluster).await.unwrap();
        Release::install(&space.name, &values).await.unwrap();
        eventually_within(PATIENT, "the nodes are a part", async || {
            is_apart(space, &others).await
        })
        .await;
        let words =
            format!("image-1 ({foreign}) is not there for {here}: it is kept off 2 node(s)");
        space.event_says("ImageKeptOff", &words).await;
        let words = format!(
            "image-1 ({foreign}) is not there for the architecture of any node: it is kept off all 2"
        );
        space.event_says("ImageUnavailable", &words).await;
        for (metric, value) in [
            (r#"kip_image_kept_off_nodes{image="image-1"}"#, "2"),
            (r#"kip_image_kept_off_nodes{image="image-0"}"#, "0"),
            (r#"kip_nodes{state="wanted"}"#, "2"),
            (r#"kip_nodes{state="complete"}"#, "2"),
            (r#"kip_image_nodes{image="image-0",state="cached"}"#, "2"),
            (
                r#"kip_image_nodes{image="image-1",state="pull_failed"}"#,
                "0",
            ),
        ] {
            space.metric_is(metric, value).await;
        }

        let pods = History::<Pod>::start(space.api()).await.unwrap();
        // A restart changes nothing: no pod of ours tries the image again.
        let before = space.fingerprints().await.unwrap();
        space.replace_daemon().await;
        space
            .metric_is(r#"kip_image_kept_off_nodes{image="image-1"}"#, "2")
            .await;
        assert_eq!(space.fingerprints().await.unwrap(), before);
        pods.caught_up().await;
        let has_tried = |changes: &[Change<Pod>]| {
            changes.iter().any(|change| match change {
                // Those of the main DaemonSet may still be going.
                Change::Now(pod) if pod.metadata.deletion_timestamp.is_none() => {
                    image_names(pod).contains(&"image-1")
                }
                Change::Now(_) | Change::Gone(_) => false,
            })
        };
        assert!(!pods.read(has_tried), "no pod has the image");

        // An edit reaches the nodes of the part as it does others.
        let added = setup::push_images(&space.cluster, 1, 4).remove(0).1;
        entries.push(("added".to_owned(), added));
        let mut more = others.clone();
        more.push(entries[3].clone());
        let edit = json!({"IMAGES": setup::list(&entries)});
        space.edit_config(edit).await.unwrap();
        eventually_within(PATIENT, "the edit is on the part's nodes", async || {
            is_apart(space, &more).await
        })
        .await;
        no_fetcher_is_left(space).await;

        // The image is there now.
        setup::push_index(&space.cluster, &foreign, &[elsewhere, here]);
        refresh(space, "it is there").await;
        eventually_within(PATIENT, "the nodes are one cluster again", async || {
            is_one(space, &entries).await
        })
        .await;
        nothing_was_let_go(&recorder, &others);
        for (metric, value) in [
            (r#"kip_image_kept_off_nodes{image="image-1"}"#, "0"),
            (r#"kip_nodes{state="wanted"}"#, "2"),
            (r#"kip_nodes{state="complete"}"#, "2"),
        ] {
            space.metric_is(metric, value).await;
        }

        // A tag that has nothing for the nodes any more: they keep what they hold.
        let lost = &entries[2].1;
        setup::push_index(&space.cluster, lost, &[elsewhere]);
        refresh(space, "it is lost").await;
        let words = format!(
            "image-2 ({lost}) is not there for {here} any more: nodes that hold it keep it, others cannot have it"
        );
        space.event_says("ImageUnavailable", &words).await;
        is_one(space, &entries).await.unwrap();
        nothing_was_let_go(&recorder, &others);
        // No node has asked for it: a new pod finds what is there.
        for pod in space.holder_pods().await.unwrap() {
            space.delete_pod(&pod).await.unwrap();
        }
        eventually_within(PATIENT, "it is held again", async || {
            is_one(space, &entries).await
        })
        .await;
    })
    .await;
}

/// What no daemon has seen: the object that names the part is gone.
#[tokio::test]
async fn a_part_is_found_again_by_its_name_and_goes_with_a_daemon_that_is_told_to_clean_up() {
    space::within("parts", async |space| {
        let (_, elsewhere) = architectures();
        let entries = setup::push_images(&space.cluster, 2, 4);
        setup::push_index(&space.cluster, &entries[1].1, &[elsewhere]);
        let others: Entries = vec![entries[0].clone()];
        let images = setup::list(&entries);
        let start = |cleanup: &str| {
            Daemon::start(&[
                ("IMAGES", images.as_str()),
                ("NAMESPACE", space.name.as_str()),
                ("PLAIN_HTTP_REGISTRIES", space.cluster.registry.as_str()),
                ("CLEANUP_ON_SHUTDOWN", cleanup),
            ])
            .unwrap()
        };
        let apart = async || {
            eventually_within(PATIENT, "the nodes are a part", async || {
                is_apart(space, &others).await
            })
            .await;
        };
        let daemon = start("false");
        apart().await;
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        drop(daemon);
        let sets = space.api::<DaemonSet>();
        let before = space.daemonset().await.unwrap().uid();
        sets.delete(NAME, &DeleteParams::default()).await.unwrap();
        eventually("the main DaemonSet is gone", async || {
            let main = sets.get_opt(NAME).await?;
            ensure!(main.is_none(), "it is there");
            Ok(())
        })
        .await;
        let mut daemon = start("true");
        apart().await;
        assert_ne!(space.daemonset().await.unwrap().uid(), before);
        nothing_was_let_go(&recorder, &others);

        setup::signal(&daemon.id().to_string(), "TERM");
        eventually("both are gone, and the daemon has ended", async || {
            let left = sets.list(&ListParams::default()).await?.items;
            let left: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
            ensure!(left.is_empty(), "{left:?}");
            ensure!(daemon.exited()?.is_some(), "it still runs");
            Ok(())
        })
        .await;
    })
    .await;
}
