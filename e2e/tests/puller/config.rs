//! The ConfigMap, edited while the daemon runs.

use k8s_openapi::api::apps::v1::DaemonSet;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::space::{is_ready, restarts};
use kip_e2e::lab::{Release, eventually, space};
use kube::api::DeleteParams;
use serde_json::json;

use super::setup;

#[tokio::test]
async fn an_edit_takes_effect_and_a_broken_one_changes_nothing_until_it_is_mended() {
    space::within("config", async |space| {
        let first = setup::push_images(&space.cluster, 1, 64);
        setup::installed(space, &first).await;
        let daemon = space.daemon_ready().await;
        space.metric_is("kip_config_valid", "1").await;

        let mut second = setup::push_images(&space.cluster, 3, 64);
        second.swap(0, 2);
        space
            .edit_config(json!({"IMAGES": setup::list(&second)}))
            .await
            .unwrap();
        let pods = space.all_held(&second).await;
        let names = |pod: &k8s_openapi::api::core::v1::Pod| -> Vec<String> {
            pod.spec
                .iter()
                .flat_map(|spec| &spec.containers)
                .map(|container| container.name.clone())
                .collect()
        };
        assert_eq!(
            names(&pods[0]),
            ["image-2", "image-1", "image-0"],
            "the order of the list is kept"
        );

        let before = space.daemonset().await.unwrap().metadata.generation;
        let pods = space.fingerprints().await.unwrap();
        space
            .edit_config(json!({"IMAGES": "a=Nginx:1", "CACHING_CPU_LIMIT": "two"}))
            .await
            .unwrap();
        space.metric_is("kip_config_valid", "0").await;
        space
            .metric_is(r#"kip_config_problems{variable="IMAGES"}"#, "1")
            .await;
        space
            .metric_is(r#"kip_config_problems{variable="CACHING_CPU_LIMIT"}"#, "1")
            .await;
        space.event_says("InvalidConfiguration", "a=Nginx:1").await;
        assert_eq!(space.daemonset().await.unwrap().metadata.generation, before);
        assert_eq!(space.fingerprints().await.unwrap(), pods);
        assert!(
            is_ready(&space.daemon_pod().await.unwrap()),
            "the last good configuration is in force"
        );

        space
            .edit_config(json!({"IMAGES": "another=Mistake:2"}))
            .await
            .unwrap();
        let another = "another=Mistake:2";
        space
            .event_says_within(
                std::time::Duration::from_secs(10),
                "InvalidConfiguration",
                another,
            )
            .await;

        let undone = json!({"IMAGES": setup::list(&second), "CACHING_CPU_LIMIT": ".2"});
        space.edit_config(undone).await.unwrap();
        space.metric_is("kip_config_valid", "1").await;
        assert_eq!(
            space.fingerprints().await.unwrap(),
            pods,
            "an edit that is undone changes nothing"
        );

        space
            .edit_config(json!({"IMAGES": setup::list(&first), "CACHING_CPU_LIMIT": "100m"}))
            .await
            .unwrap();
        space.all_held(&first).await;
        space.metric_is("kip_config_valid", "1").await;
        let now = space.daemon_pod().await.unwrap();
        assert_eq!(
            (now.metadata.uid.clone(), restarts(&now)),
            (daemon.metadata.uid, 0),
            "the daemon was not restarted"
        );
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_starts_with_a_broken_config_map_waits_for_the_edit_that_mends_it() {
    space::within("broken", async |space| {
        let entries = setup::push_images(&space.cluster, 1, 64);
        let values = json!({"configMap.images": "a=Nginx", "configMap.nodeSelector": "{"});
        Release::install(&space.name, &values).await.unwrap();
        space.metric_is("kip_config_valid", "0").await;
        space
            .event_says("InvalidConfiguration", "NODE_SELECTOR")
            .await;
        let pod = space.daemon_pod().await.unwrap();
        assert!(!is_ready(&pod), "it is not ready");
        assert!(space.daemonset().await.is_err(), "nothing was made");

        space
            .edit_config(json!({"IMAGES": setup::list(&entries), "NODE_SELECTOR": "{}"}))
            .await
            .unwrap();
        space.all_held(&entries).await;
        let pod = space.daemon_ready().await;
        assert_eq!(restarts(&pod), 0);
    })
    .await;
}

#[tokio::test]
async fn names_that_count_at_start_can_be_mended_too() {
    space::within("names", async |space| {
        let entries = setup::push_images(&space.cluster, 1, 64);
        let release = Release::install(&space.name, &setup::values(&entries))
            .await
            .unwrap();
        space.all_held(&entries).await;
        let uid = space.daemon_pod().await.unwrap().metadata.uid;
        space
            .edit_config(json!({"NAMESPACE": "Not A Namespace"}))
            .await
            .unwrap();
        // The environment is made from the ConfigMap when a container starts.
        let pods = space.api::<k8s_openapi::api::core::v1::Pod>();
        pods.delete(
            &space.daemon_pod().await.unwrap().metadata.name.unwrap(),
            &DeleteParams::default(),
        )
        .await
        .unwrap();
        let pod = eventually("a new daemon runs", async || {
            let pod = space.daemon_pod().await?;
            let running = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                == Some("Running");
            anyhow::ensure!(pod.metadata.uid != uid && running, "{:?}", pod.status);
            Ok(pod)
        })
        .await;
        space
            .metric_is(r#"kip_config_problems{variable="NAMESPACE"}"#, "1")
            .await;
        assert!(!is_ready(&pod));
        space
            .edit_config(json!({"NAMESPACE": space.name}))
            .await
            .unwrap();
        let pod = space.daemon_ready().await;
        assert_eq!(restarts(&pod), 0);
        assert!(space.daemonset().await.is_ok(), "{NAME} is there");
        release.uninstall().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_the_api_server_refuses_does_not_keep_the_last_list_from_being_held() {
    space::within("refused", async |space| {
        let entries = setup::push_images(&space.cluster, 1, 64);
        setup::installed(space, &entries).await;
        let before = space.daemonset().await.unwrap().metadata.uid;
        // Only the API server knows which values there are.
        let template = json!({"POD_TEMPLATE": "{spec: {dnsPolicy: Bogus}}"});
        space.edit_config(template).await.unwrap();
        space.event_says("ApplyFailed", "dnsPolicy").await;
        let api = space.api::<DaemonSet>();
        api.delete(NAME, &DeleteParams::default()).await.unwrap();
        eventually("the last list is held again", async || {
            let now = space.daemonset().await?.metadata.uid;
            anyhow::ensure!(now != before, "the old DaemonSet");
            space.held(&entries).await
        })
        .await;

        let list = setup::push_images(&space.cluster, 2, 64);
        let mended = json!({"POD_TEMPLATE": "{}", "IMAGES": setup::list(&list)});
        space.edit_config(mended).await.unwrap();
        space.all_held(&list).await;
    })
    .await;
}
