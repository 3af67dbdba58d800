//! The rollout against the real API server, controllers and scheduler, on twenty nodes whose kubelet does what a test
//! says: every state of a node, in every event of its pods.

#[path = "rollout_api/endings.rs"]
mod endings;
#[path = "rollout_api/interruptions.rs"]
mod interruptions;
#[path = "rollout_api/mixed.rs"]
mod mixed;
#[path = "rollout_api/stage.rs"]
mod stage;
#[path = "rollout_api/tale.rs"]
mod tale;

use std::collections::BTreeMap;

use kip_e2e::lab::Pull;
use serde_json::json;
use stage::{NODES, Stage, WAVE, list, metric, metric_is, play, reference};

const LONG: &str = "10m";

#[tokio::test]
async fn edits_restarts_and_refreshes_go_from_node_to_node_and_no_image_is_let_go() {
    play("waves", LONG, async |stage| {
        let daemon = stage.installed().await;
        let first = stage.kubelet.answered();
        assert_eq!(first, NODES * 3);

        let mark = stage.mark().await;
        let images = list(&["a:2", "b:1", "d:1"]);
        stage
            .edit(json!({"IMAGES": images, "PAUSED": "true"}))
            .await;
        // It has decided by then, and would have begun.
        metric_is(&daemon, r#"kip_rollout_nodes{state="outdated"}"#, 20).await;
        assert_eq!(stage.since(mark, &[]).await.totals(), (0, 0), "paused");
        stage.edit(json!({"PAUSED": "false"})).await;
        let round = stage.ended(1).await;
        assert!(round["unfinished"].is_null(), "{round}");
        stage.quiet(NODES).await;
        stage.since(mark, &[]).await.assert_each_once(NODES, WAVE);
        // The others were there, and stayed: kubelet forgets at once what no container uses.
        assert_eq!(stage.kubelet.answered(), first + NODES * 2);

        let mark = stage.mark().await;
        let restart = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
        let template = json!({"metadata": {"annotations": restart}});
        stage.patch(json!({"spec": {"template": template}})).await;
        stage.ended(2).await;
        stage.quiet(NODES).await;
        stage.since(mark, &[]).await.assert_each_once(NODES, WAVE);
        assert_eq!(
            stage.kubelet.answered(),
            first + NODES * 2,
            "nobody was asked"
        );
        assert_eq!(
            metric(&daemon, r#"kip_rounds_total{kind="edit",result="done"}"#),
            Some(2)
        );
    })
    .await;
}

#[tokio::test]
async fn a_refresh_asks_on_one_node_and_brings_what_has_moved_to_each() {
    play("refresh", LONG, async |stage| {
        let daemon = stage.installed().await;
        let first = stage.kubelet.answered();

        let mark = stage.mark().await;
        stage.refresh("one").await;
        stage.ended(1).await;
        stage.quiet(NODES).await;
        assert_eq!(
            stage.since(mark, &[]).await.totals(),
            (1, 0),
            "nothing has moved"
        );
        assert_eq!(stage.kubelet.answered(), first + 3);

        let mark = stage.mark().await;
        stage
            .kubelet
            .registry(&reference("b:1"), Pull::Content(900));
        stage.refresh("two").await;
        stage.ended(2).await;
        stage.quiet(NODES).await;
        stage.since(mark, &[]).await.assert_each_once(NODES, WAVE);
        // One node asks for all three, each other one for what has moved.
        assert_eq!(stage.kubelet.answered(), first + 3 + 3 + (NODES - 1));
        assert_eq!(contents(stage, "b"), BTreeMap::from([(900, NODES)]));
        stage
            .space
            .event_says("ImagesRefreshed", "refreshed: b")
            .await;
        assert_eq!(
            metric(&daemon, r#"kip_rounds_total{kind="refresh",result="done"}"#),
            Some(2)
        );
    })
    .await;
}

#[tokio::test]
async fn a_typo_stops_at_its_first_node_and_its_correction_reaches_all() {
    play("typo", LONG, async |stage| {
        let daemon = stage.installed().await;
        let mark = stage.mark().await;
        stage
            .edit(json!({"IMAGES": list(&["a:typo", "b:1", "c:1"])}))
            .await;
        let round = stage.ended(1).await;
        assert!(round["unfinished"].is_null(), "{round}");
        assert_eq!(stage.since(mark, &[]).await.totals(), (1, 0));
        metric_is(
            &daemon,
            r#"kip_rounds_total{kind="edit",result="stopped"}"#,
            1,
        )
        .await;
        stage.space.event_says("RolloutStopped", "(a)").await;

        let mark = stage.mark().await;
        stage
            .edit(json!({"IMAGES": list(&["a:2", "b:1", "c:1"])}))
            .await;
        stage.ended(2).await;
        stage.quiet(NODES).await;
        // The first node's fetcher of the typo stays until the next one is through.
        let tale = stage.since(mark, &[stage.node(0)]).await;
        assert_eq!(tale.totals(), (NODES, NODES), "{tale:#?}");
        assert!(tale.most <= WAVE, "{tale:#?}");
    })
    .await;
}

/// On how many nodes the pods hold which content of an image.
fn contents(stage: &Stage<'_>, image: &str) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for pod in stage
        .pods
        .now()
        .values()
        .filter(|pod| !tale::is_fetcher(pod))
    {
        let running = tale::running(pod);
        let (_, id) = running.get(image).expect("the image is held");
        let digits = id.rsplit(':').next().unwrap_or_default();
        let content = u64::from_str_radix(&digits[..16], 16).expect("a number");
        *counts.entry(content).or_default() += 1;
    }
    counts
}
