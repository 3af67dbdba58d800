//! What happens in the middle of a round: daemons that are killed, or two of them, a drain, a node that goes.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::lab::{Daemon, Gate, Pull, eventually, eventually_within};
use kube::ResourceExt as _;
use kube::api::EvictParams;
use serde_json::json;

use super::stage::{NODES, Stage, WAVE, list, metric_is, play, reference};
use super::tale;
use super::{LONG, contents};

#[tokio::test]
async fn a_daemon_that_is_killed_after_each_of_its_writes_ends_the_round_as_if_nothing_had_been() {
    play("killed", LONG, async |stage| {
        drop(stage.installed().await);
        let first = stage.kubelet.answered();
        let mark = stage.mark().await;
        let newer = reference("a:2");
        stage.kubelet.registry(&newer, Pull::Slow);
        stage
            .edit(json!({"IMAGES": list(&["a:2", "b:1", "c:1"])}))
            .await;
        let gate = Gate::open(&stage.space.cluster.client).await.unwrap();
        let mut writes = Vec::new();
        let mut waves = pin!(full_waves(stage, &newer, 4));
        loop {
            let daemon = stage.daemon_with(&[("KUBECONFIG", gate.kubeconfig())]);
            tokio::select! {
                write = gate.written() => writes.push(write.unwrap()),
                endless = &mut waves => match endless {},
                () = at_its_end(stage, &daemon) => break,
            }
        }
        stage.since(mark, &[]).await.assert_each_once(NODES, WAVE);
        assert_eq!(stage.kubelet.answered(), first + NODES);
        // Begins, is proven, ends; on each node a fetcher is made, the pod goes, the fetcher goes.
        assert_eq!(writes.len(), 3 + 3 * NODES, "{writes:#?}");
    })
    .await;
}

/// Has the registry answer only when as many nodes ask as may at once: so the waves are full, though a daemon that is
/// killed so often is slower than the pulls.
async fn full_waves(stage: &Stage<'_>, image: &str, content: u32) -> Infallible {
    let mut answered = BTreeSet::new();
    while answered.len() < NODES {
        let first = answered.is_empty();
        let wanted = if first {
            1
        } else {
            WAVE.min(NODES - answered.len())
        };
        let asking = eventually(&format!("{wanted} nodes ask"), async || {
            let pods = stage.pods.now();
            let asking = pods.values().filter(|pod| tale::is_asking(pod));
            let asking: BTreeSet<String> = asking.map(tale::meant_for).collect();
            let new = &asking - &answered;
            ensure!(new.len() == wanted, "there are {new:?}");
            Ok(new)
        })
        .await;
        for node in &asking {
            stage.kubelet.on(node, image, Some(Pull::Content(content)));
        }
        answered.extend(asking);
    }
    std::future::pending().await
}

/// Waits until the round has ended and nothing of it is left, as the daemon sees it too.
async fn at_its_end(stage: &Stage<'_>, daemon: &Daemon) {
    stage.ended(1).await;
    stage.quiet(NODES).await;
    metric_is(daemon, r#"kip_nodes{state="complete"}"#, 20).await;
    metric_is(daemon, r#"kip_rollout_nodes{state="busy"}"#, 0).await;
}

#[tokio::test]
async fn two_daemons_at_once_replace_no_pod_twice() {
    play("two", LONG, async |stage| {
        let daemons = [stage.installed().await, stage.daemon()];
        for daemon in &daemons {
            metric_is(daemon, r#"kip_nodes{state="complete"}"#, 20).await;
        }
        let mark = stage.mark().await;
        stage
            .edit(json!({"IMAGES": list(&["a:2", "b:1", "c:1"])}))
            .await;
        stage.ended(1).await;
        stage.quiet(NODES).await;
        let tale = stage.since(mark, &[]).await;
        assert!(
            tale.replaced.len() == NODES && tale.replaced.values().all(|count| *count == 1),
            "{tale:#?}"
        );

        let mark = stage.mark().await;
        stage
            .kubelet
            .registry(&reference("b:1"), Pull::Content(900));
        stage.refresh("one").await;
        stage.ended(2).await;
        stage.quiet(NODES).await;
        let tale = stage.since(mark, &[]).await;
        assert!(
            tale.replaced.len() == NODES && tale.replaced.values().all(|count| *count == 1),
            "{tale:#?}"
        );
        assert_eq!(contents(stage, "b").len(), 1);
        for daemon in &daemons {
            let log = daemon.log();
            let has_acted = log.contains("fetcher made") || log.contains("pod deleted");
            assert!(has_acted, "one of them has done nothing:\n{log}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_drained_fetcher_is_made_again_and_a_node_that_vanishes_holds_nobody_up() {
    play("drain", "5s", async |stage| {
        let daemon = stage.installed().await;
        let mark = stage.mark().await;
        let [drained, vanishing] = [1, 2].map(|number| stage.node(number));
        let newer = reference("a:2");
        for node in [drained, vanishing] {
            stage.kubelet.on(node, &newer, Some(Pull::Slow));
        }
        stage
            .edit(json!({"IMAGES": list(&["a:2", "b:1", "c:1"])}))
            .await;
        let fetcher = taken_up(stage, drained).await;
        taken_up(stage, vanishing).await;
        stage.kubelet.mood(vanishing, kip_e2e::lab::Mood::Silent);
        stage.nodes.vanish(vanishing).await.unwrap();
        // As `kubectl drain` does.
        let api = stage.space.api::<Pod>();
        api.evict(&fetcher.name_any(), &EvictParams::default())
            .await
            .unwrap();
        stage.kubelet.on(drained, &newer, None);

        let round = stage.ended(1).await;
        assert_eq!(round["unfinished"], json!({"slow": 1}), "{round}");
        let tale = stage.since(mark, &[vanishing]).await;
        assert_eq!(tale.fetched.get(drained), Some(&2), "{tale:#?}");
        assert!(
            tale.most <= WAVE && tale.replaced.len() == NODES - 1,
            "{tale:#?}"
        );
        assert!(tale.replaced.values().all(|count| *count == 1), "{tale:#?}");

        // The controllers of Kubernetes remove its pods after a minute or so; until then it is tried again.
        let patient = Duration::from_secs(120);
        eventually_within(patient, "nothing is left of the node", async || {
            let pods = stage.pods.now();
            let left: Vec<_> = pods
                .iter()
                .filter(|(_, pod)| tale::meant_for(pod) == vanishing)
                .collect();
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await;
        stage.quiet(NODES - 1).await;
        for state in ["outdated", "busy", "kept"] {
            metric_is(
                &daemon,
                &format!(r#"kip_rollout_nodes{{state="{state}"}}"#),
                0,
            )
            .await;
        }
        let tale = stage.since(mark, &[vanishing]).await;
        assert!(tale.replaced.values().all(|count| *count == 1), "{tale:#?}");
    })
    .await;
}

/// Waits until kubelet has taken up the node's fetcher.
async fn taken_up(stage: &Stage<'_>, node: &str) -> Pod {
    eventually(&format!("a fetcher is on {node}"), async || {
        let pods = stage.pods.now();
        let found = pods.into_values().find(|pod| {
            let status = pod.status.as_ref();
            tale::is_fetcher(pod)
                && tale::meant_for(pod) == node
                && status.is_some_and(|status| status.start_time.is_some())
        });
        found.ok_or("there is none")
    })
    .await
}
