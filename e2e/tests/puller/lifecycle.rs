//! The daemon comes and goes; the cache stays.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::jiff::Timestamp;
use kip_e2e::lab::space::restarts;
use kip_e2e::lab::{Release, Space, alone, eventually, space};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::json;

use super::setup;

/// A new daemon, of another uid or started again, is ready and has applied.
async fn daemon_after(space: &Space, before: &Pod) {
    eventually("the daemon is there again", async || {
        let pod = space.daemon_pod().await?;
        let is_new = pod.uid() != before.uid() || restarts(&pod) > restarts(before);
        anyhow::ensure!(is_new && space::is_ready(&pod), "{:?}", pod.status);
        let metrics = space.metrics().await?;
        anyhow::ensure!(
            metrics.contains("kip_applies_total{result=\"unchanged\"} 1"),
            "{metrics}"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_restarted_or_killed_daemon_restarts_no_pod_and_asks_no_registry() {
    let _alone = alone();
    space::within("restart", async |space| {
        let entries = setup::push_images(&space.cluster, 3, 64);
        setup::installed(space, &entries).await;
        setup::sum_is_written(space).await;
        let before = space.fingerprints().await.unwrap();
        let registry = space.cluster.registry_log().unwrap();

        let daemon = space.daemon_ready().await;
        space.delete_pod(&daemon).await.unwrap();
        daemon_after(space, &daemon).await;

        let daemon = space.daemon_ready().await;
        let (_, _, pid) = setup::task(space, &daemon, "kubernetes-image-puller")
            .await
            .unwrap();
        setup::signal(&pid, "KILL");
        daemon_after(space, &daemon).await;

        assert_eq!(space.fingerprints().await.unwrap(), before);
        space.metric_is(r#"kip_nodes{state="complete"}"#, "2").await;
        assert_eq!(registry.requests().unwrap(), [""; 0]);
        assert_eq!(registry.requests_of("kip-daemon/").unwrap(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_without_a_change_restarts_no_pod_and_asks_no_registry() {
    let _alone = alone();
    space::within("upgrade", async |space| {
        let entries = setup::push_images(&space.cluster, 2, 64);
        let release = setup::installed(space, &entries).await;
        let daemon = space.daemon_ready().await;
        let before = space.fingerprints().await.unwrap();
        let registry = space.cluster.registry_log().unwrap();
        release.upgrade(&setup::values(&entries)).await.unwrap();

        // A change that only restarts the daemon: its own resources.
        let mut values = setup::values(&entries);
        values["resources"] = json!({"requests": {"cpu": "51m"}});
        release.upgrade(&values).await.unwrap();
        daemon_after(space, &daemon).await;
        assert_eq!(space.fingerprints().await.unwrap(), before);
        space.metric_is(r#"kip_nodes{state="complete"}"#, "2").await;
        assert_eq!(registry.requests().unwrap(), [""; 0]);
        assert_eq!(registry.requests_of("kip-daemon/").unwrap(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_uninstall_leaves_nothing_and_nothing_is_made_after_it() {
    space::within("uninstall", async |space| {
        let entries = setup::push_images(&space.cluster, 2, 64);
        let release = setup::installed(space, &entries).await;
        let audit = space.cluster.audit_log().unwrap();
        release.uninstall().await.unwrap();
        eventually("nothing is left", async || {
            let mut left = Vec::new();
            left.extend(names(&space.api::<DaemonSet>()).await?);
            left.extend(names(&space.api::<Deployment>()).await?);
            left.extend(names(&space.api::<Pod>()).await?);
            left.extend(names(&space.api::<Role>()).await?);
            left.extend(names(&space.api::<RoleBinding>()).await?);
            left.extend(
                names(&space.api::<ConfigMap>())
                    .await?
                    .into_iter()
                    .filter(|name| name != "kube-root-ca.crt"),
            );
            left.extend(
                names(&space.api::<ServiceAccount>())
                    .await?
                    .into_iter()
                    .filter(|name| name != "default"),
            );
            anyhow::ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await;
        let requests = audit.requests().unwrap();
        let in_space = |resource: &str| {
            let resource = resource.to_owned();
            requests.iter().filter(move |request| {
                request.resource() == resource && request.namespace() == space.name
            })
        };
        let deleted: Timestamp = in_space("deployments")
            .find(|request| request.verb == "delete" && request.code() == 200)
            .map(|request| request.answered)
            .expect("the Deployment's deletion is in the audit log");
        let made: Vec<_> = in_space("daemonsets")
            .filter(|request| request.code() == 201 && request.received > deleted)
            .collect();
        assert!(made.is_empty(), "{made:#?}");
    })
    .await;
}

async fn names<K>(api: &Api<K>) -> anyhow::Result<Vec<String>>
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    Ok(api
        .list(&ListParams::default())
        .await?
        .items
        .iter()
        .map(kube::ResourceExt::name_any)
        .collect())
}

#[tokio::test]
async fn cleaning_up_on_shutdown_is_what_the_setting_says() {
    space::within("cleanup", async |space| {
        let entries = setup::push_images(&space.cluster, 1, 64);
        let mut values = setup::values(&entries);
        values["configMap.cleanupOnShutdown"] = json!(true);
        let release = Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let uid = space.daemonset().await.unwrap().uid();
        let daemon = space.daemon_ready().await;
        space.delete_pod(&daemon).await.unwrap();
        eventually("the new daemon has made another DaemonSet", async || {
            let now = space.daemonset().await?.uid();
            anyhow::ensure!(now != uid, "it is the old one");
            Ok(())
        })
        .await;
        space.all_held(&entries).await;
        release.uninstall().await.unwrap();
    })
    .await;
}
