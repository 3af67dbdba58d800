//! What is left alone.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::lab::cloner::with_cloner;
use kip_e2e::lab::{Cluster, Private, eventually};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::setup::{are_copies, create, deployment, pod_spec, push, texts};

const TEMPLATE: &str = "/spec/template/spec/containers/0/image";
const IMAGE: &str = "/spec/containers/0/image";

#[tokio::test]
async fn some_are_left_alone_and_the_audit_log_says_why() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    with_cloner(
        "cloner-scope",
        &[&registry.address],
        json!({}),
        async |cloner, space| {
            let log = cluster.audit_log().unwrap();
            let labelled = |name: &str, label: &str| {
                let mut object = deployment(name, &image, 0);
                object["metadata"]["labels"] = json!({"app.kubernetes.io/name": label});
                object
            };
            let pod = |name: &str, image: &str, policy: &str| {
                let mut spec = pod_spec(image);
                spec["containers"][0]["imagePullPolicy"] = json!(policy);
                json!({"metadata": {"name": name}, "spec": spec})
            };
            let puller = labelled("puller", "kubernetes-image-puller");
            let puller = create::<Deployment>(space, puller).await.unwrap();
            let own = create::<Deployment>(space, labelled("own", "image-cloner"))
                .await
                .unwrap();
            for left in [puller, own] {
                assert_eq!(texts(&left, &[TEMPLATE]), [image.as_str()]);
            }
            let never = create::<Pod>(space, pod("never", &image, "Never"))
                .await
                .unwrap();
            let auto = create::<Pod>(space, pod("auto", "auto", "IfNotPresent"))
                .await
                .unwrap();
            assert_eq!(texts(&never, &[IMAGE]), [image.as_str()]);
            assert_eq!(texts(&auto, &[IMAGE]), ["auto"]);
            // Where it does not take part.
            let other = space.another("other").await.unwrap();
            let there = create::<Deployment>(&other, deployment("there", &image, 0)).await;
            other.remove().await;
            assert_eq!(texts(&there.unwrap(), &[TEMPLATE]), [image.as_str()]);
            eventually("the audit log says why", async || {
                let annotations: Vec<Value> = log
                    .requests()?
                    .iter()
                    .filter(|it| it.namespace() == space.name && it.verb == "create")
                    .map(|it| json!(it.annotations))
                    .collect();
                let text = json!(annotations).to_string();
                for words in ["label", "its pull policy is Never", "it is no image yet"] {
                    anyhow::ensure!(text.contains(words), "{words}: {text}");
                }
                Ok(())
            })
            .await;
            let left = cloner
                .metric("image_cloner_left_alone_total{reason=\"label\"}")
                .await
                .unwrap();
            assert!(
                (left - 1.0).abs() < f64::EPSILON,
                "the puller's; its own it is not asked about: {left}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn an_edit_that_changes_no_image_changes_none_and_one_that_does_is_followed() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let [one, two] = ["team/app:1", "team/app:2"].map(|name| push(&cluster, &registry, name));
    with_cloner(
        "cloner-edit",
        &[&registry.address],
        json!({}),
        async |cloner, space| {
            let api: Api<Deployment> = space.api();
            let made = create::<Deployment>(space, deployment("app", &one, 0))
                .await
                .unwrap();
            let first = texts(&made, &[TEMPLATE]);
            are_copies(&first, &[cloner.place(&registry, "team/app:1")]).unwrap();
            let edit = async |patch: Value| {
                let patch = Patch::Strategic(patch);
                let edited = api
                    .patch("app", &PatchParams::default(), &patch)
                    .await
                    .unwrap();
                serde_json::to_value(edited).unwrap()
            };
            let edited = edit(json!({"spec": {"replicas": 1}})).await;
            assert_eq!(texts(&edited, &[TEMPLATE]), first);
            let image = |image: &str| {
                let containers = json!([{"name": "main", "image": image}]);
                json!({"spec": {"template": {"spec": {"containers": containers}}}})
            };
            // What a user applies again is the original's name: nothing is rolled out anew.
            let generation = edited["metadata"]["generation"].clone();
            let again = edit(image(&one)).await;
            assert_eq!(texts(&again, &[TEMPLATE]), first);
            assert_eq!(again["metadata"]["generation"], generation);
            let moved = edit(image(&two)).await;
            are_copies(
                &texts(&moved, &[TEMPLATE]),
                &[cloner.place(&registry, "team/app:2")],
            )
            .unwrap();
            api.delete("app", &DeleteParams::default()).await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn only_pods_are_rewritten_where_templates_belong_to_somebody_else() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    let pods = json!({"settings.kinds": "pods"});
    with_cloner(
        "cloner-pods",
        &[&registry.address],
        pods,
        async |cloner, space| {
            let made = create::<Deployment>(space, deployment("app", &image, 1))
                .await
                .unwrap();
            assert_eq!(texts(&made, &[TEMPLATE]), [image.as_str()]);
            let place = cloner.place(&registry, "team/app:1");
            eventually("its pod is a copy's", async || {
                let pods = space
                    .api::<Pod>()
                    .list(&kube::api::ListParams::default())
                    .await?;
                let images: Vec<String> = pods
                    .items
                    .iter()
                    .flat_map(|pod| texts(&json!(pod), &[IMAGE]))
                    .collect();
                are_copies(&images, std::slice::from_ref(&place))
            })
            .await;
        },
    )
    .await;
}

#[tokio::test]
async fn kube_system_is_left_alone_though_it_is_chosen() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    with_cloner(
        "cloner-system",
        &[&registry.address],
        json!({}),
        async |cloner, space| {
            let chosen = json!([{
                "key": "kubernetes.io/metadata.name", "operator": "In", "values": ["kube-system", space.name],
            }]);
            let edit = json!({"webhook.namespaceSelector": {"matchExpressions": chosen}});
            cloner.upgrade(edit).await.unwrap();
            let dry = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            let object: Deployment = serde_json::from_value(deployment("app", &image, 0)).unwrap();
            let made = async |namespace: &str| {
                let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
                let made = api.create(&dry, &object).await.unwrap();
                texts(&json!(made), &[TEMPLATE])
            };
            assert_eq!(made("kube-system").await, [image.as_str()]);
            let place = cloner.place(&registry, "team/app:1");
            are_copies(&made(&space.name).await, &[place]).unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_tag_that_has_moved_is_followed_only_where_it_is_always_pulled() {
    let cluster = Cluster::from_env().await.unwrap();
    let registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    let now = json!({"settings.originalFresh": "0s"});
    with_cloner(
        "cloner-moved",
        &[&registry.address],
        now,
        async |_, space| {
            let with = |name: &str, policy: &str| {
                let mut object = deployment(name, &image, 0);
                object["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] =
                    json!(policy);
                object
            };
            let (pinned, followed) = (with("pinned", "IfNotPresent"), with("followed", "Always"));
            let mut first = Vec::new();
            for object in [&pinned, &followed] {
                let made = create::<Deployment>(space, object.clone()).await.unwrap();
                first.extend(texts(&made, &[TEMPLATE]));
            }
            assert_eq!(first[0], first[1]);
            push(&cluster, &registry, "team/app:1");
            let api: Api<Deployment> = space.api();
            let mut again = Vec::new();
            for (name, object) in [("pinned", pinned), ("followed", followed)] {
                let mut object = object;
                object["apiVersion"] = json!("apps/v1");
                object["kind"] = json!("Deployment");
                let params = PatchParams::apply("somebody").force();
                let applied = api
                    .patch(name, &params, &Patch::Apply(&object))
                    .await
                    .unwrap();
                again.extend(texts(&json!(applied), &[TEMPLATE]));
            }
            assert_eq!(again[0], first[0], "who applies it again means the same");
            assert_ne!(again[1], first[1], "what the tag stands for now");
        },
    )
    .await;
}
