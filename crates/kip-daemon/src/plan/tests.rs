use std::collections::BTreeMap;

use super::*;
use crate::cluster::PodFacts;
use crate::desired::names::{COMPONENT, HOLDER, INSTANCE, TEMPLATE_GENERATION};
use crate::desired::{Flavour, Owner};
use crate::settings::Settings;
use k8s_openapi::jiff::Timestamp;

fn identity() -> Identity {
    Identity {
        daemonset: "keeper".to_owned(),
        namespace: "puller".to_owned(),
        own_namespace: "puller".to_owned(),
        deployment: Some("boss".to_owned()),
        config_map: None,
        registry_ca_file: None,
    }
}

fn config(images: &str) -> Config {
    let vars = [("IMAGES".to_owned(), images.to_owned())];
    Config::from_settings(&Settings::from_vars(vars).unwrap()).unwrap()
}

fn live() -> Live {
    Live {
        uid: "ds-1".to_owned(),
        created: Some(Timestamp::from_second(1000).unwrap()),
        resource_version: "1".to_owned(),
        generation: 1,
        observed_generation: 1,
        annotations: BTreeMap::from([(TEMPLATE_GENERATION.to_owned(), "1".to_owned())]),
        owners: vec!["boss-1".to_owned()],
        selector: [(INSTANCE, "keeper"), (COMPONENT, HOLDER)]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        wanted_nodes: 2,
        ..Live::default()
    }
}

fn cluster() -> Cluster {
    Cluster {
        flavour: Some(Flavour::Kubernetes),
        deployment: Seen::Present(DeploymentFacts {
            owner: Owner {
                name: "boss".to_owned(),
                uid: "boss-1".to_owned(),
            },
            terminating: false,
            image: Some("registry.example/puller:1".to_owned()),
            pull_secrets: vec!["puller-registry".to_owned()],
        }),
        live: Seen::Absent,
        pods_listed: true,
        ..Cluster::default()
    }
}

fn decide(config: &Config, cluster: &Cluster, applied: Option<&Applied>) -> Plan {
    let now = Timestamp::from_second(2000).unwrap();
    plan(&identity(), config, cluster, applied, now)
}

/// There is nothing to do but to refresh in an hour.
fn rest() -> Plan {
    Plan::Roll(Box::new(Next {
        wake: Some(Timestamp::from_second(1000 + 3600).unwrap()),
        ..Next::default()
    }))
}

/// A cluster in which everything was applied, and what was applied.
fn settled(config: &Config) -> (Cluster, Applied) {
    let mut cluster = cluster();
    let Plan::Apply(desired) = decide(config, &cluster, None) else {
        panic!("an absent DaemonSet is not made");
    };
    let mut live = live();
    live.labels = desired.metadata.labels.clone().unwrap();
    let applied = Applied::new(*desired, &live);
    cluster.live = Seen::Present(live);
    (cluster, applied)
}

fn change(cluster: &mut Cluster, change: impl FnOnce(&mut Live)) {
    let Seen::Present(live) = &mut cluster.live else {
        panic!("no DaemonSet")
    };
    change(live);
}

#[test]
fn nothing_is_done_before_everything_was_seen() {
    for hide in [
        (|c: &mut Cluster| c.flavour = None) as fn(&mut Cluster),
        |c| c.deployment = Seen::Unknown,
        |c| c.live = Seen::Unknown,
    ] {
        let mut cluster = cluster();
        hide(&mut cluster);
        assert_eq!(
            decide(&config("a"), &cluster, None),
            Plan::Wait(Why::Unseen)
        );
    }
}

#[test]
fn nothing_is_made_when_the_owner_is_gone_or_going() {
    let mut cluster = cluster();
    if let Seen::Present(deployment) = &mut cluster.deployment {
        deployment.terminating = true;
    }
    assert_eq!(
        decide(&config("a"), &cluster, None),
        Plan::Wait(Why::OwnerGone)
    );
    cluster.deployment = Seen::Absent;
    assert_eq!(
        decide(&config("a"), &cluster, None),
        Plan::Wait(Why::OwnerGone)
    );
}

#[test]
fn the_sleep_image_is_the_daemons_own_unless_it_is_set() {
    let image = |config: &Config| {
        let Plan::Apply(desired) = decide(config, &cluster(), None) else {
            panic!()
        };
        desired
            .spec
            .unwrap()
            .template
            .spec
            .unwrap()
            .init_containers
            .unwrap()[0]
            .image
            .clone()
            .unwrap()
    };
    assert_eq!(image(&config("a")), "registry.example/puller:1");
    let set = Config {
        sleep_image: Some("other:2".to_owned()),
        ..config("a")
    };
    assert_eq!(image(&set), "other:2");
}

#[test]
fn after_an_apply_there_is_nothing_to_do() {
    let config = config("a=nginx;b=busybox");
    let (mut cluster, applied) = settled(&config);
    assert_eq!(decide(&config, &cluster, Some(&applied)), rest());
    change(&mut cluster, |live| {
        live.annotations
            .insert("somebody/else".to_owned(), "x".to_owned());
        live.labels.insert("theirs".to_owned(), "x".to_owned());
        live.wanted_nodes = 3;
    });
    assert_eq!(
        decide(&config, &cluster, Some(&applied)),
        rest(),
        "foreign metadata is left alone"
    );
}

#[test]
fn every_change_of_what_is_ours_is_put_right() {
    let config = config("a=nginx");
    for (what, touch) in [
        (
            "spec",
            (|live: &mut Live| live.generation = 2) as fn(&mut Live),
        ),
        ("object", |live| live.uid = "ds-2".to_owned()),
        ("label removed", |live| live.labels.clear()),
        ("label changed", |live| {
            live.labels.values_mut().for_each(|value| value.push('x'));
        }),
        ("owner", |live| live.owners.clear()),
    ] {
        let (mut cluster, applied) = settled(&config);
        change(&mut cluster, touch);
        assert!(
            matches!(decide(&config, &cluster, Some(&applied)), Plan::Apply(_)),
            "{what}"
        );
    }
    let (cluster, applied) = settled(&config);
    assert!(
        matches!(decide(&config, &cluster, None), Plan::Apply(_)),
        "a start and a tick apply"
    );
    let other = self::config("a=nginx:2");
    assert!(
        matches!(decide(&other, &cluster, Some(&applied)), Plan::Apply(_)),
        "an edit applies"
    );
}

#[test]
fn a_dying_daemonset_is_awaited_and_a_foreign_one_left_alone() {
    let config = config("a");
    let (mut cluster, applied) = settled(&config);
    change(&mut cluster, |live| live.terminating = true);
    assert_eq!(
        decide(&config, &cluster, Some(&applied)),
        Plan::Wait(Why::Dying)
    );
    change(&mut cluster, |live| {
        live.terminating = false;
        live.selector = BTreeMap::from([("app".to_owned(), "other".to_owned())]);
    });
    assert_eq!(
        decide(&config, &cluster, Some(&applied)),
        Plan::Wait(Why::ForeignSelector)
    );
}

#[test]
fn the_daemonset_of_the_go_image_puller_is_adopted_once_it_is_seen_and_a_dying_one_awaited() {
    let config = config("a");
    let mut cluster = cluster();
    let original = |terminating| Live {
        selector: BTreeMap::from([("test".to_owned(), "daemonset-test".to_owned())]),
        is_of_original: true,
        terminating,
        ..live()
    };
    cluster.live = Seen::Present(original(false));
    assert_eq!(
        decide(&config, &cluster, None),
        Plan::Adopt("ds-1".to_owned())
    );
    cluster.live = Seen::Present(original(true));
    assert_eq!(decide(&config, &cluster, None), Plan::Wait(Why::Dying));
    cluster.live = Seen::Absent;
    assert!(matches!(decide(&config, &cluster, None), Plan::Apply(_)));
    // An uninstall takes the original's DaemonSet with it.
    cluster.live = Seen::Present(original(false));
    cluster.deployment = Seen::Absent;
    assert_eq!(decide(&config, &cluster, None), Plan::Wait(Why::OwnerGone));
}

#[test]
fn pods_that_hold_something_else_are_outdated_but_never_those_of_the_template_in_force() {
    let config = config("a=nginx");
    let (mut cluster, applied) = settled(&config);
    let hash = crate::desired::hash::content_hash(&config.groups[0], Flavour::Kubernetes);
    let mut add = |name: &str, hash: &str, generation: &str, made, controller: Option<&str>| {
        let pod = PodFacts {
            uid: format!("uid-{name}"),
            resource_version: "1".to_owned(),
            created: Some(Timestamp::from_second(made).unwrap()),
            node: name.to_owned(),
            taken_up: true,
            controller: controller.map(str::to_owned),
            content_hash: Some(hash.to_owned()),
            template_generation: Some(generation.to_owned()),
            ..PodFacts::default()
        };
        cluster.pods.insert(name.to_owned(), pod);
    };
    add("current", &hash, "1", 1001, Some("ds-1"));
    add("older-of-the-same-list", &hash, "0", 1001, Some("ds-1"));
    add(
        "left-by-an-orphaning-deletion",
        "old",
        "1",
        900,
        Some("ds-1"),
    );
    add("not-adopted-yet", "old", "1", 900, None);
    add("older", "old", "0", 1001, Some("ds-1"));
    add("changed-by-a-policy", "other", "1", 1001, Some("ds-1"));
    let outdated = |cluster: &Cluster| match decide(&config, cluster, Some(&applied)) {
        Plan::Roll(next) => next.outdated,
        other => panic!("{other:?}"),
    };
    assert_eq!(outdated(&cluster), 2);
    change(&mut cluster, |live| live.observed_generation = 0);
    let Plan::Roll(next) = decide(&config, &cluster, Some(&applied)) else {
        panic!("no rollout")
    };
    assert_eq!(next.step, None, "the controller has not looked yet");
    cluster.pods_listed = false;
    assert_eq!(
        decide(&config, &cluster, Some(&applied)),
        Plan::Wait(Why::Unseen),
        "a pod that is not seen may be there"
    );
}

#[test]
fn the_content_hash_follows_the_content_and_nothing_else() {
    let hash = |config: &Config| {
        crate::desired::hash::content_hash(&config.groups[0], Flavour::Kubernetes)
    };
    let base = config("a=nginx;b=busybox");
    assert_eq!(hash(&base), hash(&config("b=busybox;a=nginx")), "order");
    assert_ne!(hash(&base), hash(&config("a=nginx;b=busybox:2")));
    assert_ne!(hash(&base), hash(&config("a=nginx;c=busybox")));
    let mut moved = base.clone();
    moved.sleep_image = Some("other".to_owned());
    moved.groups[0]
        .scheduling
        .node_selector
        .insert("a".to_owned(), "b".to_owned());
    assert_eq!(hash(&base), hash(&moved), "sleep image and scheduling");
    let mut secret = base.clone();
    secret.groups[0].pull_secrets.push("s".to_owned());
    assert_ne!(hash(&base), hash(&secret));
}

#[test]
fn metadata_that_a_policy_does_not_keep_is_told_and_not_applied_for_ever() {
    let config = config("a=nginx");
    let (mut cluster, applied) = settled(&config);
    assert_eq!(applied.not_kept(), [""; 0]);
    let key = "app.kubernetes.io/managed-by";
    change(&mut cluster, |live| {
        live.labels.insert(key.to_owned(), "platform".to_owned());
        live.owners.clear();
    });
    let Seen::Present(live) = &cluster.live else {
        panic!("no DaemonSet")
    };
    let applied = Applied::new(applied.desired, live);
    assert_eq!(applied.not_kept(), [key, "ownerReferences"]);
    assert_eq!(decide(&config, &cluster, Some(&applied)), rest());
    change(&mut cluster, |live| {
        live.labels.insert(key.to_owned(), "somebody".to_owned());
    });
    assert!(matches!(
        decide(&config, &cluster, Some(&applied)),
        Plan::Apply(_)
    ));
}

#[test]
fn the_pull_secrets_of_the_daemons_own_image_come_with_it() {
    let secrets = |config: &Config| {
        let Plan::Apply(desired) = decide(config, &cluster(), None) else {
            panic!()
        };
        let pod = desired.spec.unwrap().template.spec.unwrap();
        let secrets = pod.image_pull_secrets.unwrap_or_default();
        secrets
            .into_iter()
            .map(|secret| secret.name)
            .collect::<Vec<_>>()
    };
    let mut listed = config("a=nginx");
    assert_eq!(secrets(&listed), ["puller-registry"]);
    listed.groups[0].pull_secrets = vec!["puller-registry".to_owned(), "other".to_owned()];
    assert_eq!(secrets(&listed), ["puller-registry", "other"]);
    listed.groups[0].pull_secrets.clear();
    listed.sleep_image = Some("elsewhere:1".to_owned());
    assert_eq!(secrets(&listed), [""; 0]);
}
