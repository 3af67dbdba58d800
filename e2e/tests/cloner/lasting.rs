//! What goes on while requests come: certificates are renewed, replicas die, versions change, all of it goes away.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kip_e2e::lab::cloner::with_cloner;
use kip_e2e::lab::space::is_ready;
use kip_e2e::lab::{Cloner, Cluster, Private, eventually, eventually_within};
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::load::Load;
use crate::setup::{create, deployment, push, texts};

/// What is in the Secret of the certificates.
async fn certificates(cloner: &Cloner<'_>) -> Result<Value> {
    let secrets: Api<Secret> = cloner.space.api();
    let secret = secrets
        .get(&format!("{}-certificates", cloner.name))
        .await?;
    let data = secret.data.unwrap_or_default();
    let bytes = data.get("certificates.json");
    ensure!(bytes.is_some(), "no certificates yet");
    Ok(serde_json::from_slice(
        bytes.map_or(&[], |it| it.0.as_slice()),
    )?)
}

#[tokio::test]
async fn certificates_are_renewed_and_no_request_fails() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    // The shortest there is: a new one comes when 20 s are left, and is shown 5 s after all have heard of its authority.
    let short = json!({"settings.certificateLifetime": "60s"});
    with_cloner(
        "cloner-renewal",
        &[&registry.address],
        short,
        async |cloner, space| {
            let place = cloner.place(&registry, "team/app:1");
            let load = Load::start(space, &image, &place, 4);
            let mut shown = BTreeSet::new();
            let minutes = Duration::from_secs(300);
            eventually_within(minutes, "three certificates were shown", async || {
                let now = certificates(cloner).await?;
                shown.extend(texts(&now, &["/shown/certificate"]));
                ensure!(shown.len() >= 4, "{}", shown.len());
                Ok(())
            })
            .await;
            let authorities = cloner.authorities().await.unwrap();
            let count = authorities.matches("BEGIN CERTIFICATE").count();
            assert!((1..=3).contains(&count), "{count} authorities are trusted");
            let sum = load.end().await;
            println!(
                "figure: {} certificates renewed under load: {sum:?}",
                shown.len() - 1
            );
            assert_eq!((sum.unchanged, sum.refused), (0, 0), "{sum:?}");
            assert!(sum.copies > 100, "{sum:?}");
            for (pod, log) in cloner.logs().await.unwrap() {
                assert!(!log.contains("cannot be looked after"), "{pod}: {log}");
            }
            let pods = cloner.pods().await.unwrap();
            let restarts: i32 = pods.iter().map(kip_e2e::lab::space::restarts).sum();
            assert_eq!(restarts, 0);
        },
    )
    .await;
}

#[tokio::test]
async fn a_secret_that_somebody_empties_is_filled_again_and_no_request_fails() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    with_cloner(
        "cloner-emptied",
        &[&registry.address],
        json!({}),
        async |cloner, space| {
            let place = cloner.place(&registry, "team/app:1");
            let before = certificates(cloner).await.unwrap();
            let load = Load::start(space, &image, &place, 4);
            let secrets: Api<Secret> = cloner.space.api();
            for name in ["certificates", "proofs"] {
                let name = format!("{}-{name}", cloner.name);
                let empty = Patch::Merge(json!({"data": null}));
                let params = PatchParams::default();
                secrets.patch(&name, &params, &empty).await.unwrap();
            }
            eventually("it is filled again", async || {
                let now = certificates(cloner).await?;
                ensure!(now["shown"] == before["shown"], "another one is shown");
                Ok(())
            })
            .await;
            let sum = load.end().await;
            assert_eq!((sum.unchanged, sum.refused), (0, 0), "{sum:?}");
        },
    )
    .await;
}

async fn two_are_ready(cloner: &Cloner<'_>, but_not: &str) {
    eventually("two replicas are ready", async || {
        let pods = cloner.pods().await?;
        let ready = pods
            .iter()
            .filter(|pod| is_ready(pod) && pod.name_any() != but_not)
            .count();
        ensure!(ready == 2, "{ready}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn replicas_end_one_after_the_other_and_no_request_fails_and_a_crash_refuses_none() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    with_cloner("cloner-replicas", &[&registry.address], json!({}), async |cloner, space| {
        let place = cloner.place(&registry, "team/app:1");
        // Enough that many connections are in use when a replica ends: the API server keeps each, and cannot repeat a
        // request that meets its end.
        let load = Load::start(space, &image, &place, 12);
        let pods: Api<Pod> = cloner.space.api();
        for pod in cloner.pods().await.unwrap() {
            let name = pod.name_any();
            pods.delete(&name, &DeleteParams::default()).await.unwrap();
            two_are_ready(cloner, &name).await;
            eventually("it has ended", async || {
                ensure!(pods.get_opt(&name).await?.is_none(), "it is there");
                Ok(())
            })
            .await;
        }
        let gently = load.sum();
        // Now as a crash: at once, without a word.
        for pod in cloner.pods().await.unwrap() {
            let name = pod.name_any();
            pods.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
            two_are_ready(cloner, &name).await;
        }
        let sum = load.end().await;
        println!("figure: replicas ended one after the other under load: {gently:?}; then killed as well: {sum:?}");
        assert_eq!((gently.unchanged, gently.refused), (0, 0), "{gently:?}");
        assert_eq!(sum.refused, 0, "{sum:?}");
        assert!(sum.copies > gently.copies && gently.copies > 50, "{sum:?}");
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_loses_no_request_and_a_removal_leaves_nothing_and_blocks_nothing() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    with_cloner(
        "cloner-upgrade",
        &[&registry.address],
        json!({}),
        async |cloner, space| {
            let place = cloner.place(&registry, "team/app:1");
            let before = cloner.authorities().await.unwrap();
            let load = Load::start(space, &image, &place, 4);
            let edit = json!({"settings.logLevel": "debug", "webhook.timeoutSeconds": 9});
            cloner.upgrade(edit).await.unwrap();
            assert_eq!(
                cloner.authorities().await.unwrap(),
                before,
                "who is trusted stays"
            );
            let upgraded = load.sum();
            assert_eq!(
                (upgraded.unchanged, upgraded.refused),
                (0, 0),
                "{upgraded:?}"
            );
            let name = cloner.name.clone();
            cloner.uninstall().await.unwrap();
            let sum = load.end().await;
            println!("figure: upgraded under load: {upgraded:?}; then removed as well: {sum:?}");
            assert_eq!(sum.refused, 0, "{sum:?}");
            let made = create::<Deployment>(space, deployment("after", &image, 0))
                .await
                .unwrap();
            let template = texts(&made, &["/spec/template/spec/containers/0/image"]);
            assert_eq!(template, [image.as_str()]);
            let client = cluster.client.clone();
            let webhooks = Api::<MutatingWebhookConfiguration>::all(client.clone());
            assert!(webhooks.get_opt(&name).await.unwrap().is_none());
            let ours = |it: &str| it.starts_with(&name);
            let all = ListParams::default();
            let roles = Api::<ClusterRole>::all(client.clone())
                .list(&all)
                .await
                .unwrap();
            let bindings = Api::<ClusterRoleBinding>::all(client)
                .list(&all)
                .await
                .unwrap();
            assert!(!roles.items.iter().any(|it| ours(&it.name_any())));
            assert!(!bindings.items.iter().any(|it| ours(&it.name_any())));
            let secrets = cloner.space.api::<Secret>().list(&all).await.unwrap();
            assert!(!secrets.items.iter().any(|it| ours(&it.name_any())));
        },
    )
    .await;
}

#[tokio::test]
async fn requests_pass_when_the_pods_go_before_the_webhook_and_when_it_comes_before_them() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    with_cloner(
        "cloner-order",
        &[&registry.address],
        json!({}),
        async |cloner, space| {
            let deployments: Api<Deployment> = cloner.space.api();
            deployments
                .delete(&cloner.name, &DeleteParams::foreground())
                .await
                .unwrap();
            eventually("no pod is left", async || {
                let pods = cloner
                    .space
                    .api::<Pod>()
                    .list(&ListParams::default())
                    .await?;
                ensure!(pods.items.is_empty(), "{} pods", pods.items.len());
                Ok(())
            })
            .await;
            let made = create::<Deployment>(space, deployment("alone", &image, 0))
                .await
                .unwrap();
            let template = texts(&made, &["/spec/template/spec/containers/0/image"]);
            assert_eq!(
                template,
                [image.as_str()],
                "nobody answers, and it is admitted as it is"
            );
            // And back: the webhook is there before its pods, which an upgrade makes again.
            cloner
                .upgrade(json!({"settings.logLevel": "info"}))
                .await
                .unwrap();
            let place = cloner.place(&registry, "team/app:1");
            eventually("it works again", async || {
                let object = deployment(&format!("again-{}", cluster.unique()), &image, 0);
                let made = create::<Deployment>(space, object).await?;
                let template = texts(&made, &["/spec/template/spec/containers/0/image"]);
                ensure!(template[0].starts_with(&place), "{template:?}");
                Ok(())
            })
            .await;
        },
    )
    .await;
}
