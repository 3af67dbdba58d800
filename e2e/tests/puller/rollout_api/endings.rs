//! How nodes leave a round, each in its own way, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use kip_e2e::lab::{Mood, Pull};
use serde_json::{Value, json};

use super::contents;
use super::stage::{NODES, Stage, WAVE, list, metric, play, reference};
use super::tale;

/// Short, and plenty for a kubelet that reports at once.
const SHORT: &str = "6s";
const ALL: [&str; 7] = [
    "unplaced",
    "silent",
    "slow",
    "evicted",
    "blocked",
    "unstarted",
    "unanswered",
];

#[tokio::test]
async fn a_node_leaves_a_round_in_every_way_harms_no_other_and_is_mended_by_itself() {
    play("endings", SHORT, async |stage| {
        let daemon = stage.installed().await;
        let mark = stage.mark().await;
        let [cordoned, silent, slow, evicting, lacking, holding_up] =
            [1, 2, 3, 4, 5, 6].map(|number| stage.node(number));
        let newer = reference("a:2");
        stage.nodes.cordon(cordoned, true).await.unwrap();
        stage.kubelet.mood(silent, Mood::Silent);
        stage.kubelet.on(slow, &newer, Some(Pull::Slow));
        stage.kubelet.mood(evicting, Mood::Evicts);
        stage.kubelet.on(lacking, &newer, Some(Pull::Fails));
        stage.kubelet.mood(holding_up, Mood::OnlyFetches);
        stage.edit(json!({"IMAGES": list(&["a:2", "b:2", "c:1"])})).await;
        let round = stage.ended(1).await;
        let each_once = json!({"unplaced": 1, "silent": 1, "slow": 1, "evicted": 1, "blocked": 1, "unstarted": 1});
        assert_eq!(round["unfinished"], each_once, "{round}");

        let tale = stage.since(mark, &[lacking, holding_up]).await;
        assert_eq!((tale.most_before_first, tale.most), (1, WAVE), "{tale:#?}");
        let untouched: BTreeSet<&str> = [cordoned, silent, slow, evicting, lacking].into();
        let replaced: BTreeSet<&str> = tale.replaced.keys().map(String::as_str).collect();
        let all: BTreeSet<&str> = stage.nodes.names().iter().map(String::as_str).collect();
        assert_eq!(replaced, &all - &untouched, "the old list stays where the new one is not");
        assert_eq!(fetchers_on(stage), BTreeSet::from([lacking, holding_up]), "they hold what is new");

        stage.nodes.cordon(cordoned, false).await.unwrap();
        stage.kubelet.mood(silent, Mood::Works);
        stage.kubelet.on(slow, &newer, None);
        stage.kubelet.mood(evicting, Mood::Works);
        stage.kubelet.on(lacking, &newer, None);
        stage.kubelet.mood(holding_up, Mood::Works);
        stage.quiet(NODES).await;
        let tale = stage.since(mark, &[lacking, holding_up]).await;
        assert!(
            tale.replaced.len() == NODES && tale.replaced.values().all(|count| *count == 1),
            "{tale:#?}"
        );
        assert!(tale.most <= WAVE, "{tale:#?}");

        let last = stage.daemonsets.read(tale::rounds).pop().unwrap();
        let next = last["number"].as_u64().unwrap() + 1;
        unanswered(stage, next).await;

        // What was written down is what was counted, whatever tries there were in between.
        let counted = || ALL.map(|reason| {
            let name = format!(r#"kip_round_nodes_left_total{{reason="{reason}"}}"#);
            (reason.to_owned(), metric(&daemon, &name).unwrap_or_default())
        });
        assert_eq!(BTreeMap::from(counted()), left(&stage.daemonsets.read(tale::rounds)));
        let log = daemon.log();
        for reason in ALL {
            let line = log.lines().find(|line| line.contains("a node has left the round") && line.contains(reason));
            assert!(line.is_some(), "{reason}\n{log}");
        }
        for words in [
            "the scheduler finds no place",
            "kubelet does not take the fetcher up",
            "takes longer than SETTLE_DEADLINE",
            "was ended by somebody else",
            "that replaces another one cannot be had",
            "the new pod does not start in time",
            "the registry did not answer",
        ] {
            stage.space.event_says("NodeSkipped", words).await;
        }
    })
    .await;
}

/// A tag has moved, and one node has no answer: it keeps what it has until the next refresh.
async fn unanswered(stage: &Stage<'_>, number: u64) {
    let (node, image) = (stage.node(7), reference("b:2"));
    let mark = stage.mark().await;
    stage.kubelet.registry(&image, Pull::Content(900));
    stage.kubelet.on(node, &image, Some(Pull::Fails));
    stage.refresh("one").await;
    let round = stage.ended(number).await;
    assert_eq!(round["unfinished"], json!({"unanswered": 1}), "{round}");
    stage.quiet(NODES).await;
    assert_eq!(
        contents(stage, "b"),
        BTreeMap::from([(5, 1), (900, NODES - 1)])
    );

    stage.kubelet.on(node, &image, None);
    stage.refresh("two").await;
    let round = stage.ended(number + 1).await;
    assert_eq!(round["unfinished"], Value::Null, "{round}");
    stage.quiet(NODES).await;
    assert_eq!(contents(stage, "b"), BTreeMap::from([(900, NODES)]));
    let tale = stage.since(mark, &[node]).await;
    assert!(
        tale.replaced.len() == NODES && tale.replaced.values().all(|count| *count == 1),
        "{tale:#?}"
    );
    assert!(tale.most <= WAVE, "{tale:#?}");
}

/// The nodes that have fetchers which are to stay.
fn fetchers_on<'a>(stage: &'a Stage<'_>) -> BTreeSet<&'a str> {
    let pods = stage.pods.now();
    let is_staying = |pod: &&k8s_openapi::api::core::v1::Pod| {
        tale::is_fetcher(pod) && pod.metadata.deletion_timestamp.is_none()
    };
    let on: Vec<String> = pods
        .values()
        .filter(is_staying)
        .map(tale::meant_for)
        .collect();
    let names = stage.nodes.names().iter().map(String::as_str);
    names
        .filter(|name| on.iter().any(|node| node == name))
        .collect()
}

/// How many nodes have left all the rounds, by how.
fn left(rounds: &[Value]) -> BTreeMap<String, u64> {
    let last: BTreeMap<u64, &Value> = rounds
        .iter()
        .filter_map(|round| Some((round["number"].as_u64()?, &round["unfinished"])))
        .collect();
    let count = |reason: &str| last.values().filter_map(|left| left[reason].as_u64()).sum();
    ALL.map(|reason| (reason.to_owned(), count(reason))).into()
}
