//! Parts of the world are missing.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Node;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::space::restarts;
use kip_e2e::lab::{Proxy, Release, alone, eventually, eventually_within, space};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};

use super::setup;

#[tokio::test]
async fn the_daemon_outlives_the_api_server_and_is_right_within_five_seconds_of_its_return() {
    const OUTAGE: Duration = Duration::from_secs(60);
    let _alone = alone();
    space::within("outage", async |space| {
        let entries = setup::push_images(&space.cluster, 2, 64);
        let mut values = setup::values(&entries);
        // Ticks come during the outage too.
        values["configMap.cachingIntervalHours"] = serde_json::json!("10s");
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let daemon = space.daemon_ready().await;
        let (_, _, pid) = setup::task(space, &daemon, "kubernetes-image-puller")
            .await
            .unwrap();
        let uid = space.daemonset().await.unwrap().uid();
        let address = daemon
            .status
            .as_ref()
            .and_then(|status| status.pod_ip.clone())
            .unwrap();
        // The deletion happens while the daemon cannot see it, so that it learns of it only after the outage.
        setup::signal(&pid, "STOP");
        space
            .api::<DaemonSet>()
            .delete(NAME, &DeleteParams::background())
            .await
            .unwrap();
        setup::without(&space.cluster, "apiserver", async || {
            setup::signal(&pid, "CONT");
            tokio::time::sleep(OUTAGE).await;
            for probe in ["livez", "readyz"] {
                let answer = ureq::get(format!("http://{address}:8080/{probe}")).call();
                assert!(
                    answer.is_ok(),
                    "a lost API server is no reason: {probe}: {answer:?}"
                );
            }
        })
        .await;
        let back = Instant::now();
        eventually_within(
            Duration::from_secs(5),
            "the DaemonSet is made again",
            async || {
                let daemonset = space.daemonset().await?;
                anyhow::ensure!(daemonset.uid() != uid, "it is the old one");
                Ok(())
            },
        )
        .await;
        println!(
            "figure: API server away for {OUTAGE:?}: right {:.1?} after its return",
            back.elapsed()
        );
        // The controllers and kubelets of Kubernetes itself pause for up to a minute each before they look again.
        let patient = Duration::from_secs(180);
        eventually_within(patient, "all images are held again", async || {
            space.held(&entries).await
        })
        .await;
        let now = space.daemon_ready().await;
        assert_eq!(
            (now.uid(), restarts(&now)),
            (daemon.uid(), 0),
            "the daemon was not restarted"
        );
    })
    .await;
}

#[tokio::test]
async fn without_the_registry_everything_that_was_lost_is_held_again() {
    let _alone = alone();
    space::within("registry", async |space| {
        let entries = setup::push_images(&space.cluster, 3, 64);
        setup::installed(space, &entries).await;
        setup::without(&space.cluster, "registry", async || {
            let uid = space.daemonset().await.unwrap().uid();
            space
                .api::<DaemonSet>()
                .delete(NAME, &DeleteParams::background())
                .await
                .unwrap();
            eventually("the DaemonSet is made again", async || {
                let daemonset = space.daemonset().await?;
                anyhow::ensure!(daemonset.uid() != uid, "it is the old one");
                Ok(())
            })
            .await;
            let pods = space.all_held(&entries).await;

            let (_, _, pid) = setup::task(space, &pods[0], "image-1").await.unwrap();
            setup::signal(&pid, "KILL");
            eventually("the sleeper was started again", async || {
                let pods = space.held(&entries).await?;
                anyhow::ensure!(pods.iter().map(restarts).sum::<i32>() == 1, "no restart");
                Ok(())
            })
            .await;

            let (_, _, pid) = setup::task(space, &pods[1], "").await.unwrap();
            setup::signal(&pid, "KILL");
            eventually("the pod's sandbox was made again", async || {
                let pods = space.held(&entries).await?;
                anyhow::ensure!(pods.iter().map(restarts).sum::<i32>() > 1, "no restart");
                Ok(())
            })
            .await;
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_image_that_does_not_exist_keeps_no_other_from_any_node_and_is_named() {
    space::within("bad", async |space| {
        let good = setup::push_images(&space.cluster, 4, 64);
        let bad = (
            "bad".to_owned(),
            format!("{}/test/there-is-none:1", space.cluster.registry),
        );
        let mut all = good.clone();
        all.insert(1, bad);
        Release::install(&space.name, &setup::values(&all))
            .await
            .unwrap();
        for (name, _) in &good {
            space
                .metric_is(
                    &format!(r#"kip_image_nodes{{image="{name}",state="cached"}}"#),
                    "2",
                )
                .await;
        }
        space
            .metric_is(r#"kip_image_nodes{image="bad",state="pull_failed"}"#, "2")
            .await;
        space
            .event_says("ImageFailed", "test/there-is-none:1")
            .await;
        space.metric_is(r#"kip_nodes{state="complete"}"#, "0").await;
    })
    .await;
}

#[tokio::test]
async fn a_node_that_joins_later_gets_everything() {
    const LATE: &str = "node-late";
    let _alone = alone();
    space::within("join", async |space| {
        let entries = setup::push_images(&space.cluster, 2, 64);
        setup::installed(space, &entries).await;
        let before = space.fingerprints().await.unwrap();
        space.cluster.local(&["add-node", LATE]).await.unwrap();
        let pods = space.all_held(&entries).await;
        let is_late = |pod: &k8s_openapi::api::core::v1::Pod| {
            pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(LATE)
        };
        assert_eq!(pods.iter().filter(|pod| is_late(pod)).count(), 1);
        let after = space.fingerprints().await.unwrap();
        assert!(
            before.keys().all(|uid| after.contains_key(uid)),
            "the other nodes' pods stay"
        );
        space.cluster.local(&["remove-node", LATE]).await.unwrap();
        let nodes = Api::<Node>::all(space.cluster.client.clone());
        eventually("the node is gone", async || {
            anyhow::ensure!(nodes.get_opt(LATE).await?.is_none(), "it is there");
            Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_was_silently_cut_is_noticed_within_seventy_seconds() {
    space::within("silence", async |space| {
        let proxy = Proxy::start().await.unwrap();
        let daemon = setup::lone_daemon(space, &[("KUBECONFIG", proxy.kubeconfig())]);
        let before = eventually("the first apply", async || space.daemonset().await).await;
        eventually("the daemon is ready", async || {
            match daemon.get("/readyz") {
                Some((200, _)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        proxy.silence();
        let silenced = Instant::now();
        space
            .api::<DaemonSet>()
            .delete(NAME, &DeleteParams::background())
            .await
            .unwrap();
        eventually_within(
            Duration::from_secs(75),
            "the DaemonSet is made again",
            async || {
                let daemonset = space.daemonset().await?;
                anyhow::ensure!(daemonset.uid() != before.uid(), "it is the old one");
                Ok(())
            },
        )
        .await;
        let took = silenced.elapsed();
        println!("figure: connection silently cut: right after {took:.1?}");
        assert!(
            took <= Duration::from_secs(70),
            "{took:?}\n{}",
            daemon.log()
        );
        assert!(
            took > Duration::from_secs(1),
            "the connections were not cut"
        );
    })
    .await;
}
