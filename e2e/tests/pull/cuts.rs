//! What is cut or killed goes on.

use std::process::{Child, Output};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kip_e2e::image::{Entry, Image};
use kip_e2e::lab::space::is_ready;
use kip_e2e::lab::{Proxy, eventually};
use kube::api::{Api, DeleteParams, ListParams};

use crate::setup::{KEEPS, LABEL, Lab, image, manifest, noise, said, unpack, with_lab};

/// In bytes.
const SIZE: usize = 96 << 20;
/// What is noted at once, in bytes.
const PIECE: usize = 8 << 20;

async fn large(lab: &Lab<'_>) -> Image {
    let unique = lab.space.cluster.unique();
    let image = image(
        &lab.space.cluster,
        &[vec![Entry::file("large", noise(&unique, SIZE))]],
    );
    let name = lab.push("app:1", &image);
    lab.pod("web", KEEPS, &name).await.expect("a pod");
    image
}

/// How many pieces are noted in the cache: each is there as a byte.
fn noted(lab: &Lab<'_>) -> usize {
    let Ok(files) = std::fs::read_dir(lab.path("cache").join("partial")) else {
        return 0;
    };
    let paths = files.filter_map(|it| Some(it.ok()?.path()));
    let notes = paths.filter(|it| {
        it.extension()
            .is_some_and(|it| it == PIECE.to_string().as_str())
    });
    let bytes = notes.filter_map(|it| std::fs::read(it).ok());
    bytes.flatten().filter(|byte| *byte == 1).count()
}

/// Waits until some more has come, and not all.
async fn until_some_has_come(lab: &Lab<'_>, before: usize, child: &mut Child) {
    while noted(lab) < before + 2 {
        let ended = child.try_wait().expect("its state");
        assert!(ended.is_none(), "it was not to be done yet");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How much comes in a second, in bytes: slow enough to be met in the middle.
const RATE: u64 = 6 << 20;

fn begin(lab: &Lab<'_>, way: &Proxy, more: &[&str]) -> Child {
    let sink = format!("oci-archive:{}", lab.path("web.tar").display());
    let mut arguments = vec![
        "web",
        "--to",
        &sink,
        "-o",
        "json",
        "--kubeconfig",
        way.kubeconfig(),
    ];
    arguments.extend(more);
    let mut command = lab.command(&arguments);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command.spawn().expect("make pull-build makes it")
}

async fn ended(child: Child) -> Output {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    output.await.expect("it ends").expect("its output")
}

fn is_right(lab: &Lab<'_>, image: &Image, output: &Output) {
    assert!(output.status.success(), "{}", said(output));
    unpack(&lab.path("web.tar"), &lab.path("web")).expect("a tar");
    let (digest, _) = manifest(&lab.path("web")).expect("a layout");
    assert_eq!(digest, image.digest().as_str());
}

#[tokio::test]
async fn killed_it_goes_on_where_it_was_and_the_image_is_right() {
    with_lab("pull-killed", async |lab| {
        let image = large(lab).await;
        let way = Proxy::start_slow(RATE).await.unwrap();
        for _ in 0..2 {
            let before = noted(lab);
            let mut child = begin(lab, &way, &["--helper-timeout", "10s"]);
            until_some_has_come(lab, before, &mut child).await;
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!lab.path("web.tar").exists(), "nothing is half done");
        }
        let output = ended(begin(lab, &way, &[])).await;
        is_right(lab, &image, &output);
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let fetched = done["fetched"]["bytes"].as_u64().unwrap();
        println!(
            "figure: after two kills {fetched} of {} bytes were left to fetch",
            image.size()
        );
        assert!(fetched < (SIZE - 2 * PIECE) as u64, "{done}");
        // The pods of those that were killed end by themselves.
        lab.nothing_is_left().await;
    })
    .await;
}

#[tokio::test]
async fn connections_that_are_cut_are_made_anew() {
    with_lab("pull-cut", async |lab| {
        let image = large(lab).await;
        let way = Proxy::start_slow(RATE).await.unwrap();
        let mut child = begin(lab, &way, &[]);
        let mut before = 0;
        for _ in 0..3 {
            until_some_has_come(lab, before, &mut child).await;
            before = noted(lab);
            way.cut();
        }
        let output = ended(child).await;
        is_right(lab, &image, &output);
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(done["fetched"]["cuts"].as_u64().unwrap() >= 3, "{done}");
        lab.nothing_is_left().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_while_the_node_looks_is_made_anew() {
    with_lab("pull-cut-looking", async |lab| {
        // No builder writes them in this order: the search for one lasts.
        let unique = lab.space.cluster.unique();
        let order = ["m", "z", "a", "q"].map(|name| Entry::file(name, noise(&unique, 8 << 20)));
        let image = image(&lab.space.cluster, &[order.to_vec()]);
        let name = lab.push("app:1", &image);
        lab.pod_without_layers("web", (&name, &image))
            .await
            .unwrap();
        let way = Proxy::start().await.unwrap();
        let child = begin(lab, &way, &["-v", "1"]);
        let pods: Api<Pod> = lab.space.api();
        let params = ListParams::default().labels(LABEL);
        eventually("the helper pod runs", async || {
            let found = pods.list(&params).await?;
            let is_ready = found.items.iter().any(is_ready);
            anyhow::ensure!(is_ready, "not yet");
            anyhow::Ok(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        way.cut();
        let output = ended(child).await;
        let words = said(&output);
        assert!(output.status.success(), "{words}");
        assert!(words.contains("was cut: again"), "{words}");
        lab.nothing_is_left().await;
    })
    .await;
}

#[tokio::test]
async fn a_helper_pod_that_is_killed_is_said_and_the_next_run_goes_on() {
    with_lab("pull-helper", async |lab| {
        let image = large(lab).await;
        let way = Proxy::start_slow(RATE).await.unwrap();
        let mut child = begin(lab, &way, &[]);
        until_some_has_come(lab, 0, &mut child).await;
        let pods: Api<Pod> = lab.space.api();
        let params = ListParams::default().labels(LABEL);
        let at_once = DeleteParams::default().grace_period(0);
        let killed = pods.delete_collection(&at_once, &params).await;
        killed.unwrap();
        let output = ended(child).await;
        let words = said(&output);
        assert!(
            !output.status.success() && words.contains("helper pod"),
            "{words}"
        );
        lab.nothing_is_left().await;
        let output = ended(begin(lab, &way, &[])).await;
        is_right(lab, &image, &output);
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            done["fetched"]["bytes"].as_u64().unwrap() < SIZE as u64,
            "{done}"
        );
    })
    .await;
}

#[tokio::test]
async fn ctrl_c_leaves_nothing_in_the_cluster() {
    with_lab("pull-ctrl-c", async |lab| {
        large(lab).await;
        let way = Proxy::start_slow(RATE).await.unwrap();
        let mut child = begin(lab, &way, &[]);
        until_some_has_come(lab, 0, &mut child).await;
        let id = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-INT", &id])
            .status();
        assert!(sent.unwrap().success());
        let output = ended(child).await;
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        // It has said so to the cluster before it ended.
        lab.nothing_is_left().await;
    })
    .await;
}
