//! Fetch, then swap, on real nodes: what is held stays held.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::lab::logs::Request;
use kip_e2e::lab::recorder::Gap;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::space::container_status;
use kip_e2e::lab::{Daemon, Recorder, Release, Space, alone, eventually, eventually_within, space};
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::setup::{self, Entries};

const HANDLED: &str = "kubernetes-image-puller/refresh-handled";
const PATIENT: Duration = Duration::from_secs(240);

/// The chart's values for a list that is refreshed only when somebody asks for it, by nodes.
fn values(entries: &Entries) -> Value {
    let mut values = setup::values(entries);
    values["configMap.refresh"] = json!("always");
    values["configMap.cachingIntervalHours"] = json!("0");
    values
}

async fn installed(space: &Space, entries: &Entries) -> Release {
    let release = Release::install(&space.name, &values(entries)).await;
    space.all_held(entries).await;
    release.expect("helm install")
}

/// Asks for a refresh as the documentation says, and waits until it was carried out.
pub(crate) async fn refresh(space: &Space, request: &str) {
    ask_for_refresh(space, request).await;
    eventually_within(PATIENT, "the refresh is carried out", async || {
        let daemonset = space.daemonset().await?;
        let handled = daemonset.annotations().get(HANDLED);
        ensure!(
            handled.map(String::as_str) == Some(request),
            "{:?}",
            daemonset.annotations()
        );
        Ok(())
    })
    .await;
}

async fn ask_for_refresh(space: &Space, request: &str) {
    let patch = json!({"metadata": {"annotations": {"kubernetes-image-puller/refresh": request}}});
    let api = space.api::<DaemonSet>();
    api.patch(NAME, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("it can be annotated");
}

async fn fetchers(space: &Space) -> Result<Vec<String>> {
    let params = ListParams::default().labels("app.kubernetes.io/component=fetcher");
    Ok(space
        .api::<Pod>()
        .list(&params)
        .await?
        .items
        .iter()
        .map(kube::ResourceExt::name_any)
        .collect())
}

pub(crate) async fn no_fetcher_is_left(space: &Space) {
    eventually_within(PATIENT, "no fetcher is left", async || {
        let left = fetchers(space).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await;
}

/// What each node's pod runs under this name, by node.
pub(crate) async fn contents(space: &Space, name: &str) -> Result<BTreeMap<String, String>> {
    let pods = space.holder_pods().await?;
    let of = |pod: &Pod| {
        let node = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .context("no node")?;
        Ok((node, container_status(pod, name)?.image_id.clone()))
    };
    pods.iter().map(of).collect()
}

/// Each image of both lists was held by a running container at every moment.
pub(crate) fn nothing_was_let_go(recorder: &Recorder, entries: &[(String, String)]) -> Duration {
    let images: BTreeSet<&str> = entries.iter().map(|(_, image)| image.as_str()).collect();
    let gaps = recorder.gaps(&images).expect("the record can be read");
    assert!(gaps.values().all(|gap| *gap == Gap::default()), "{gaps:#?}");
    gaps.values().map(|gap| gap.running).sum()
}

/// Requests for manifests, by tag or digest.
fn asks(requests: &[String]) -> usize {
    requests
        .iter()
        .filter(|line| line.contains("/manifests/"))
        .count()
}

#[tokio::test]
async fn a_refresh_brings_a_moved_tag_to_every_node_and_touches_nothing_else() {
    let _alone = alone();
    space::within("refresh", async |space| {
        let entries = setup::push_images(&space.cluster, 20, 4);
        installed(space, &entries).await;
        let pods = space.fingerprints().await.unwrap();
        let recorder = Recorder::start(&space.cluster).await.unwrap();

        let log = space.cluster.registry_log().unwrap();
        refresh(space, "unchanged").await;
        no_fetcher_is_left(space).await;
        assert_eq!(space.fingerprints().await.unwrap(), pods, "no pod is replaced");
        let requests = log.requests().unwrap();
        assert_eq!(asks(&requests), 20, "each tag once, on one node: {requests:#?}");
        println!("figure: unchanged refresh of 20 images on 2 nodes: 0 pods restarted, {} registry requests", requests.len());

        let before = contents(space, "image-7").await.unwrap();
        setup::push_anew(&space.cluster, &entries[7].1, 4);
        let log = space.cluster.registry_log().unwrap();
        let started = Instant::now();
        refresh(space, "moved").await;
        no_fetcher_is_left(space).await;
        space.all_held(&entries).await;
        let took = started.elapsed();
        let after = contents(space, "image-7").await.unwrap();
        assert!(after.iter().all(|(node, content)| before[node] != *content), "{before:?} {after:?}");
        let now = space.fingerprints().await.unwrap();
        assert!(now.keys().all(|uid| !pods.contains_key(uid)), "each node's pod is replaced");
        let requests = log.requests().unwrap();
        let without = nothing_was_let_go(&recorder, &entries);
        println!(
            "figure: refresh with one moved tag among 20 on 2 nodes: {} pods restarted, {} registry requests, \
             {} s that any image was without a running container, done in {:.0} s",
            now.len(), requests.len(), without.as_secs_f64(), took.as_secs_f64()
        );
        // Four pods of twenty containers end. Where sleepers end at once after the signal, each takes a minute.
        assert!(took < Duration::from_secs(120), "{took:?}");
        let others = |line: &&String| !line.contains(entries[7].1.split_once('/').unwrap().1.split_once(':').unwrap().0);
        let of_others = asks(&requests.iter().filter(others).cloned().collect::<Vec<_>>());
        assert_eq!(of_others, 19, "what has not changed is asked for on one node: {requests:#?}");
        space.event_says("ImagesRefreshed", "image-7").await;
    })
    .await;
}

#[tokio::test]
async fn an_edit_lets_nothing_go_that_is_in_both_lists() {
    space::within("swap", async |space| {
        let old = setup::push_images(&space.cluster, 4, 64);
        installed(space, &old).await;
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        let mut new = old.clone();
        new[1].1 = setup::push_images(&space.cluster, 1, 64)[0].1.clone();
        new.push((
            "another".to_owned(),
            setup::push_images(&space.cluster, 1, 64)[0].1.clone(),
        ));
        new.remove(0);
        space
            .edit_config(json!({"IMAGES": setup::list(&new)}))
            .await
            .unwrap();
        space.all_held(&new).await;
        no_fetcher_is_left(space).await;
        let both: Vec<_> = new
            .iter()
            .filter(|entry| old.contains(entry))
            .cloned()
            .collect();
        assert_eq!(both.len(), 2);
        nothing_was_let_go(&recorder, &both);
    })
    .await;
}

#[tokio::test]
async fn a_mistake_in_one_image_reaches_no_other_and_its_correction_mends_it_on_all_nodes() {
    space::within("mistake", async |space| {
        let entries = setup::push_images(&space.cluster, 3, 64);
        installed(space, &entries).await;
        let pods = space.fingerprints().await.unwrap();
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        let mut wrong = entries.clone();
        wrong[0].1 = format!("{}/test/nowhere:1", space.cluster.registry);
        space
            .edit_config(json!({"IMAGES": setup::list(&wrong)}))
            .await
            .unwrap();
        space.event_says("RolloutStopped", "image-0").await;
        assert_eq!(
            space.fingerprints().await.unwrap(),
            pods,
            "no pod is replaced"
        );
        assert_eq!(
            fetchers(space).await.unwrap().len(),
            1,
            "no other node is touched"
        );
        space
            .metric_is(r#"kip_rollout_nodes{state="outdated"}"#, "2")
            .await;

        let mut right = entries.clone();
        right[0].1 = setup::push_images(&space.cluster, 1, 64)[0].1.clone();
        space
            .edit_config(json!({"IMAGES": setup::list(&right)}))
            .await
            .unwrap();
        space.all_held(&right).await;
        no_fetcher_is_left(space).await;
        nothing_was_let_go(&recorder, &entries[1..]);
    })
    .await;
}

#[tokio::test]
async fn a_registry_that_is_away_or_lacks_an_image_loses_nothing_and_what_came_is_swapped_in() {
    let _alone = alone();
    space::within("registry", async |space| {
        let entries = setup::push_images(&space.cluster, 3, 64);
        installed(space, &entries).await;
        let pods = space.fingerprints().await.unwrap();
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        setup::without(&space.cluster, "registry", async || {
            ask_for_refresh(space, "away").await;
            space.event_says("RolloutStopped", "refresh").await;
            no_fetcher_is_left(space).await;
        })
        .await;
        let daemonset = space.daemonset().await.unwrap();
        assert!(
            !daemonset.annotations().contains_key(HANDLED),
            "it is still to be done"
        );
        assert_eq!(
            space.fingerprints().await.unwrap(),
            pods,
            "no pod is replaced"
        );
        nothing_was_let_go(&recorder, &entries);

        // One tag has moved, another one is gone.
        let before = (
            contents(space, "image-0").await.unwrap(),
            contents(space, "image-1").await.unwrap(),
        );
        setup::push_anew(&space.cluster, &entries[0].1, 64);
        setup::remove(&space.cluster, &entries[1].1);
        refresh(space, "half").await;
        space.all_held(&entries).await;
        no_fetcher_is_left(space).await;
        let after = (
            contents(space, "image-0").await.unwrap(),
            contents(space, "image-1").await.unwrap(),
        );
        assert!(
            after
                .0
                .iter()
                .all(|(node, content)| before.0[node] != *content),
            "what came is there"
        );
        assert_eq!(after.1, before.1, "what failed is as it was");
        // What could not be asked for may have no container while its pod is made anew.
        nothing_was_let_go(&recorder, &[entries[0].clone(), entries[2].clone()]);
    })
    .await;
}

#[tokio::test]
async fn a_registry_that_is_slow_is_waited_for_until_the_deadline_and_then_tried_again() {
    let _alone = alone();
    space::within("slow", async |space| {
        let entries = setup::push_images(&space.cluster, 2, 64);
        let mut values = values(&entries);
        values["configMap.settleDeadline"] = json!("5s");
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        let mut new = entries.clone();
        new[0].1 = setup::push_images(&space.cluster, 1, 64)[0].1.clone();
        let registry = setup::component_pid("registry");
        setup::signal(&registry, "STOP");
        space
            .edit_config(json!({"IMAGES": setup::list(&new)}))
            .await
            .unwrap();
        let told = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(
            space.event_says("NodeSkipped", "SETTLE_DEADLINE"),
        ))
        .await;
        setup::signal(&registry, "CONT");
        told.expect("it is told");
        space.all_held(&new).await;
        no_fetcher_is_left(space).await;
        nothing_was_let_go(&recorder, &entries[1..]);
    })
    .await;
}

/// Writes of the daemon in this namespace that are a step of a round: each start applies the `DaemonSet`, which is none.
fn steps(requests: &[Request], namespace: &str) -> usize {
    let is_step = |request: &&Request| {
        request.is_write()
            && !request.uri.contains("force=true")
            && request.namespace() == namespace
            && request.agent().starts_with("kip-daemon")
    };
    requests.iter().filter(is_step).count()
}

#[tokio::test]
async fn a_daemon_that_is_killed_after_each_of_its_writes_ends_the_round_right() {
    space::within("killed", async |space| {
        let old = setup::push_images(&space.cluster, 3, 64);
        let mut new = old.clone();
        new[0].1 = setup::push_images(&space.cluster, 1, 64)[0].1.clone();
        let settings = |list: &Entries| {
            vec![
                ("IMAGES".to_owned(), setup::list(list)),
                ("NAMESPACE".to_owned(), space.name.clone()),
            ]
        };
        let start = |list: &Entries| {
            let settings = settings(list);
            let settings: Vec<_> = settings
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            Daemon::start(&settings).expect("the daemon starts")
        };
        let first = start(&old);
        space.all_held(&old).await;
        drop(first);
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        let (mut killed, mut writes) = (0, 0);
        // A write is seen in the audit log after it was done: some more may have happened as well.
        eventually_within(Duration::from_secs(180), "the round ends", async || {
            let audit = space.cluster.audit_log()?;
            let daemon = start(&new);
            eventually("it writes, or has nothing to write", async || {
                let is_write = steps(&audit.requests()?, &space.name) > 0;
                let is_done = space.held(&new).await.is_ok() && fetchers(space).await?.is_empty();
                ensure!(is_write || is_done, "neither yet");
                Ok::<_, anyhow::Error>(())
            })
            .await;
            drop(daemon);
            killed += 1;
            writes += steps(&audit.requests()?, &space.name);
            space.held(&new).await?;
            let left = fetchers(space).await?;
            ensure!(left.is_empty(), "{left:?}");
            Ok::<_, anyhow::Error>(())
        })
        .await;
        println!("the daemon was killed {killed} times in {writes} writes");
        // The round begins, and a fetcher comes, a pod goes and the fetcher goes, on each of two nodes. How many of these a
        // daemon does before it is seen is chance; that it was killed between them is not.
        assert!(writes >= 7, "only {writes} writes");
        assert!(killed >= 3, "only {killed} times");
        nothing_was_let_go(&recorder, &old[1..]);
    })
    .await;
}
