use super::*;
use crate::architecture::Architecture;
use serde_json::json;

#[test]
fn kubelets_report_becomes_facts() {
    let pod: LeanPod = serde_json::from_value(json!({
        "metadata": {"name": "p", "uid": "u", "labels": {"pod-template-generation": "3"},
            "annotations": {"kubernetes-image-puller/content-hash": "h"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d1", "controller": true}]},
        "spec": {"nodeName": "n", "containers": [
            {"name": "a", "image": "i", "imagePullPolicy": "Always"}, {"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "e"}]},
        "status": {
            "phase": "Pending", "startTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}],
            "initContainerStatuses": [{"name": "copy-sleep", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}],
            "containerStatuses": [
                {"name": "a", "imageID": "x/y@sha256:1", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
                {"name": "b", "state": {"waiting": {"reason": "ContainerCreating"}}},
                {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "x".repeat(1000)}},
                    "lastState": {"terminated": {"reason": "Unknown", "exitCode": 255}}},
                {"name": "d", "state": {"waiting": {"reason": "CreateContainerError"}}},
                {"name": "e", "state": {}},
            ]},
    }))
    .unwrap();
    let (name, facts) = pod.into_facts(&mut Interner::default(), Timestamp::UNIX_EPOCH);
    assert_eq!((name.as_str(), facts.node.as_str()), ("p", "n"));
    assert_eq!(facts.controller.as_deref(), Some("d1"));
    assert_eq!(facts.content_hash.as_deref(), Some("h"));
    assert_eq!(facts.template_generation.as_deref(), Some("3"));
    assert_eq!(facts.init_failure, None);
    assert_eq!(facts.unplaced.as_deref(), Some("0/2 nodes are available"));
    assert_eq!(facts.duty, Duty::Hold);
    assert!(facts.taken_up && !facts.ended);
    let state = |name| &facts.container(name).unwrap().state;
    assert_eq!(state("a"), &ContainerState::Running);
    assert_eq!(state("b"), &ContainerState::Waiting);
    assert_eq!(state("e"), &ContainerState::Waiting);
    let first = facts.container("a").unwrap();
    assert!(&*first.image == "i" && first.asks);
    assert_eq!(first.content, content("another/name@sha256:1"));
    assert_eq!(facts.container("b").unwrap().content, None);
    assert!(
        matches!(state("c"), ContainerState::Failed(f) if f.kind == FailureKind::Pull && f.message.len() == MESSAGE)
    );
    assert!(matches!(state("d"), ContainerState::Failed(f) if f.kind == FailureKind::Start));
    let has_run = facts
        .containers
        .iter()
        .filter(|container| container.has_run);
    assert_eq!(has_run.map(|c| &*c.name).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn what_the_go_image_puller_has_left_is_known_and_nothing_else_passes_for_it() {
    let pod = |labels: &[(&str, &str)], owners: serde_json::Value, command: &str| -> LeanPod {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        serde_json::from_value(json!({
            "metadata": {"name": "p", "labels": labels, "ownerReferences": owners},
            "spec": {"containers": [{"name": "a", "image": "a:1", "command": [command], "args": ["720h"]}]},
        }))
        .unwrap()
    };
    let its = [
        ("test", "daemonset-test"),
        ("app.kubernetes.io/name", "image-puller"),
    ];
    let left = pod(&its, json!([]), "/kip/sleep");
    assert!(left.is_leftover());
    let (_, facts) = left.into_facts(&mut Interner::default(), Timestamp::UNIX_EPOCH);
    assert_eq!((facts.duty, facts.controller), (Duty::Leftover, None));
    let owner = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d1", "controller": true}]);
    assert!(
        !pod(&its, owner, "/kip/sleep").is_leftover(),
        "it has an owner"
    );
    assert!(
        !pod(&its, json!([]), "/bin/sh").is_leftover(),
        "it runs something else"
    );
    assert!(!pod(&its[1..], json!([]), "/kip/sleep").is_leftover());
    let ours = [its[0], ("app.kubernetes.io/component", "holder")];
    assert!(
        !pod(&ours, json!([]), "/kip/sleep").is_leftover(),
        "it is ours"
    );
}

#[test]
fn a_fetcher_is_known_by_its_label_and_belongs_to_the_node_it_is_meant_for() {
    let pod: LeanPod = serde_json::from_value(json!({
        "metadata": {"name": "f", "labels": {"app.kubernetes.io/component": "fetcher"}, "annotations": {
            "kubernetes-image-puller/round": "7",
            "kubernetes-image-puller/holder-uid": "d1",
            "kubernetes-image-puller/node": "n2"}},
        "status": {"phase": "Failed", "reason": "Evicted"},
    }))
    .unwrap();
    let (_, facts) = pod.into_facts(&mut Interner::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(
        facts.duty,
        Duty::Fetch {
            round: 7,
            holder: "d1".to_owned()
        }
    );
    assert_eq!(facts.node, "n2");
    assert!(facts.ended && !facts.taken_up);
}

#[test]
fn only_the_message_of_an_ended_copy_sleep_is_a_report_about_the_node() {
    let report = |inits: serde_json::Value| {
        let pod = json!({"metadata": {"name": "p"}, "status": {"initContainerStatuses": inits}});
        let pod: LeanPod = serde_json::from_value(pod).unwrap();
        let (_, facts) = pod.into_facts(&mut Interner::default(), Timestamp::UNIX_EPOCH);
        facts.node_report
    };
    let ended = |message: &str| json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": message}});
    let copy_sleep = |state: serde_json::Value, last: serde_json::Value| json!({"name": "copy-sleep", "state": state, "lastState": last});
    let other = json!({"name": "other", "state": ended("arm64 9")});
    let amd64 = |disk| {
        let architecture = Architecture::Amd64;
        Some(NodeReport { architecture, disk })
    };
    let now = copy_sleep(ended("amd64 7"), json!({}));
    assert_eq!(report(json!([other, now])), amd64(Some(7)));
    // It is run again, for example since its pod's sandbox is gone.
    let before = copy_sleep(json!({"running": {}}), ended("amd64"));
    assert_eq!(report(json!([before])), amd64(None));
    let both = copy_sleep(ended("amd64 8"), ended("amd64 7"));
    assert_eq!(report(json!([both])), amd64(Some(8)));

    let waits = json!({"waiting": {"reason": "PodInitializing", "message": "amd64 7"}});
    let silent = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    for state in [waits, silent, ended("amd64 seven"), json!({})] {
        assert_eq!(report(json!([other, copy_sleep(state, json!({}))])), None);
    }
    assert_eq!(report(json!([other])), None);
}
