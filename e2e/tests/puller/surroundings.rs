//! What the daemon takes from where it runs: the kind of cluster, its Deployment, the clock.

use k8s_openapi::api::apps::v1::Deployment;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Space, alone, eventually, openshift, space};
use kube::ResourceExt as _;
use serde_json::Value;

use super::setup;

async fn pod_security(space: &Space) -> Value {
    let daemonset = eventually("the DaemonSet is made", async || space.daemonset().await).await;
    let pod = daemonset
        .spec
        .and_then(|spec| spec.template.spec)
        .expect("a pod template");
    serde_json::to_value(pod.security_context).expect("it can be written")
}

#[tokio::test]
async fn user_and_group_are_left_to_openshift_where_its_constraints_are_served() {
    let _alone = alone();
    space::within("plain", async |space| {
        let _daemon = setup::lone_daemon(space, &[]);
        let security = pod_security(space).await;
        assert_eq!(security["runAsUser"], 65532);
        assert_eq!(security["fsGroup"], 65532);
    })
    .await;
    openshift::with_constraints_served(async || {
        space::within("openshift", async |space| {
            let _daemon = setup::lone_daemon(space, &[]);
            let security = pod_security(space).await;
            assert_eq!(security["runAsNonRoot"], true);
            for id in ["runAsUser", "runAsGroup", "fsGroup"] {
                assert!(security.get(id).is_none(), "{security}");
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_deployment_owns_the_daemonset_and_lends_it_its_image() {
    space::within("owner", async |space| {
        let entries = setup::push_images(&space.cluster, 1, 64);
        setup::installed(space, &entries).await;
        let deployment = space.api::<Deployment>().get(NAME).await.unwrap();
        let daemonset = space.daemonset().await.unwrap();
        let owners = daemonset.owner_references();
        assert_eq!(owners.len(), 1);
        assert_eq!(Some(owners[0].uid.clone()), deployment.uid());
        assert_eq!(owners[0].block_owner_deletion, None);
        let image = |pod: Option<k8s_openapi::api::core::v1::PodSpec>, init: bool| {
            let pod = pod.unwrap();
            let containers = if init {
                pod.init_containers.unwrap()
            } else {
                pod.containers
            };
            containers[0].image.clone().unwrap()
        };
        assert_eq!(
            image(daemonset.spec.unwrap().template.spec, true),
            image(deployment.spec.unwrap().template.spec, false)
        );
    })
    .await;
}

#[tokio::test]
async fn a_tick_brings_the_desired_state_about_again_and_none_comes_when_it_is_switched_off() {
    let patches = async |space: &Space, interval: &str, wanted: usize| {
        let daemon = setup::lone_daemon(
            space,
            &[("CACHING_INTERVAL_HOURS", interval), ("LOG_FORMAT", "json")],
        );
        pod_security(space).await;
        let metric = |name: &str| {
            let (_, text) = daemon.get("/metrics").unwrap_or_default();
            let line = text
                .lines()
                .find(|line| line.starts_with(name))
                .map(str::to_owned);
            line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
                .unwrap_or(0)
        };
        let unchanged = || metric(r#"kip_applies_total{result="unchanged"}"#);
        if wanted > 0 {
            eventually("ticks", async || {
                if unchanged() >= wanted {
                    Ok(())
                } else {
                    Err(daemon.log())
                }
            })
            .await;
        } else {
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            assert_eq!(unchanged(), 0);
        }
        for line in daemon.log().lines() {
            assert!(
                serde_json::from_str::<Value>(line).is_ok(),
                "{line:?} is no JSON"
            );
        }
    };
    space::within("tick", async |space| {
        patches(space, "1s", 3).await;
        assert_eq!(
            space.daemonset().await.unwrap().metadata.generation,
            Some(1)
        );
    })
    .await;
    space::within("no-tick", async |space| patches(space, "0", 0).await).await;
}
