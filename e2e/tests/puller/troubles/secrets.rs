//! Pull secrets: one that is not there, and one that is made anew while the registry is away.

use k8s_openapi::api::core::v1::Secret;
use kip_e2e::lab::private::USERS;
use kip_e2e::lab::{Private, Release, Space, space};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::super::setup;
use super::{delete_a_pod, trouble_is};

const SECRET: &str = "for-the-registry";

async fn delete_all_pods(space: &Space) {
    for pod in space.holder_pods().await.unwrap() {
        space.delete_pod(&pod).await.unwrap();
    }
}

#[tokio::test]
async fn a_pull_secret_that_is_missing_or_was_made_anew_is_named() {
    space::within("secret", async |space| {
        let mut private = Private::start(&space.cluster).await.unwrap();
        let mut entries = setup::push_images(&space.cluster, 2, 64);
        entries[0].1 = private.reference(&entries[0].1);
        let mut values = setup::values(&entries);
        values["configMap.imagePullSecrets"] = json!(SECRET);
        Release::install(&space.name, &values).await.unwrap();
        let named = format!("pull secrets of the pods: {SECRET}; each must be in the namespace");
        space.event_says("ImageFailed", &named).await;
        trouble_is(space, "credentials", "2").await;

        let api = space.api::<Secret>();
        let create = PostParams::default();
        let secret = |user: &str| private.secret(SECRET, user);
        api.create(&create, &secret(USERS[0])).await.unwrap();
        let another = secret(USERS[1]);
        // Kubelet would wait for some minutes.
        delete_all_pods(space).await;
        space.all_held(&entries).await;
        trouble_is(space, "credentials", "0").await;

        private.stop();
        api.delete(SECRET, &DeleteParams::default()).await.unwrap();
        api.create(&create, &another).await.unwrap();
        delete_a_pod(space).await;
        let named = format!("made anew with other content: {SECRET}");
        space.event_says("ImageFailed", &named).await;
        trouble_is(space, "registry", "1").await;

        private.resume().unwrap();
        delete_all_pods(space).await;
        space.all_held(&entries).await;
        trouble_is(space, "registry", "0").await;
    })
    .await;
}
