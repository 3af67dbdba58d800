use std::collections::BTreeMap;

use super::*;
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
        finalizers: Vec::new(),
        generation: 1,
        observed_generation: 1,
        terminating: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::from([(TEMPLATE_GENERATION.to_owned(), "1".to_owned())]),
        owners: vec!["boss-1".to_owned()],
        selector: [(INSTANCE, "keeper"), (COMPONENT, HOLDER)]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        wanted_nodes: 2,
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
        ..Cluster::default()
    }
}

/// A cluster in which everything was applied, and what was applied.
fn settled(config: &Config) -> (Cluster, Applied) {
    let mut cluster = cluster();
    let Plan::Apply(desired) = plan(&identity(), config, &cluster, None) else {
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
            plan(&identity(), &config("a"), &cluster, None),
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
        plan(&identity(), &config("a"), &cluster, None),
        Plan::Wait(Why::OwnerGone)
    );
    cluster.deployment = Seen::Absent;
    assert_eq!(
        plan(&identity(), &config("a"), &cluster, None),
        Plan::Wait(Why::OwnerGone)
    );
}

#[test]
fn the_sleep_image_is_the_daemons_own_unless_it_is_set() {
    let image = |config: &Config| {
        let Plan::Apply(desired) = plan(&identity(), config, &cluster(), None) else {
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
    assert_eq!(
        plan(&identity(), &config, &cluster, Some(&applied)),
        Plan::Nothing
    );
    change(&mut cluster, |live| {
        live.annotations
            .insert("somebody/else".to_owned(), "x".to_owned());
        live.labels.insert("theirs".to_owned(), "x".to_owned());
        live.wanted_nodes = 3;
    });
    assert_eq!(
        plan(&identity(), &config, &cluster, Some(&applied)),
        Plan::Nothing,
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
            matches!(
                plan(&identity(), &config, &cluster, Some(&applied)),
                Plan::Apply(_)
            ),
            "{what}"
        );
    }
    let (cluster, applied) = settled(&config);
    assert!(
        matches!(plan(&identity(), &config, &cluster, None), Plan::Apply(_)),
        "a start and a tick apply"
    );
    let other = self::config("a=nginx:2");
    assert!(
        matches!(
            plan(&identity(), &other, &cluster, Some(&applied)),
            Plan::Apply(_)
        ),
        "an edit applies"
    );
}

#[test]
fn a_dying_daemonset_is_awaited_and_a_foreign_one_left_alone() {
    let config = config("a");
    let (mut cluster, applied) = settled(&config);
    change(&mut cluster, |live| live.terminating = true);
    assert_eq!(
        plan(&identity(), &config, &cluster, Some(&applied)),
        Plan::Wait(Why::Dying)
    );
    change(&mut cluster, |live| {
        live.terminating = false;
        live.selector = BTreeMap::from([("app".to_owned(), "other".to_owned())]);
    });
    assert_eq!(
        plan(&identity(), &config, &cluster, Some(&applied)),
        Plan::Wait(Why::ForeignSelector)
    );
}

#[test]
fn pods_left_by_an_orphaning_deletion_are_replaced_when_they_hold_something_else() {
    let config = config("a=nginx");
    let (mut cluster, applied) = settled(&config);
    let hash = crate::desired::hash::content_hash(&config.groups[0], Flavour::Kubernetes);
    let mut add =
        |name: &str, hash: &str, generation: &str, controller: Option<&str>, terminating| {
            let made = if name == "of-this-daemonset" {
                1001
            } else {
                900
            };
            let pod = PodFacts {
                uid: format!("uid-{name}"),
                created: Some(Timestamp::from_second(made).unwrap()),
                unplaced: None,
                node: "n".to_owned(),
                controller: controller.map(str::to_owned),
                content_hash: Some(hash.to_owned()),
                template_generation: Some(generation.to_owned()),
                terminating,
                containers: BTreeMap::new(),
                init_failure: None,
            };
            cluster.pods.insert(name.to_owned(), pod);
        };
    add("current", &hash, "1", Some("ds-1"), false);
    add("adopted", "old", "1", Some("ds-1"), false);
    add("not-adopted-yet", "old", "1", None, false);
    add("rolled-by-the-controller", "old", "0", Some("ds-1"), false);
    add("going", "old", "1", Some("ds-1"), true);
    add(
        "of-this-daemonset",
        "changed by a policy",
        "1",
        Some("ds-1"),
        false,
    );
    let step = plan(&identity(), &config, &cluster, Some(&applied));
    assert_eq!(
        step,
        Plan::Replace(vec![PodName {
            name: "adopted".to_owned(),
            uid: "uid-adopted".to_owned()
        }])
    );
    change(&mut cluster, |live| live.observed_generation = 0);
    assert_eq!(
        plan(&identity(), &config, &cluster, Some(&applied)),
        Plan::Nothing,
        "the controller has not looked yet"
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
    assert_eq!(
        plan(&identity(), &config, &cluster, Some(&applied)),
        Plan::Nothing
    );
    change(&mut cluster, |live| {
        live.labels.insert(key.to_owned(), "somebody".to_owned());
    });
    assert!(matches!(
        plan(&identity(), &config, &cluster, Some(&applied)),
        Plan::Apply(_)
    ));
}

#[test]
fn the_pull_secrets_of_the_daemons_own_image_come_with_it() {
    let secrets = |config: &Config| {
        let Plan::Apply(desired) = plan(&identity(), config, &cluster(), None) else {
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
