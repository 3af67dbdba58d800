//! A node whose runtime is CRI-O, which keeps files and tar-split instead of blobs. `hack/run-e2e.sh --of crio` adds it.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Node;
use kip_e2e::image::Entry;
use kip_e2e::lab::eventually;
use kube::api::Api;
use serde_json::json;

use crate::setup::{Lab, container, image, manifest, noise, small, unpack, with_lab};

/// Its name.
const NODE: &str = "crio-1";

#[tokio::test]
#[ignore = "it needs a node of CRI-O: hack/run-e2e.sh --of crio"]
async fn the_image_that_runs_is_proven_from_its_storage_though_its_tag_has_moved() {
    with_lab("crio-moved", async |lab| {
        let cluster = &lab.space.cluster;
        let runs = image(
            cluster,
            &[
                vec![
                    Entry::file("app/data", noise(&cluster.unique(), 3 << 20)),
                    Entry::file("app/secret", "for root").with_mode(0o600),
                ],
                vec![Entry::file("app/.wh.data", "")],
            ],
        );
        let name = lab.push("app:1", &runs);
        lab.pod("web", NODE, &name).await.unwrap();
        // The node has the tag for another image now.
        let newer = small(cluster);
        lab.push("app:1", &newer);
        let mut container = container("main", &name);
        container["imagePullPolicy"] = json!("Always");
        let spec = json!({"containers": [container]});
        lab.pod_of("newer", NODE, spec).await.unwrap();

        let id = runs.config.digest.as_str();
        takes(lab, &["web"], id, 3).await;
        takes(lab, &["newer"], newer.config.digest.as_str(), 2).await;
        // Without a pod the helper pod's image is one that the node has told of, which it does now and then.
        let nodes = Api::<Node>::all(cluster.client.clone());
        eventually("the node has told its images", async || {
            let node = nodes.get(NODE).await?;
            let told = node.status.and_then(|status| status.images);
            ensure!(told.is_some_and(|it| !it.is_empty()), "it has not");
            anyhow::Ok(())
        })
        .await;
        std::fs::remove_dir_all(lab.path("cache")).unwrap();
        takes(lab, &["--node", NODE, "--image", id], id, 3).await;
        let listed = lab.pull(&["list", "--node", NODE]).await;
        assert!(listed.to_string().contains(&name), "{listed}");
        lab.nothing_is_left().await;
    })
    .await;
}

/// What is named so is this image, each of its layers is proven, and its archive is whole.
async fn takes(lab: &Lab<'_>, named: &[&str], id: &str, layers: usize) {
    let folder = named.join("_").replace(['/', ':'], "_");
    let archive = lab.path(&format!("{folder}.tar"));
    let sink = format!("oci-archive:{}", archive.display());
    let arguments = [named, &["--require-identical", "--to", &sink]].concat();
    let done = lab.pull(&arguments).await;
    assert_eq!(done["images"][0]["id"], id, "{done}");
    let proven = json!({"blob": 0, "proven": layers, "rebuilt": 0, "flat": 0});
    assert_eq!(done["layers"], proven);
    unpack(&archive, &lab.path(&folder)).expect("a tar");
    let (_, manifest) = manifest(&lab.path(&folder)).expect("a layout that is whole");
    assert_eq!(manifest["config"]["digest"], id);
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(layers));
}

#[tokio::test]
#[ignore = "it needs a node of CRI-O: hack/run-e2e.sh --of crio"]
async fn a_volume_of_the_image_is_enough_there_as_well() {
    with_lab("crio-flat", async |lab| {
        let runs = small(&lab.space.cluster);
        let name = lab.push("app:1", &runs);
        lab.pod("web", NODE, &name).await.unwrap();
        let back = format!("{}/{}/back:1", lab.space.cluster.registry, lab.space.name);
        let sink = format!("registry://{back}");
        lab.enforce("restricted").await.unwrap();
        let done = lab.pull(&["web", "--flat", "--to", &sink]).await;
        assert_eq!(done["leftOut"], json!([]), "{done}");
        lab.nothing_is_left().await;
        // The entrypoint is known only where the original's pod names it: it is named here.
        let mut container = container("main", &back);
        container["command"] = json!(["/sleep", "24h"]);
        let spec = json!({"containers": [container]});
        lab.pod_of("back", NODE, spec).await.unwrap();
    })
    .await;
}
