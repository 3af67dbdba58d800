//! What ran before, and nodes that are told where the copies are.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::lab::cloner::with_cloner;
use kip_e2e::lab::space::is_ready;
use kip_e2e::lab::{Cluster, Private, Space, eventually};
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::setup::{container, create, pod_spec, push};

async fn all_run(space: &Space) {
    eventually("all pods run", async || {
        let pods = space.api::<Pod>().list(&ListParams::default()).await?;
        for pod in &pods.items {
            ensure!(is_ready(pod), "{}: {:?}", pod.name_any(), pod.status);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_runs_already_is_reported_and_mirrored_and_then_restored_from_the_copies() {
    let cluster = Cluster::from_env().await.unwrap();
    let mut registry = Private::start_open(&cluster).await.unwrap();
    let images = ["team/a:1", "team/b:1", "team/c:1"].map(|name| push(&cluster, &registry, name));
    let address = registry.address.clone();
    // Nothing is rewritten in the workloads' namespace: it was there before.
    let none = json!({"webhook.namespaceSelector": {"matchLabels": {"nobody": "has-this"}}});
    with_cloner("cloner-mirror", &[&address], none, async |cloner, space| {
        let mut spec = pod_spec(&images[0]);
        spec["containers"] = json!([container("a", &images[0]), container("b", &images[1])]);
        for (name, spec) in [
            ("one", spec),
            ("two", pod_spec(&images[0])),
            ("three", pod_spec(&images[2])),
        ] {
            let object = json!({"metadata": {"name": name}, "spec": spec});
            create::<Pod>(space, object).await.unwrap();
        }
        all_run(space).await;
        let at = ["--namespace", space.name.as_str()];
        let report = async |format: &str| {
            let all = ["restore-report", "--output", format, at[0], at[1]];
            cloner.exec(&all).await.unwrap()
        };
        let (status, table) = report("table").await;
        assert_eq!(status, 3, "{table}");
        assert!(table.contains("3 running images: 0 have a copy"), "{table}");
        assert!(table.contains(&images[1]), "{table}");

        let (status, lines) = cloner.exec(&["mirror", at[0], at[1]]).await.unwrap();
        assert_eq!(status, 0, "{lines}");
        for (name, image) in ["a", "b", "c"].iter().zip(&images) {
            let copy = cloner.place(&registry, &format!("team/{name}:1"));
            let line = lines.lines().find(|it| it.contains(image.as_str()));
            let line = line.unwrap_or_default();
            assert!(line.contains("/3] ") && line.contains(&copy), "{lines}");
        }
        let (status, again) = cloner.exec(&["mirror", at[0], at[1]]).await.unwrap();
        assert_eq!(
            (status, again.matches("is there").count()),
            (0, 3),
            "{again}"
        );

        let (status, text) = report("json").await;
        let entries: Vec<Value> = serde_json::from_str(&text).expect(&text);
        assert_eq!(status, 0, "{text}");
        let pods: Vec<_> = entries.iter().map(|it| it["pods"].as_u64()).collect();
        assert_eq!(pods, [Some(2), Some(1), Some(1)], "{text}");
        assert!(entries.iter().all(|it| it["state"] == "there"), "{text}");

        // A tag that has moved: what runs has no copy any more.
        push(&cluster, &registry, "team/c:1");
        cloner.exec(&["mirror", at[0], at[1]]).await.unwrap();
        let (status, table) = report("table").await;
        assert!(
            status == 3 && table.contains("1 have one of something else"),
            "{table}"
        );

        // Whoever is asked about from now on gets the copies, though their registry is gone.
        registry.stop();
        let (status, lines) = cloner.exec(&["mirror", at[0], at[1]]).await.unwrap();
        assert!(
            status == 3 && lines.contains("3 image(s) have no copy"),
            "{status} {lines}"
        );
        let all =
            json!({"webhook.namespaceSelector": {"matchLabels": {"image-cloner": cloner.name}}});
        cloner.upgrade(all).await.unwrap();
        cloner.is_asked(space).await;
        let restored = json!({"metadata": {"name": "restored"}, "spec": pod_spec(&images[1])});
        let made = create::<Pod>(space, restored).await.unwrap();
        let image = made["spec"]["containers"][0]["image"].as_str().unwrap();
        assert!(
            image.starts_with(&cloner.place(&registry, "team/b:1")),
            "{image}"
        );
        all_run(space).await;
    })
    .await;
}

/// Tells all nodes where a registry's images are. Gives what they were told before.
async fn tell_nodes(cluster: &Cluster, host: &str, text: &str) -> Result<()> {
    let root = std::env::var("KIP_CLUSTER_DIR")?;
    for node in cluster.nodes().await? {
        let folder = Path::new(&root)
            .join("n")
            .join(node)
            .join("registries")
            .join(host);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("hosts.toml"), text)?;
    }
    Ok(())
}

#[tokio::test]
async fn nodes_that_are_told_where_the_copies_are_pull_them_by_the_originals_names() {
    let cluster = Cluster::from_env().await.unwrap();
    let mut registry = Private::start_open(&cluster).await.unwrap();
    let image = push(&cluster, &registry, "team/app:1");
    let address = registry.address.clone();
    with_cloner(
        "cloner-hosts",
        &[&address],
        json!({}),
        async |cloner, space| {
            let place = cloner.place(&registry, "team/app:1");
            let made = create::<Pod>(
                space,
                json!({"metadata": {"name": "copied"}, "spec": pod_spec(&image)}),
            );
            let made = made.await.unwrap();
            let copy = made["spec"]["containers"][0]["image"].as_str().unwrap();
            assert!(copy.starts_with(&place), "{copy}");
            let (status, text) = cloner.exec(&["hosts-toml", &address]).await.unwrap();
            assert_eq!(status, 0, "{text}");
            registry.stop();
            tell_nodes(&cluster, &address, &text).await.unwrap();
            // In a namespace that is not asked about: the name stays the original's, by tag and by digest.
            let other = space.another("other").await.unwrap();
            let (_, digest) = copy.split_once('@').unwrap();
            let (untagged, _) = image.rsplit_once(':').unwrap();
            for (name, image) in [
                ("by-tag", image.clone()),
                ("by-digest", format!("{untagged}@{digest}")),
            ] {
                let object = json!({"metadata": {"name": name}, "spec": pod_spec(&image)});
                let made = create::<Pod>(&other, object).await.unwrap();
                assert_eq!(made["spec"]["containers"][0]["image"], json!(image));
            }
            all_run(&other).await;
            other.remove().await;
        },
    )
    .await;
}
