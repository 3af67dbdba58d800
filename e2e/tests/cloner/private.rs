//! Images that not everybody may read, and what the cloner's own registry wants.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use kip_e2e::lab::cloner::with_cloner;
use kip_e2e::lab::private::USERS;
use kip_e2e::lab::space::is_ready;
use kip_e2e::lab::{Cloner, Cluster, Private, Space, eventually};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::setup::{are_copies, create, image, pod_spec, texts};

const IMAGE: &str = "/spec/containers/0/image";

async fn has_secret(space: &Space, registry: &Private, name: &str, user: &str) {
    let secret = registry.secret(name, user);
    let secrets: Api<Secret> = space.api();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .expect("the Secret can be made");
}

/// A pod with these pull secrets. Gives its image as the API server has it.
async fn pod(space: &Space, name: &str, image: &str, secrets: &[&str]) -> Result<Value> {
    let mut spec = pod_spec(image);
    let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
    spec["imagePullSecrets"] = json!(secrets);
    let object = json!({"metadata": {"name": name}, "spec": spec});
    create::<Pod>(space, object).await
}

fn found(pod: &Value) -> String {
    texts(pod, &[IMAGE]).remove(0)
}

/// Pushes an image into the cluster's own registry, and gives the name that the one with a password has it under.
fn push(cluster: &Cluster, registry: &Private, name: &str) -> (String, String) {
    let unique = format!("{name}-{}", cluster.unique());
    let repository = format!("private/{unique}");
    cluster
        .registry_client()
        .push(&repository, "1", &image(cluster))
        .expect("the registry takes the image");
    let reference = format!("{}/{repository}:1", registry.address);
    (reference, format!("{repository}:1"))
}

async fn restart(cloner: &Cloner<'_>) {
    let pods: Api<Pod> = cloner.space.api();
    let old = cloner.pods().await.expect("it has pods");
    for pod in &old {
        pods.delete(&pod.name_any(), &DeleteParams::default())
            .await
            .expect("the pod can be deleted");
    }
    eventually("other pods are ready", async || {
        let pods = cloner.pods().await?;
        let is_new = |pod: &&Pod| !old.iter().any(|old| old.uid() == pod.uid());
        let ready = pods
            .iter()
            .filter(is_new)
            .filter(|pod| is_ready(pod))
            .count();
        ensure!(ready == old.len(), "{ready}");
        Ok(())
    })
    .await;
    // Until then a request may meet a connection that one of them is just closing.
    eventually("the old ones have ended", async || {
        for pod in &old {
            ensure!(
                pods.get_opt(&pod.name_any()).await?.is_none(),
                "one is there"
            );
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_private_image_is_given_only_to_whose_credentials_read_it_also_after_a_restart_with_its_registry_gone()
 {
    let cluster = Cluster::from_env().await.unwrap();
    let mut registry = Private::start(&cluster).await.unwrap();
    let address = registry.address.clone();
    let (image, name) = push(&cluster, &registry, "app");
    with_cloner(
        "cloner-private",
        &[&address],
        json!({}),
        async |cloner, space| {
            has_secret(space, &registry, "bob", USERS[0]).await;
            let mut wrong = registry.secret("eve", USERS[1]);
            let config = json!({"auths": {&address: {"username": "eve", "password": "guess"}}});
            wrong.string_data = Some([(".dockerconfigjson".to_owned(), config.to_string())].into());
            space
                .api::<Secret>()
                .create(&PostParams::default(), &wrong)
                .await
                .unwrap();

            let place = cloner.place(&registry, &name);
            let bob = pod(space, "bob", &image, &["bob"]).await.unwrap();
            are_copies(&[found(&bob)], std::slice::from_ref(&place)).unwrap();
            for (name, secrets) in [("eve", &["eve"][..]), ("nobody", &[])] {
                let other = pod(space, name, &image, secrets).await.unwrap();
                assert_eq!(found(&other), image, "{name}");
            }
            // By the pull secrets of its service account, as kubelet would.
            let account = json!({"imagePullSecrets": [{"name": "bob"}]});
            space
                .api::<ServiceAccount>()
                .patch("default", &PatchParams::default(), &Patch::Merge(account))
                .await
                .unwrap();
            let (second, second_name) = push(&cluster, &registry, "second");
            let by_account = pod(space, "by-account", &second, &[]).await.unwrap();
            are_copies(
                &[found(&by_account)],
                &[cloner.place(&registry, &second_name)],
            )
            .unwrap();

            registry.stop();
            restart(cloner).await;
            let again = pod(space, "bob-again", &image, &["bob"]).await.unwrap();
            assert_eq!(found(&again), found(&bob), "what was proven is remembered");
            let again = pod(space, "eve-again", &image, &["eve"]).await.unwrap();
            assert_eq!(found(&again), image, "what was not is not");
            eventually("bob's pod runs from the copy", async || {
                let pod = space.api::<Pod>().get("bob-again").await?;
                ensure!(is_ready(&pod), "{:?}", pod.status);
                Ok(())
            })
            .await;
        },
    )
    .await;
}

#[tokio::test]
async fn copies_in_a_registry_with_a_password_are_written_with_one_and_pods_get_a_secret_for_them()
{
    let cluster = Cluster::from_env().await.unwrap();
    let originals = Private::start_open(&cluster).await.unwrap();
    let target = Private::start(&cluster).await.unwrap();
    let image = crate::setup::push(&cluster, &originals, "team/app:1");
    let prefix = format!("{}/backup-{}", target.address, cluster.unique());
    let values = json!({
        "settings.registry": prefix, "settings.pullSecret": "backup",
        "settings.plainHttpRegistries": [originals.address, target.address],
    });
    with_cloner(
        "cloner-target",
        &[&originals.address],
        values,
        async |cloner, space| {
            has_secret(space, &target, "backup", USERS[0]).await;
            has_secret(space, &target, "other", USERS[1]).await;
            let before = pod(space, "before", &image, &[]).await.unwrap();
            assert_eq!(
                found(&before),
                image,
                "without credentials there is no copy"
            );
            let debug_of = async |name: &str| {
                let mut debug = crate::setup::container("debug", &image);
                // Resources of such a container are not allowed.
                debug.as_object_mut().unwrap().remove("resources");
                let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [debug]}}));
                let pods: Api<Pod> = space.api();
                let params = PatchParams::default();
                let pod = pods.patch_ephemeral_containers(name, &params, &patch).await;
                texts(&json!(pod.unwrap()), &["/spec/ephemeralContainers/0/image"]).remove(0)
            };
            // They come while it runs, with a line break at the end, as editors leave one.
            let login = json!({
                "metadata": {"name": "registry-auth"},
                "stringData": {"username": format!("{}\n", USERS[0]), "password": "secret-word\n"},
            });
            create::<Secret>(cloner.space, login).await.unwrap();
            // Else kubelet looks at what is mounted once in a minute and a half.
            for pod in cloner.pods().await.unwrap() {
                let name = pod.name_any();
                cloner.space.nudge::<Pod>(&name).await.unwrap();
            }
            let place = format!(
                "{prefix}/{}/team/app:1",
                originals.address.replace(':', "__")
            );
            eventually("all replicas have heard of them", async || {
                let logs = cloner.logs().await?;
                let has_heard = |log: &String| log.contains("credentials have changed");
                ensure!(logs.values().all(has_heard), "{logs:?}");
                Ok(())
            })
            .await;
            let made = pod(space, "app", &image, &["other"]).await.unwrap();
            are_copies(&[found(&made)], std::slice::from_ref(&place)).unwrap();
            let names = texts(
                &made,
                &[
                    "/spec/imagePullSecrets/0/name",
                    "/spec/imagePullSecrets/1/name",
                ],
            );
            assert_eq!(
                names,
                ["other", "backup"],
                "the secret is added to what was there"
            );
            let name = texts(&made, &["/metadata/name"]).remove(0);
            // What is there already can get no secret any more, and must not name what it cannot pull.
            assert_eq!(debug_of("before").await, image);
            are_copies(&[debug_of(&name).await], std::slice::from_ref(&place)).unwrap();
            eventually("the pod runs", async || {
                let pod = space.api::<Pod>().get(&name).await?;
                ensure!(is_ready(&pod), "{:?}", pod.status);
                Ok(())
            })
            .await;
        },
    )
    .await;
}
