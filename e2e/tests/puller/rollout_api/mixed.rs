//! Nodes of two architectures, and an image that has nothing for those of one.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Daemon, Kubelet, Pull, Space, eventually, nodes, space};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{metric_is, reference};
use crate::setup;

const PART: &str = "kubernetes-image-puller-arm64";

/// On how many nodes each of the two has a pod, and is to have one.
async fn sizes(space: &Space) -> Result<[Option<(i32, i32)>; 2]> {
    let sets = space.api::<DaemonSet>();
    let of = async |name| {
        let set: Option<DaemonSet> = sets.get_opt(name).await?;
        let status = set.map(|set| set.status.unwrap_or_default());
        anyhow::Ok(status.map(|it| (it.current_number_scheduled, it.desired_number_scheduled)))
    };
    Ok([of(NAME).await?, of(PART).await?])
}

async fn annotate(space: &Space, annotations: Value) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let sets = space.api::<DaemonSet>();
    let patched = sets.patch(NAME, &PatchParams::default(), &patch).await;
    patched.expect("the DaemonSet can be edited");
}

async fn are(space: &Space, daemon: &Daemon, main: i32, part: Option<i32>) {
    let expected = [Some(main), part].map(|nodes| nodes.map(|it| (it, it)));
    eventually(&format!("{main} nodes and {part:?}"), async || {
        let sizes = sizes(space).await?;
        ensure!(sizes == expected, "{sizes:?}");
        Ok(())
    })
    .await;
    metric_is(daemon, r#"kip_nodes{state="wanted"}"#, 4).await;
    metric_is(daemon, r#"kip_nodes{state="complete"}"#, 4).await;
}

#[tokio::test]
async fn only_the_nodes_of_the_other_architecture_are_kept_apart_and_no_image_is_pulled_twice() {
    space::within("mixed", async |space| {
        let all = vec!["amd64", "arm64", "amd64", "arm64"];
        nodes::within_mixed(space, all, async |nodes| {
            let kubelet = Kubelet::start(space, nodes);
            let unique = space.cluster.unique();
            let [both, lone] = ["both", "lone"]
                .map(|name| format!("{}/{name}-{unique}:1", space.cluster.registry));
            setup::push_index(&space.cluster, &both, &["amd64", "arm64"]);
            setup::push_index(&space.cluster, &lone, &["amd64"]);
            kubelet.registry(&reference("kip:1"), Pull::Content(1));
            kubelet.registry(&both, Pull::Content(2));
            kubelet.registry(&lone, Pull::Content(3));
            let of = |wanted| nodes.architectures().filter(move |(_, it)| *it == wanted);
            for (node, _) in of("arm64") {
                kubelet.on(node, &lone, Some(Pull::Fails));
            }
            let daemon = setup::lone_daemon(
                space,
                &[
                    ("IMAGES", &format!("lone={lone};both={both}")),
                    ("NODE_SELECTOR", &nodes.selector()),
                    ("TOLERATIONS", &nodes::FakeNodes::tolerations()),
                    ("PLAIN_HTTP_REGISTRIES", &space.cluster.registry),
                    ("KIP_IMAGE", &reference("kip:1")),
                    ("MAX_NODES_AT_ONCE", "1"),
                ],
            );
            are(space, &daemon, 2, Some(2)).await;
            metric_is(&daemon, r#"kip_image_kept_off_nodes{image="lone"}"#, 2).await;
            metric_is(&daemon, r#"kip_image_kept_off_nodes{image="both"}"#, 0).await;
            assert_eq!(
                (kubelet.answered_for(&both), kubelet.answered_for(&lone)),
                (4, 2)
            );

            // It is there for all now, and what the nodes of amd64 get of it is another content.
            setup::push_index(&space.cluster, &lone, &["amd64", "arm64"]);
            kubelet.registry(&lone, Pull::Content(4));
            for (node, _) in of("arm64") {
                kubelet.on(node, &lone, None);
            }
            annotate(space, json!({"kubernetes-image-puller/refresh": "now"})).await;
            are(space, &daemon, 4, None).await;
            metric_is(&daemon, r#"kip_image_kept_off_nodes{image="lone"}"#, 0).await;
        })
        .await;
    })
    .await;
}
