//! The daemon asks the registries itself, with the pull secrets of the pods: what has not changed moves nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, in its helper functions as well"
)]

use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kip_e2e::lab::logs::RegistryLog;
use kip_e2e::lab::private::USERS;
use kip_e2e::lab::{Cluster, Private, Recorder, Release, Space, alone, eventually, space};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::rollout::{contents, no_fetcher_is_left, nothing_was_let_go, refresh};
use super::setup::{self, Entries};

const SECRET: &str = "registry-credentials";

/// The chart's values for a list that is refreshed only when somebody asks for it.
fn values(entries: &Entries) -> Value {
    let mut values = setup::values(entries);
    values["configMap.cachingIntervalHours"] = json!("0");
    values
}

/// Images in a registry that needs a password.
fn push_private(cluster: &Cluster, private: &Private, count: usize) -> Entries {
    let mut entries = setup::push_images(cluster, count, 4);
    for (_, image) in &mut entries {
        *image = private.reference(image);
    }
    entries
}

async fn make_secret(space: &Space, secret: &Secret) {
    let create = PostParams::default();
    space.api::<Secret>().create(&create, secret).await.unwrap();
}

/// The digest that the tag stands for now.
fn digest(cluster: &Cluster, image: &str) -> String {
    let (repository, tag) = setup::repository_and_tag(image);
    let digest = cluster.registry_client().resolve(repository, tag).unwrap();
    digest.expect("it is there").to_string()
}

/// What the daemon has asked, and what nodes have.
fn asked(log: &RegistryLog) -> (Vec<String>, Vec<String>) {
    let daemon = log.requests_of("kip-daemon/").unwrap();
    (daemon, log.requests().unwrap())
}

#[tokio::test]
async fn a_refresh_is_one_request_for_each_tag_and_only_what_has_changed_reaches_the_nodes() {
    // Pods of twenty containers take their time, and more beside others.
    let _alone = alone();
    space::within("digests", async |space| {
        let cluster = &space.cluster;
        let private = Private::start(cluster).await.unwrap();
        let mut entries = push_private(cluster, &private, 20);
        // One by its digest: it never changes, so it is never asked for.
        let pinned = digest(cluster, &entries[19].1);
        let (repository, _) = entries[19].1.rsplit_once(':').unwrap();
        let repository = repository.to_owned();
        entries[19].1 = format!("{repository}@{pinned}");
        make_secret(space, &private.secret(SECRET, USERS[0])).await;
        let mut values = values(&entries);
        values["configMap.imagePullSecrets"] = json!(SECRET);
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let pods = space.fingerprints().await.unwrap();
        let recorder = Recorder::start(cluster).await.unwrap();

        let log = private.log().unwrap();
        refresh(space, "unchanged").await;
        let (daemon, nodes) = asked(&log);
        let begin = |line: &str| daemon.iter().filter(|request| request.starts_with(line)).count();
        let heads = begin("HEAD /v2/");
        assert!(heads >= 19 && heads == daemon.len(), "only HEAD: {daemon:#?}");
        let heads = |repository: &str| begin(&format!("HEAD /v2/{repository}/"));
        for (_, image) in &entries[..19] {
            let (repository, _) = setup::repository_and_tag(image);
            assert!((1..=2).contains(&heads(repository)), "{image}: {daemon:#?}");
        }
        let (_, pinned) = repository.split_once('/').unwrap();
        assert_eq!(heads(pinned), 0, "{daemon:#?}");
        assert_eq!(nodes, [""; 0], "nodes ask for nothing");
        assert_eq!(space.fingerprints().await.unwrap(), pods);
        println!(
            "figure: unchanged refresh of 19 tags and a digest on 2 nodes: {} requests of the daemon, 0 of nodes, 0 pods made",
            daemon.len()
        );

        let before = [3, 7].map(|number| digest(cluster, &entries[number].1));
        for number in [3, 7] {
            let public = entries[number].1.replace(&private.address, &cluster.registry);
            setup::push_anew(cluster, &public, 4);
        }
        let after = [3, 7].map(|number| digest(cluster, &entries[number].1));
        let held = contents(space, "image-3").await.unwrap();
        let log = private.log().unwrap();
        refresh(space, "moved").await;
        no_fetcher_is_left(space).await;
        space.all_held(&entries).await;
        let now = contents(space, "image-3").await.unwrap();
        assert!(now.iter().all(|(node, content)| held[node] != *content));
        nothing_was_let_go(&recorder, &entries);
        let (daemon, nodes) = asked(&log);
        let moved = [3, 7].map(|number| {
            let (repository, _) = setup::repository_and_tag(&entries[number].1);
            format!("/{repository}/")
        });
        let others = nodes.iter().filter(|line| !moved.iter().any(|name| line.contains(name)));
        assert_eq!(others.count(), 0, "{nodes:#?}");
        println!(
            "figure: refresh with two moved tags among 19 on 2 nodes: {} requests of the daemon, {} of nodes for these two",
            daemon.len(), nodes.len()
        );
        // "sha256:" and 16 digits.
        let short = |digest: &String| digest[..23].to_owned();
        for (number, (from, to)) in [3, 7].into_iter().zip(before.iter().zip(&after)) {
            let words = format!("image-{number} {} → {}", short(from), short(to));
            space.event_says("ImagesRefreshed", &words).await;
        }
        space.metric_is(r#"kip_registry_answers{answer="digest"}"#, "20").await;
    })
    .await;
}

#[tokio::test]
async fn the_secret_of_the_service_account_is_used_and_one_without_a_right_is_reported() {
    space::within("account", async |space| {
        let private = Private::start(&space.cluster).await.unwrap();
        let entries = push_private(&space.cluster, &private, 2);
        make_secret(space, &private.secret(SECRET, USERS[0])).await;
        let account = Patch::Merge(json!({"imagePullSecrets": [{"name": SECRET}]}));
        let accounts = space.api::<ServiceAccount>();
        eventually("the account is there", async || {
            let params = PatchParams::default();
            accounts.patch("default", &params, &account).await
        })
        .await;
        let mut values = values(&entries);
        values["rbac.pullSecrets"] = json!([SECRET]);
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let log = private.log().unwrap();
        refresh(space, "by the account's").await;
        let (daemon, nodes) = asked(&log);
        assert!(daemon.len() >= 2, "{daemon:?}");
        assert_eq!(nodes, [""; 0]);

        make_secret(space, &private.secret("added-live", USERS[1])).await;
        let secrets = json!({"IMAGE_PULL_SECRETS": format!("{SECRET};added-live")});
        space.edit_config(secrets).await.unwrap();
        let words = "the pull secret added-live cannot be used to ask registries: the daemon has no right to read it";
        space.event_says("PullSecretUnusable", words).await;
    })
    .await;
}

#[tokio::test]
async fn an_image_that_is_not_there_or_not_given_is_told_from_the_registrys_answer() {
    space::within("answers", async |space| {
        let private = Private::start(&space.cluster).await.unwrap();
        let mut entries = setup::push_images(&space.cluster, 3, 4);
        let missing = format!("{}/test/nowhere:1", space.cluster.registry);
        entries[1].1 = missing.clone();
        entries[2].1 = private.reference(&entries[2].1);
        Release::install(&space.name, &values(&entries))
            .await
            .unwrap();
        let told = format!("image-1: {missing}: not found");
        space.event_says("ImageUnavailable", &told).await;
        space.event_says("ImageUnavailable", "image-2: ").await;
        space
            .metric_is(r#"kip_registry_answers{answer="not_found"}"#, "1")
            .await;
        space
            .metric_is(r#"kip_registry_answers{answer="credentials"}"#, "1")
            .await;
        space
            .metric_is(r#"kip_registry_answers{answer="digest"}"#, "1")
            .await;

        // A correction is asked for at once, too.
        entries[1].1 = setup::push_images(&space.cluster, 1, 4)[0].1.clone();
        space
            .edit_config(json!({"IMAGES": setup::list(&entries)}))
            .await
            .unwrap();
        space
            .metric_is(r#"kip_registry_answers{answer="not_found"}"#, "0")
            .await;
        space
            .metric_is(r#"kip_registry_answers{answer="digest"}"#, "2")
            .await;
    })
    .await;
}

/// The nodes know that this registry speaks no TLS, the daemon is not told.
#[tokio::test]
async fn what_the_daemon_cannot_ask_one_node_asks_or_nobody() {
    space::within("fallback", async |space| {
        let private = Private::start(&space.cluster).await.unwrap();
        let mut entries = setup::push_images(&space.cluster, 3, 4);
        entries[2].1 = private.reference(&entries[2].1);
        make_secret(space, &private.secret(SECRET, USERS[0])).await;
        let mut values = values(&entries);
        values["configMap.imagePullSecrets"] = json!(SECRET);
        values["configMap.plainHttpRegistries"] = json!(space.cluster.registry);
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let pods = space.fingerprints().await.unwrap();

        let public = space.cluster.registry_log().unwrap();
        let log = private.log().unwrap();
        refresh(space, "node").await;
        no_fetcher_is_left(space).await;
        space.event_says("RegistryUnanswered", "nodes ask").await;
        assert!(!log.requests().unwrap().is_empty(), "a node has asked");
        let of_others = |line: &String| {
            entries[..2].iter().any(|(_, image)| {
                let (repository, _) = setup::repository_and_tag(image);
                line.contains(&format!("/{repository}/"))
            })
        };
        let nodes = public.requests().unwrap();
        assert!(!nodes.iter().any(of_others), "{nodes:#?}");
        assert_eq!(space.fingerprints().await.unwrap(), pods);

        space
            .edit_config(json!({"REFRESH_FALLBACK": "never"}))
            .await
            .unwrap();
        let log = private.log().unwrap();
        refresh(space, "never").await;
        assert_eq!(log.requests().unwrap(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_registry_of_an_authority_of_your_own_is_asked_when_the_chart_is_told() {
    space::within("authority", async |space| {
        let (private, certificate) = Private::start_with_tls(&space.cluster).await.unwrap();
        let entries = push_private(&space.cluster, &private, 2);
        make_secret(space, &private.secret(SECRET, USERS[0])).await;
        let authorities =
            json!({"metadata": {"name": "our-ca"}, "data": {"bundle.pem": certificate}});
        let authorities: ConfigMap = serde_json::from_value(authorities).unwrap();
        let create = PostParams::default();
        space
            .api::<ConfigMap>()
            .create(&create, &authorities)
            .await
            .unwrap();
        let mut values = values(&entries);
        values["configMap.imagePullSecrets"] = json!(SECRET);
        values["configMap.plainHttpRegistries"] = json!("");
        values["registryCA.configMap"] = json!("our-ca");
        values["registryCA.key"] = json!("bundle.pem");
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let log = private.log().unwrap();
        refresh(space, "by TLS").await;
        let (daemon, nodes) = asked(&log);
        assert!(daemon.len() >= 2, "{daemon:?}");
        assert_eq!(nodes, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_tag_that_has_moved_arrives_by_itself_after_the_interval_also_under_a_new_daemon() {
    space::within("interval", async |space| {
        let entries = setup::push_images(&space.cluster, 2, 4);
        let mut values = setup::values(&entries);
        values["configMap.cachingIntervalHours"] = json!("5s");
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        for round in 0..2 {
            let held = contents(space, "image-1").await.unwrap();
            setup::push_anew(&space.cluster, &entries[1].1, 4);
            eventually("the new content is on every node", async || {
                let now = contents(space, "image-1").await?;
                anyhow::ensure!(now.len() == 2, "{now:?}");
                anyhow::ensure!(
                    now.iter().all(|(node, it)| held.get(node) != Some(it)),
                    "{now:?}"
                );
                Ok(())
            })
            .await;
            if round == 0 {
                space.replace_daemon().await;
            }
        }
    })
    .await;
}
