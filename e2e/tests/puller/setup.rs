//! What several tests begin with.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kip_e2e::image::{Config, Entry, Image, Index, Layer, architecture};
use kip_e2e::lab::cluster::repository;
use kip_e2e::lab::sleeper::noise;
use kip_e2e::lab::space::container_status;
use kip_e2e::lab::{Cluster, Daemon, Release, Space, eventually};
use kip_e2e::samples::{self, Edition};
use kube::ResourceExt as _;
use serde_json::{Value, json};

/// Name and reference of an entry of the list.
pub(crate) type Entries = Vec<(String, String)>;

/// Small images that no node has, with a program of their own that sleeps.
pub(crate) fn push_images(cluster: &Cluster, count: usize, kibibytes: usize) -> Entries {
    let push = |number| {
        let reference = format!("{}/test/{}:1", cluster.registry, cluster.unique());
        push_anew(cluster, &reference, kibibytes);
        (format!("image-{number}"), reference)
    };
    (0..count).map(push).collect()
}

/// Pushes a small image that no node has under this reference, whatever was there before.
pub(crate) fn push_anew(cluster: &Cluster, reference: &str, kibibytes: usize) {
    let image = small_image(cluster, architecture(), kibibytes);
    let (repository, tag) = repository_and_tag(reference);
    cluster
        .registry_client()
        .push(repository, tag, &image)
        .expect("the registry takes the image");
}

/// Pushes an index of small images that no node has, one for each of these processors.
pub(crate) fn push_index(cluster: &Cluster, reference: &str, architectures: &[&'static str]) {
    let images = architectures.iter();
    let images = images.map(|architecture| small_image(cluster, architecture, 4));
    let index = Index::new(images.collect()).expect("an index can be made");
    let (repository, tag) = repository_and_tag(reference);
    cluster
        .registry_client()
        .push_index(repository, tag, &index)
        .expect("the registry takes the index");
}

fn small_image(cluster: &Cluster, architecture: &'static str, kibibytes: usize) -> Image {
    let program =
        std::fs::read(repository().join("bin/kip-sleep")).expect("make build makes bin/kip-sleep");
    let layers = [
        vec![Entry::file("sleep", program).with_mode(0o555)],
        vec![Entry::file(
            "filler",
            noise(&cluster.unique(), kibibytes * 1024),
        )],
    ];
    let layers = layers
        .iter()
        .map(|entries| Layer::new(entries).expect("a layer can be made"))
        .collect();
    let config = Config {
        entrypoint: vec!["/sleep".to_owned(), "24h".to_owned()],
        ..Config::default()
    };
    Image::of(architecture, layers, &config).expect("an image can be made")
}

/// Those of a reference that names its registry.
pub(crate) fn repository_and_tag(reference: &str) -> (&str, &str) {
    let (_, name) = reference.split_once('/').expect("it names the registry");
    name.rsplit_once(':').expect("it has a tag")
}

/// Pushes one small image under all of these references.
pub(crate) fn push_tags(cluster: &Cluster, references: &[String]) {
    let layer = Layer::new(&[Entry::file("file", noise(&cluster.unique(), 1024))]);
    let layer = layer.expect("a layer can be made");
    let image = Image::new(vec![layer], &Config::default()).expect("an image can be made");
    let registry = cluster.registry_client();
    for reference in references {
        let (repository, tag) = repository_and_tag(reference);
        registry
            .push(repository, tag, &image)
            .expect("the registry takes the image");
    }
}

/// Takes the image of this reference out of the registry.
pub(crate) fn remove(cluster: &Cluster, reference: &str) {
    let (repository, tag) = repository_and_tag(reference);
    let registry = cluster.registry_client();
    let digest = registry
        .resolve(repository, tag)
        .expect("the registry answers");
    registry
        .delete(repository, &digest.expect("the tag is there"))
        .expect("the registry deletes");
}

/// The process of a component of the local cluster.
pub(crate) fn component_pid(component: &str) -> String {
    let folder = std::env::var("KIP_CLUSTER_DIR").expect("hack/run-e2e.sh sets KIP_CLUSTER_DIR");
    let file = std::path::Path::new(&folder).join("pids").join(component);
    let line = std::fs::read_to_string(file).expect("the component runs");
    line.split_whitespace()
        .next()
        .expect("a process id")
        .to_owned()
}

/// Every sample image, in an edition that no node has.
pub(crate) fn push_samples(cluster: &Cluster) -> Entries {
    let unique = cluster.unique();
    let edition = Edition {
        prefix: &format!("samples-{unique}"),
        tag: "1",
        salt: &unique,
    };
    let pushed = samples::push_all(&cluster.registry_client(), edition)
        .expect("the registry takes the samples");
    pushed
        .iter()
        .map(|image| (image.name.to_owned(), image.reference()))
        .collect()
}

/// The list as the setting `IMAGES` has it.
pub(crate) fn list(entries: &Entries) -> String {
    entries
        .iter()
        .map(|(name, image)| format!("{name}={image}"))
        .collect::<Vec<_>>()
        .join(";")
}

/// The chart's values for this list. The registries of the tests, which the list names, speak no TLS.
pub(crate) fn values(entries: &Entries) -> Value {
    let registries: BTreeSet<&str> = entries
        .iter()
        .filter_map(|(_, image)| Some(image.split_once('/')?.0))
        .collect();
    json!({ "configMap.images": list(entries), "configMap.plainHttpRegistries": registries })
}

/// Installs the chart with this list, and waits until all is held.
pub(crate) async fn installed(space: &Space, entries: &Entries) -> Release {
    let release = Release::install(&space.name, &values(entries))
        .await
        .expect("helm install");
    space.all_held(entries).await;
    release
}

/// Waits until what the list costs is on the DaemonSet: from then on a daemon that starts asks no registry for it.
pub(crate) async fn sum_is_written(space: &Space) {
    eventually("the sum is on the DaemonSet", async || {
        let daemonset = space.daemonset().await?;
        let sum = daemonset.annotations().get("kubernetes-image-puller/sum");
        anyhow::ensure!(sum.is_some(), "{:?}", daemonset.annotations());
        Ok(())
    })
    .await;
}

/// A daemon on this machine, with a list of its own and pods that run nowhere: for what needs no node.
pub(crate) fn lone_daemon(space: &Space, more: &[(&str, &str)]) -> Daemon {
    let mut settings = vec![
        ("IMAGES", "a=registry.invalid/a:1;b=registry.invalid/b:1"),
        ("NAMESPACE", space.name.as_str()),
        ("NODE_SELECTOR", r#"{"no": "node"}"#),
    ];
    settings.extend(more);
    Daemon::start(&settings).expect("the daemon starts")
}

/// Id and host process id of a pod's container on its node; an empty name means the pod's sandbox.
pub(crate) async fn task(
    space: &Space,
    pod: &Pod,
    container: &str,
) -> Result<(String, String, String)> {
    let node = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_name.clone())
        .context("no node")?;
    let id = if container.is_empty() {
        let filter = format!(
            "labels.\"io.kubernetes.pod.uid\"=={},labels.\"io.cri-containerd.kind\"==sandbox",
            pod.uid().unwrap_or_default()
        );
        let ids = space
            .cluster
            .ctr(&node, &["containers", "ls", "-q", &filter])
            .await?;
        ids.trim().to_owned()
    } else {
        let status = container_status(pod, container)?;
        let id = status.container_id.as_deref().context("no container id")?;
        id.trim_start_matches("containerd://").to_owned()
    };
    let tasks = space.cluster.ctr(&node, &["tasks", "ls"]).await?;
    let line = tasks
        .lines()
        .find(|line| line.starts_with(&id) && !id.is_empty())
        .with_context(|| format!("no task {id:?} in\n{tasks}"))?;
    let pid = line
        .split_whitespace()
        .nth(1)
        .context("no process id")?
        .to_owned();
    Ok((node, id, pid))
}

/// Sends a signal to a process of this machine.
pub(crate) fn signal(pid: &str, signal: &str) {
    let status = std::process::Command::new("kill")
        .args(["-s", signal, pid])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "kill -s {signal} {pid}"
    );
}

/// Stops a component of the cluster for as long as the body runs; starts it again also when the body panics.
pub(crate) async fn without(cluster: &Cluster, component: &str, body: impl AsyncFnOnce()) {
    use futures::FutureExt as _;
    cluster
        .local(&["stop", component])
        .await
        .expect("the component can be stopped");
    let result = std::panic::AssertUnwindSafe(body()).catch_unwind().await;
    cluster
        .local(&["start", component])
        .await
        .expect("the component can be started");
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
