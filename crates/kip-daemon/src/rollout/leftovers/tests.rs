use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{ContainerState, Failure, FailureKind, Live, PodFacts};
use crate::config::Config;
use crate::desired::Placement;
use crate::plan::PodName;
use crate::pods::{Interner, LeanPod};
use crate::rollout::{Acts, Facts, Next, Step, next};
use crate::settings::Settings;

type Pods = BTreeMap<String, PodFacts>;

fn pod(metadata: &Value, images: &[(&str, ContainerState)]) -> PodFacts {
    let containers: Vec<Value> = images
        .iter()
        .map(|(image, _)| json!({"name": image, "image": image, "command": ["/kip/sleep"]}))
        .collect();
    let pod = json!({"metadata": metadata, "spec": {"nodeName": "n1", "containers": containers},
        "status": {"startTime": "2026-01-01T00:00:00Z"}});
    let pod: LeanPod = serde_json::from_value(pod).unwrap();
    let (_, mut facts) = pod.into_facts(&mut Interner::default(), Timestamp::UNIX_EPOCH);
    for (container, (_, state)) in facts.containers.iter_mut().zip(images) {
        container.state = state.clone();
    }
    facts
}

fn leftover(images: &[(&str, ContainerState)]) -> PodFacts {
    pod(
        &json!({"uid": "u1", "labels": {"test": "daemonset-test"}}),
        images,
    )
}

fn holder(images: &[(&str, ContainerState)]) -> PodFacts {
    let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "ds", "controller": true});
    let annotations = json!({"kubernetes-image-puller/content-hash": "h"});
    pod(
        &json!({"uid": "u2", "annotations": annotations, "ownerReferences": [owner]}),
        images,
    )
}

fn failed(kind: FailureKind) -> ContainerState {
    ContainerState::Failed(Failure {
        kind,
        reason: String::new(),
        message: String::new(),
    })
}

fn config(more: &[(&str, &str)]) -> Config {
    let vars = [("IMAGES", "a=a:1;b=b:1")].iter().chain(more);
    let vars = vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_settings(&Settings::from_vars(vars).unwrap()).unwrap()
}

/// All pods are seen since so long that the numbers must be right.
const LATER: i64 = 20 * 60;

fn decide(config: &Config, wanted_nodes: i32, pods: &Pods) -> Next {
    decide_at(LATER, config, wanted_nodes, pods)
}

fn decide_at(second: i64, config: &Config, wanted_nodes: i32, pods: &Pods) -> Next {
    let live = Live {
        uid: "ds".to_owned(),
        created: Some(Timestamp::UNIX_EPOCH),
        resource_version: "1".to_owned(),
        generation: 1,
        observed_generation: 1,
        wanted_nodes,
        ..Live::default()
    };
    next(&Facts {
        config,
        content: "h",
        live: &live,
        answers: None,
        pods,
        refused_nodes: &BTreeSet::new(),
        placement: &Placement::default(),
        now: Timestamp::from_second(second).unwrap(),
    })
}

/// Whether the pod called `old` goes, where the others are as given.
fn goes(config: &Config, wanted_nodes: i32, pods: &Pods) -> bool {
    let next = decide(config, wanted_nodes, pods);
    match next.step {
        None => {
            assert!(next.leftovers == 1 || config.rollout.paused);
            false
        }
        Some(Step::Act(acts)) => {
            let old = PodName {
                name: "old".to_owned(),
                uid: "u1".to_owned(),
                resource_version: String::new(),
            };
            let expected = Acts {
                gone: vec![old],
                ..Acts::default()
            };
            assert_eq!((acts, next.leftovers), (expected, 0));
            true
        }
        other => panic!("{other:?}"),
    }
}

fn beside(old: PodFacts, ours: Option<PodFacts>) -> Pods {
    let ours = ours.map(|pod| ("ours".to_owned(), pod));
    [("old".to_owned(), old)].into_iter().chain(ours).collect()
}

#[test]
fn it_goes_when_a_pod_of_ours_runs_what_it_runs_of_the_list() {
    use ContainerState::{Running, Waiting};
    let both = [("a:1", Running), ("b:1", Running)];
    for (old, ours, expected) in [
        (&both[..], &both[..], true),
        (&both, &[("a:1", Running), ("b:1", Waiting)], false),
        (
            &both,
            &[("a:1", Running), ("b:1", failed(FailureKind::Pull))],
            false,
        ),
        (
            &both,
            &[("a:1", Running), ("b:1", failed(FailureKind::Start))],
            false,
        ),
        // What is not in the list any more is let go, what nobody had is not waited for.
        (&[("a:1", Running), ("z:1", Running)], &both, true),
        (
            &[("a:1", Running), ("b:1", failed(FailureKind::Pull))],
            &both,
            true,
        ),
        (
            &[("a:1", Running)],
            &[("a:1", Running), ("b:1", failed(FailureKind::Pull))],
            true,
        ),
        (
            &[("a:1", Running)],
            &[("a:1", Running), ("b:1", Waiting)],
            false,
        ),
        // The same images, written in another way.
        (&[("docker.io/library/a:1", Running)], &both, true),
        (
            &[("docker.io/library/a:1", Running)],
            &[("a:1", failed(FailureKind::Pull)), ("b:1", Running)],
            false,
        ),
    ] {
        let pods = beside(leftover(old), Some(holder(ours)));
        assert_eq!(goes(&config(&[]), 1, &pods), expected, "{old:?} {ours:?}");
    }
}

#[test]
fn it_stays_where_no_sleeper_of_ours_starts() {
    let ContainerState::Failed(no_sleep) = failed(FailureKind::Start) else {
        unreachable!("it has failed");
    };
    let ours = PodFacts {
        init_failure: Some(no_sleep),
        ..holder(&[
            ("a:1", ContainerState::Waiting),
            ("b:1", ContainerState::Waiting),
        ])
    };
    let old = leftover(&[("a:1", ContainerState::Running)]);
    let pods = beside(old, Some(ours));
    let next = decide(&config(&[]), 1, &pods);
    assert_eq!(next.leftovers, 1, "{next:?}");
}

#[test]
fn it_stays_while_a_pod_of_ours_is_missing_and_goes_where_none_is_wanted() {
    let old = || leftover(&[("a:1", ContainerState::Running)]);
    let config = config(&[]);
    assert!(
        !goes(&config, 1, &beside(old(), None)),
        "ours may be missing here"
    );
    assert!(
        goes(&config, 0, &beside(old(), None)),
        "none is wanted anywhere"
    );
    let next = decide_at(LATER - 1, &config, 0, &beside(old(), None));
    assert!(
        next.step.is_none() && next.wake.is_some(),
        "the numbers may be behind: {next:?}"
    );
    let elsewhere = PodFacts {
        node: "n2".to_owned(),
        ..holder(&[
            ("a:1", ContainerState::Running),
            ("b:1", ContainerState::Running),
        ])
    };
    assert!(!goes(&config, 2, &beside(old(), Some(elsewhere.clone()))));
    assert!(goes(&config, 1, &beside(old(), Some(elsewhere))));
    let going = PodFacts {
        terminating: true,
        ..holder(&[("a:1", ContainerState::Running)])
    };
    assert!(!goes(&config, 1, &beside(old(), Some(going))));
}

#[test]
fn one_that_holds_nothing_goes_at_once_and_none_goes_while_it_is_paused() {
    let config = config(&[]);
    let unscheduled = PodFacts {
        node: String::new(),
        taken_up: false,
        ..leftover(&[("a:1", ContainerState::Waiting)])
    };
    assert!(goes(&config, 1, &beside(unscheduled, None)));
    let evicted = PodFacts {
        ended: true,
        ..leftover(&[("a:1", ContainerState::Running)])
    };
    assert!(goes(&config, 1, &beside(evicted.clone(), None)));
    let starting = leftover(&[("a:1", ContainerState::Waiting)]);
    assert!(!goes(&config, 1, &beside(starting, None)));
    assert!(!goes(
        &self::config(&[("PAUSED", "true")]),
        1,
        &beside(evicted, None)
    ));
}
