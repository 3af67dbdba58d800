//! Many at once, and images that take longer than a request may.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kip_e2e::lab::cloner::with_cloner;
use kip_e2e::lab::{Cluster, Private, Space, Turnstile, eventually};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::setup::{are_copies, create, deployment, image, push, texts};

const TEMPLATE: &str = "/spec/template/spec/containers/0/image";

#[tokio::test]
async fn an_image_that_a_hundred_want_at_once_is_copied_once() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    let one = json!({"replicas": 1});
    with_cloner("cloner-crowd", &[&registry.address], one, async |cloner, space| {
        let log = registry.log().unwrap();
        let all = (0..100).map(async |number| {
            let object = deployment(&format!("app-{number}"), &image, 0);
            create::<Deployment>(space, object).await
        });
        let made: Result<Vec<Value>> = join_all(all).await.into_iter().collect();
        let place = cloner.place(&registry, "team/app:1");
        for object in made.unwrap() {
            are_copies(&texts(&object, &[TEMPLATE]), std::slice::from_ref(&place)).unwrap();
        }
        let made = cloner.metric("image_cloner_copies_total{result=\"made\"}").await.unwrap();
        assert!((made - 1.0).abs() < f64::EPSILON, "copied {made} times");
        let asked = log.requests_of("image-cloner/").unwrap().len();
        println!("figure: 100 creations of one image at once: 1 copy, {asked} requests to the original's registry");
        // The manifest's HEAD and GET, a GET for the config and each of the two layers; what refers to it is asked for too.
        assert!((5..=12).contains(&asked), "the registry was asked {asked} times");
    })
    .await;
}

/// Creates a Deployment, as kubectl does, and gives the warnings too.
async fn create_and_warn(space: &Space, object: &Value) -> Result<(u16, Value, Vec<String>)> {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", space.name);
    let mut object = object.clone();
    object["apiVersion"] = json!("apps/v1");
    object["kind"] = json!("Deployment");
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(kube::client::Body::from(serde_json::to_vec(&object)?))?;
    let response = space.cluster.client.send(request).await?;
    let status = response.status().as_u16();
    let warnings = response.headers().get_all("warning").into_iter();
    let warnings = warnings.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
    let warnings = warnings.collect();
    let body = response.into_body().collect_bytes().await?;
    Ok((status, serde_json::from_slice(&body)?, warnings))
}

#[tokio::test]
async fn an_image_that_takes_too_long_passes_with_a_warning_and_the_next_request_finds_the_copy() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    registry
        .client()
        .push("team/large", "1", &image(&cluster))
        .unwrap();
    let way = Turnstile::before(&registry.address).await.unwrap();
    let far = format!("{}/team/large:1", way.address);
    let short = json!({"webhook.timeoutSeconds": 2, "settings.originalFresh": "0s"});
    with_cloner(
        "cloner-late",
        &[&way.address],
        short,
        async |cloner, space| {
            let began = std::time::Instant::now();
            let (status, made, warnings) = create_and_warn(space, &deployment("late", &far, 1))
                .await
                .unwrap();
            assert_eq!(
                (status, texts(&made, &[TEMPLATE])),
                (201, vec![far.clone()])
            );
            assert!(
                warnings.iter().any(|it| it.contains("still being copied")),
                "{warnings:?}"
            );
            assert!(began.elapsed() < Duration::from_secs(10), "it is bounded");
            // The Deployment's own ReplicaSet is left as the Deployment has it: else it would make more and more of them.
            let sets = eventually("the ReplicaSet is there", async || {
                let sets = space
                    .api::<k8s_openapi::api::apps::v1::ReplicaSet>()
                    .list(&kube::api::ListParams::default())
                    .await?;
                ensure!(!sets.items.is_empty(), "none");
                anyhow::Ok(sets.items)
            })
            .await;
            let set = serde_json::to_value(&sets[0]).unwrap();
            assert_eq!(texts(&set, &[TEMPLATE]), [far.as_str()]);
            way.open();
            let place = format!(
                "{}/{}/team/large:1",
                cloner.prefix,
                way.address.replace(':', "__")
            );
            eventually("a later request finds the copy", async || {
                let object = deployment(&format!("later-{}", cluster.unique()), &far, 0);
                let made = create::<Deployment>(space, object).await?;
                are_copies(&texts(&made, &[TEMPLATE]), std::slice::from_ref(&place))
            })
            .await;
            let sets = space
                .api::<k8s_openapi::api::apps::v1::ReplicaSet>()
                .list(&kube::api::ListParams::default())
                .await
                .unwrap();
            let of_late = sets
                .items
                .iter()
                .filter(|set| set.name_any().starts_with("late-"))
                .count();
            assert_eq!(of_late, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn what_must_not_run_without_a_copy_is_refused_until_there_is_one() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    registry
        .client()
        .push("team/large", "1", &image(&cluster))
        .unwrap();
    let way = Turnstile::before(&registry.address).await.unwrap();
    let far = format!("{}/team/large:1", way.address);
    let strict = json!({
        "webhook.timeoutSeconds": 2, "settings.onTimeout": "deny", "settings.onFailure": "deny",
    });
    with_cloner("cloner-deny", &[&way.address], strict, async |_, space| {
        let object = deployment("app", &far, 0);
        let (status, refused, _) = create_and_warn(space, &object).await.unwrap();
        let message = texts(&refused, &["/message"]).remove(0);
        assert!(
            status == 403 && message.contains("still being copied"),
            "{status}: {message}"
        );
        // A registry that nobody has allowed, at an address that only the cluster can reach.
        let inside = deployment("inside", "169.254.169.254/latest:1", 0);
        let (status, refused, _) = create_and_warn(space, &inside).await.unwrap();
        let message = texts(&refused, &["/message"]).remove(0);
        assert!(
            status == 403 && message.contains("private address"),
            "{status}: {message}"
        );
        way.open();
        eventually("it is admitted when the copy is there", async || {
            let (status, body, _) = create_and_warn(space, &object).await?;
            ensure!(status == 201, "{status}: {body}");
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_registry_that_takes_connections_and_says_nothing_is_not_waited_for() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    registry
        .client()
        .push("team/app", "1", &image(&cluster))
        .unwrap();
    let way = Turnstile::before(&registry.address).await.unwrap();
    way.open();
    let far = format!("{}/team/app:1", way.address);
    let short = json!({
        "webhook.timeoutSeconds": 3, "settings.originalFresh": "0s", "replicas": 1,
    });
    with_cloner(
        "cloner-outage",
        &[&way.address],
        short,
        async |cloner, space| {
            let place = format!(
                "{}/{}/team/app:1",
                cloner.prefix,
                way.address.replace(':', "__")
            );
            let made = create::<Deployment>(space, deployment("before", &far, 0))
                .await
                .unwrap();
            let copy = texts(&made, &[TEMPLATE]);
            are_copies(&copy, std::slice::from_ref(&place)).unwrap();
            way.fall_silent();
            let mut took = Vec::new();
            for name in ["first", "second", "third"] {
                let began = std::time::Instant::now();
                let made = create::<Deployment>(space, deployment(name, &far, 0))
                    .await
                    .unwrap();
                assert_eq!(texts(&made, &[TEMPLATE]), copy, "{name}");
                took.push(began.elapsed());
            }
            println!("figure: with a registry that says nothing: copies given after {took:.2?}");
            assert!(
                took.iter().all(|it| *it < Duration::from_secs(3)),
                "{took:?}"
            );
        },
    )
    .await;
}
