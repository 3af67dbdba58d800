//! An image that is read as it is mounted, by a pod that may do nothing on its node.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use kip_e2e::image::{Config, Entry, Image, Layer, architecture};
use serde_json::{Value, json};

use crate::setup::{KEEPS, Lab, THROWS, base, blob, manifest, said, small, unpack, with_lab};

/// An image with a file for everybody, one for root alone, an environment and a folder.
fn image(lab: &Lab<'_>) -> Result<Image> {
    let cluster = &lab.space.cluster;
    let files = Layer::new(&[
        Entry::file("app/open", cluster.unique().into_bytes()),
        Entry::file("app/secret", "for root").with_mode(0o600),
        Entry::file("app/gone", "removed again"),
    ])?;
    let removal = Layer::new(&[Entry::file("app/.wh.gone", "")])?;
    let config = Config {
        entrypoint: vec!["/sleep".to_owned(), "24h".to_owned()],
        env: vec!["APP_MODE=it is kept".to_owned()],
        working_dir: "/app".to_owned(),
        ..Config::default()
    };
    let layers = vec![base(cluster), files, removal];
    Ok(Image::of(architecture(), layers, &config)?)
}

/// The configuration of the archive's image, and its only layer's files, unpacked.
fn read(lab: &Lab<'_>, archive: &Path, name: &str) -> Result<(Value, PathBuf)> {
    let layout = lab.path(&format!("{name}-layout"));
    unpack(archive, &layout)?;
    let (_, manifest) = manifest(&layout)?;
    let layers = manifest["layers"].as_array().context("layers")?;
    ensure!(layers.len() == 1, "{manifest}");
    let kind = &layers[0]["annotations"]["io.github.kubernetes-image-puller.layer"];
    ensure!(kind == "flat", "{manifest}");
    let content = |of: &Value| blob(&layout, of["digest"].as_str().context("a digest")?);
    let files = lab.path(&format!("{name}-files"));
    tar::Archive::new(&content(&layers[0])?[..]).unpack(&files)?;
    Ok((
        serde_json::from_slice(&content(&manifest["config"])?)?,
        files,
    ))
}

#[tokio::test]
async fn a_namespace_that_is_restricted_is_enough_and_what_cannot_be_read_there_is_named() {
    with_lab("pull-flat", async |lab| {
        let image = image(lab).unwrap();
        let name = lab.push("app:1", &image);
        let mut container = kip_e2e::lab::sleeper::container("main", &name);
        container["args"] = json!(["24h"]);
        let spec = json!({"containers": [container]});
        lab.pod_of("web", KEEPS, spec.clone()).await.unwrap();
        lab.pod_of("other", THROWS, spec).await.unwrap();
        let archive = lab.path("web.tar");
        let sink = format!("oci-archive:{}", archive.display());

        lab.enforce("restricted").await.unwrap();
        let output = lab.run(&["web", "--flat", "--to", &sink]).await;
        let words = said(&output);
        assert_eq!(output.status.code(), Some(5), "{words}");
        for part in ["/app/secret", "--skip-unreadable"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!archive.exists());
        let done = lab
            .pull(&["web", "--flat", "--skip-unreadable", "--to", &sink])
            .await;
        assert_eq!(done["leftOut"][0]["count"], 1, "{done}");
        let (config, files) = read(lab, &archive, "restricted").unwrap();
        assert!(files.join("app/open").exists() && !files.join("app/secret").exists());
        assert!(!files.join("app/gone").exists());
        // The runtime gives a PATH to who has none.
        let env: Vec<String> = serde_json::from_value(config["config"]["Env"].clone()).unwrap();
        let (path, own): (Vec<_>, Vec<_>) = env.iter().partition(|it| it.starts_with("PATH="));
        assert_eq!(path.len(), 1);
        assert_eq!(own, ["APP_MODE=it is kept"]);
        assert_eq!(config["config"]["WorkingDir"], "/app");
        assert_eq!(config["config"]["Cmd"], json!(["24h"]));
        assert_eq!(config["config"]["User"], "65532:0");
        lab.nothing_is_left().await;

        // There its pod may be root, and reads all; on a node that has thrown the layers away as well.
        lab.enforce("baseline").await.unwrap();
        for pod in ["web", "other"] {
            let done = lab.pull(&[pod, "--flat", "--to", &sink]).await;
            assert_eq!(done["leftOut"], json!([]), "{done}");
            let (config, files) = read(lab, &archive, pod).unwrap();
            let secret = std::fs::read_to_string(files.join("app/secret")).unwrap();
            assert_eq!(secret, "for root");
            assert_eq!(config["architecture"], architecture());
            std::fs::remove_dir_all(files).unwrap();
        }
        lab.nothing_is_left().await;
    })
    .await;
}

#[tokio::test]
async fn the_files_are_those_of_the_image_that_runs_and_the_archive_is_one_that_runs() {
    with_lab("pull-flat-moved", async |lab| {
        let cluster = &lab.space.cluster;
        let (runs, newer) = (image(lab).unwrap(), small(cluster));
        let name = lab.push("app:1", &runs);
        lab.pod("web", KEEPS, &name).await.unwrap();
        // The node has the tag for another image now.
        lab.push("app:1", &newer);
        let pull = ["images", "pull", "--plain-http", &name];
        cluster.ctr(KEEPS, &pull).await.unwrap();
        let back = format!("{}/{}/back:1", cluster.registry, lab.space.name);
        let sink = format!("registry://{back}");
        lab.pull(&["web", "--flat", "--to", &sink]).await;
        // It runs without the entrypoint, which the pod of the original did not name.
        let mut container = kip_e2e::lab::sleeper::container("main", &back);
        container["command"] = json!(["/sleep", "24h"]);
        let spec = json!({"containers": [container]});
        lab.pod_of("back", KEEPS, spec).await.unwrap();
        let archive = lab.path("web.tar");
        let sink = format!("oci-archive:{}", archive.display());
        lab.pull(&["--node", KEEPS, "--image", &back, "--flat", "--to", &sink])
            .await;
        let (_, files) = read(lab, &archive, "back").unwrap();
        assert!(files.join("app/open").exists(), "the files of what ran");
    })
    .await;
}

#[tokio::test]
async fn flags_that_say_something_else_are_refused() {
    with_lab("pull-flat-flags", async |lab| {
        for other in ["--require-identical", "--all-containers"] {
            let output = lab.run(&["web", "--flat", other]).await;
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        }
    })
    .await;
}
