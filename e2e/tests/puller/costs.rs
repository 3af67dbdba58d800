//! What the list costs a node, and what it costs to ask registries for it.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, in its helper functions as well"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::DaemonSet;
use kip_e2e::image::MANIFEST_TYPES;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Space, alone, eventually, eventually_within, space};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::figures::resident_kilobytes;
use super::setup::{self, Entries};

/// Digests and sizes of the layers of an image, as its registry has them.
fn layers(image: &str) -> BTreeMap<String, u64> {
    let (host, _) = image.split_once('/').unwrap();
    let (repository, tag) = setup::repository_and_tag(image);
    let address = format!("http://{host}/v2/{repository}/manifests/{tag}");
    let accept = MANIFEST_TYPES.join(", ");
    let mut answer = ureq::get(&address).header("accept", accept).call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    let layer = |it: &Value| {
        (
            it["digest"].as_str().unwrap().to_owned(),
            it["size"].as_u64().unwrap(),
        )
    };
    layers.map(layer).collect()
}

async fn status(space: &Space) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&space.page("status").await?)?)
}

#[tokio::test]
async fn what_the_list_costs_is_told_and_outlives_the_daemon_without_another_request() {
    let _alone = alone();
    space::within("costs", async |space| {
        let entries = setup::push_images(&space.cluster, 3, 64);
        setup::installed(space, &entries).await;
        let all: BTreeMap<_, _> = entries
            .iter()
            .flat_map(|(_, image)| layers(image))
            .collect();
        assert_eq!(all.len(), 4, "one layer is in all of them");
        let pulled: u64 = all.values().sum();
        let metric = r#"kip_list_bytes{architecture="amd64",kind="pulled"}"#;
        space.metric_is(metric, &pulled.to_string()).await;

        let page = status(space).await.unwrap();
        let cost = &page["costs"]["amd64"];
        assert_eq!(cost["pulled"], json!(pulled), "{page:#}");
        // The disk of this machine, as a pod on a node has told it.
        assert!(cost["smallestDisk"].as_u64().unwrap() > 1 << 30, "{page:#}");
        for ((name, image), entry) in entries.iter().zip(page["images"].as_array().unwrap()) {
            assert_eq!(
                (&entry["name"], &entry["image"]),
                (&json!(name), &json!(image))
            );
            let bytes: u64 = layers(image).values().sum();
            assert_eq!(entry["bytes"]["amd64"], json!(bytes), "{page:#}");
            assert!(entry["digest"].as_str().unwrap().starts_with("sha256:"));
        }

        setup::sum_is_written(space).await;
        let log = space.cluster.registry_log().unwrap();
        space.replace_daemon().await;
        space.metric_is(metric, &pulled.to_string()).await;
        assert_eq!(log.requests_of("kip-daemon/").unwrap(), [""; 0]);
    })
    .await;
}

/// So many tags of one image: a registry is asked for each.
fn push_tags(space: &Space, count: usize) -> Entries {
    let first = setup::push_images(&space.cluster, 1, 4).remove(0).1;
    let (repository, _) = first.rsplit_once(':').unwrap();
    let references: Vec<String> = (0..count)
        .map(|tag| format!("{repository}:{tag}"))
        .collect();
    setup::push_tags(&space.cluster, &references);
    let entry = |(number, image): (usize, String)| (format!("image-{number}"), image);
    references.into_iter().enumerate().map(entry).collect()
}

#[tokio::test]
async fn five_hundred_tags_are_asked_for_within_seconds_and_in_little_memory() {
    const IMAGES: usize = 500;
    let _alone = alone();
    space::within("five-hundred", async |space| {
        let entries = push_tags(space, IMAGES);
        let list = setup::list(&entries);
        let registry = space.cluster.registry.clone();
        let daemon = setup::lone_daemon(
            space,
            &[
                ("IMAGES", list.as_str()),
                ("PLAIN_HTTP_REGISTRIES", registry.as_str()),
                ("CACHING_INTERVAL_HOURS", "0"),
            ],
        );
        eventually("the DaemonSet is there", async || space.daemonset().await).await;
        let before = resident_kilobytes(&daemon.id().to_string()).unwrap();
        for (request, what) in [("first", "first"), ("again", "unchanged")] {
            let log = space.cluster.registry_log().unwrap();
            let begun = Instant::now();
            let asked = json!({"metadata": {"annotations": {"kubernetes-image-puller/refresh": request}}});
            space
                .api::<DaemonSet>()
                .patch(NAME, &PatchParams::default(), &Patch::Merge(asked))
                .await
                .unwrap();
            eventually_within(Duration::from_secs(60), "the refresh is done", async || {
                let daemonset = space.daemonset().await?;
                let handled = daemonset.annotations().get("kubernetes-image-puller/refresh-handled");
                anyhow::ensure!(handled.map(String::as_str) == Some(request), "{handled:?}");
                Ok(())
            })
            .await;
            let seconds = begun.elapsed().as_secs_f64();
            if request == "first" {
                eventually("all are looked into", async || {
                    let (_, text) = daemon.get("/metrics").ok_or("no answer")?;
                    let is_known = text.contains("kip_list_bytes{");
                    is_known.then_some(()).ok_or("the sum is not known yet")
                })
                .await;
            }
            let requests = log.requests_of("kip-daemon/").unwrap();
            let heads = requests.iter().filter(|line| line.starts_with("HEAD")).count();
            let resident = resident_kilobytes(&daemon.id().to_string()).unwrap();
            println!(
                "figure: {what} refresh of {IMAGES} tags: {seconds:.2} s, {heads} HEAD, {} GET; daemon {before} kB before, \
                 {resident} kB after",
                requests.len() - heads
            );
            assert_eq!(heads, IMAGES);
            assert!(seconds < 30.0, "{seconds} s");
            assert!(resident < 32_000, "{resident} kB");
            if request == "again" {
                assert_eq!(requests.len(), IMAGES, "no manifest is read: {requests:#?}");
            }
        }
    })
    .await;
}
