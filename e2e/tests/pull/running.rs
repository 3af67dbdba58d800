//! Which image it is.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::image::Entry;
use kip_e2e::lab::eventually;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::setup::{KEEPS, above, base, container, manifest, said, small, unpack, with_lab};

#[tokio::test]
async fn it_is_the_image_that_runs_though_its_tag_has_moved() {
    with_lab("pull-moved", async |lab| {
        let cluster = &lab.space.cluster;
        let (runs, newer) = (small(cluster), small(cluster));
        let name = lab.push("app:1", &runs);
        lab.pod("web", KEEPS, &name).await.unwrap();
        lab.push("app:1", &newer);
        let archive = lab.path("web.tar");
        let sink = format!("oci-archive:{}", archive.display());
        let done = lab.pull(&["web", "--to", &sink]).await;
        assert_eq!(done["images"][0]["id"], runs.config.digest.as_str());
        assert_eq!(done["images"][0]["manifest"], runs.digest().as_str());
        assert_eq!(
            done["layers"],
            json!({"blob": 2, "proven": 0, "rebuilt": 0, "flat": 0})
        );
        unpack(&archive, &lab.path("web")).unwrap();
        let (digest, manifest) = manifest(&lab.path("web")).unwrap();
        assert_eq!(digest, runs.digest().as_str());
        let layers = manifest["layers"].as_array().unwrap();
        for (layer, original) in layers.iter().zip(&runs.layers) {
            assert_eq!(layer["digest"], original.digest.as_str());
        }
        // From the cache now, and of no pod.
        for image in [&name, runs.digest().as_str(), runs.config.digest.as_str()] {
            let done = lab
                .pull(&["--node", KEEPS, "--image", image, "--to", &sink])
                .await;
            assert_eq!(done["fetched"]["bytes"], 0, "{done}");
            assert_eq!(done["images"][0]["id"], runs.config.digest.as_str());
        }
        let listed = lab.pull(&["list", "--node", KEEPS]).await;
        assert!(listed.to_string().contains(&name), "{listed}");
        lab.nothing_is_left().await;
    })
    .await;
}

#[tokio::test]
async fn it_has_init_sidecar_and_debug_containers_and_the_newest_pod_of_a_workload() {
    with_lab("pull-containers", async |lab| {
        let cluster = &lab.space.cluster;
        // Of one layer that all have: it is fetched once.
        let base = base(cluster);
        let own = || vec![Entry::file("unique", cluster.unique().into_bytes())];
        let images: Vec<_> = (0..4).map(|_| above(&base, &[own()])).collect();
        let names: Vec<_> = images
            .iter()
            .zip(["main", "side", "begin", "debug"])
            .collect();
        let names: Vec<_> = names
            .iter()
            .map(|(image, name)| lab.push(&format!("{name}:1"), image))
            .collect();
        let mut side = container("side", &names[1]);
        side["restartPolicy"] = json!("Always");
        let mut begin = container("begin", &names[2]);
        begin["args"] = json!(["1ms"]);
        begin["command"] = json!(["/sleep"]);
        let spec = json!({
            "initContainers": [side, begin], "containers": [container("main", &names[0])],
            "nodeName": KEEPS, "terminationGracePeriodSeconds": 0,
        });
        let deployment = json!({
            "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": spec,
            }},
        });
        let deployments: Api<Deployment> = lab.space.api();
        let deployment = serde_json::from_value(deployment).unwrap();
        let created = deployments
            .create(&PostParams::default(), &deployment)
            .await;
        created.unwrap();
        let pods: Api<Pod> = lab.space.api();
        let pod = eventually("the pod runs", async || {
            let found = pods.list(&ListParams::default()).await?.items;
            let found = found.into_iter().find(kip_e2e::lab::space::is_ready);
            anyhow::Context::context(found, "there is none that is ready")
        })
        .await;
        let pod = pod.metadata.name.unwrap();
        let mut debug = container("debug", &names[3]);
        debug.as_object_mut().unwrap().remove("resources");
        let debug = json!({"spec": {"ephemeralContainers": [debug]}});
        let patch = Patch::Strategic(debug);
        let patched = pods
            .patch_subresource("ephemeralcontainers", &pod, &PatchParams::default(), &patch)
            .await;
        patched.unwrap();
        eventually("the debug container runs", async || {
            let pod = serde_json::to_value(pods.get(&pod).await?)?;
            let running = &pod["status"]["ephemeralContainerStatuses"][0]["state"]["running"];
            anyhow::ensure!(running.is_object(), "not yet");
            Ok(())
        })
        .await;

        let sink = format!("oci:{}", lab.path("all").display());
        let done = lab
            .pull(&["deploy/web", "--all-containers", "--to", &sink])
            .await;
        let mut ids: Vec<_> = done["images"].as_array().unwrap().iter().map(id).collect();
        let mut expected: Vec<_> = images.iter().map(|it| it.config.digest.as_str()).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected, "{done}");

        for (name, image) in ["main", "side", "begin", "debug"].iter().zip(&images) {
            let sink = format!("oci-archive:{}", lab.path(name).display());
            let done = lab.pull(&[&pod, "-c", name, "--to", &sink]).await;
            assert_eq!(id(&done["images"][0]), image.config.digest.as_str());
        }
        let output = lab.run(&[&pod, "-c", "other", "--to", &sink]).await;
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        let words = said(&output);
        assert!(
            words.contains("'other'") && words.contains("main"),
            "{words}"
        );
    })
    .await;
}

fn id(image: &Value) -> &str {
    image["id"].as_str().expect("an ID")
}
