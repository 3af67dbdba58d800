//! What all tests begin with.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kip_e2e::image::{Entry, Image, Layer};
use kip_e2e::lab::cluster::repository;
pub(crate) use kip_e2e::lab::sleeper::{container, noise};
use kip_e2e::lab::space::within;
use kip_e2e::lab::{Cluster, Space, eventually, sleeper};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What all objects of the plugin are labelled with.
pub(crate) const LABEL: &str = "app.kubernetes.io/name=kubectl-pull-image";

/// This node keeps the layers of its images.
pub(crate) const KEEPS: &str = "node-1";
/// This one throws them away once they are unpacked, as those of EKS, GKE and kind do.
pub(crate) const THROWS: &str = "node-2";

/// A namespace and a user with an empty cache.
pub(crate) struct Lab<'a> {
    pub(crate) space: &'a Space,
    /// For files; the cache is in it.
    pub(crate) folder: TempDir,
}

/// Runs a test in a namespace that admits the helper pod.
pub(crate) async fn with_lab(test: &str, body: impl AsyncFnOnce(&Lab<'_>)) {
    within(test, async |space| {
        let lab = Lab {
            space,
            folder: tempfile::tempdir().expect("a folder"),
        };
        lab.enforce("privileged").await.expect("a label");
        body(&lab).await;
    })
    .await;
}

impl Lab<'_> {
    /// The Pod Security level of the namespace.
    pub(crate) async fn enforce(&self, level: &str) -> Result<()> {
        let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
        let namespaces: Api<Namespace> = Api::all(self.space.cluster.client.clone());
        let params = PatchParams::default();
        namespaces
            .patch(&self.space.name, &params, &Patch::Merge(label))
            .await?;
        Ok(())
    }

    /// A path in the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The plugin, to be run in the test's namespace.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(repository().join("bin/kubectl-pull_image"));
        // A command has no cache and no sink.
        let is_command = |it: &S| ["list", "prune"].map(OsStr::new).contains(&it.as_ref());
        if arguments.first().is_some_and(is_command) {
            command.args(["--namespace", &self.space.name]);
            command.args(arguments);
            return command;
        }
        command
            .args(["--namespace", &self.space.name])
            .args(["--cache-dir"])
            .arg(self.path("cache"))
            .args(["--plain-http", &self.space.cluster.registry])
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) async fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        output
            .await
            .expect("it ends")
            .expect("make pull-build makes it")
    }

    /// Runs it, sees that it has done it, and gives what was done.
    pub(crate) async fn pull<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Value {
        let all = arguments.iter().map(AsRef::as_ref);
        let all: Vec<&OsStr> = all.chain(["-o", "json"].map(OsStr::new)).collect();
        let output = self.run(&all).await;
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Pushes an image into the registry. Gives its reference.
    pub(crate) fn push(&self, name: &str, image: &Image) -> String {
        let (repository, tag) = name.rsplit_once(':').expect("it has a tag");
        let repository = format!("{}/{repository}", self.space.name);
        let registry = self.space.cluster.registry_client();
        registry.push(&repository, tag, image).expect("it is taken");
        format!("{}/{repository}:{tag}", self.space.cluster.registry)
    }

    /// A pod on this node whose container runs the image, when it runs.
    pub(crate) async fn pod(&self, name: &str, node: &str, image: &str) -> Result<()> {
        let spec = json!({"containers": [container("main", image)]});
        self.pod_of(name, node, spec).await
    }

    /// A pod on the node that throws layers away, when it has thrown away those of the image.
    pub(crate) async fn pod_without_layers(&self, name: &str, image: (&str, &Image)) -> Result<()> {
        let (reference, image) = image;
        self.pod(name, THROWS, reference).await?;
        // containerd collects its garbage now and then.
        eventually("the layers are gone", async || {
            let there = self.space.cluster.ctr(THROWS, &["content", "ls", "-q"]);
            let there = there.await?;
            let left = image
                .layers
                .iter()
                .filter(|it| there.contains(it.digest.as_str()));
            ensure!(left.count() == 0, "some are there");
            anyhow::Ok(())
        })
        .await;
        Ok(())
    }

    /// A pod on this node, when all of it runs.
    pub(crate) async fn pod_of(&self, name: &str, node: &str, mut spec: Value) -> Result<()> {
        spec["nodeName"] = json!(node);
        spec["terminationGracePeriodSeconds"] = json!(0);
        spec["automountServiceAccountToken"] = json!(false);
        let pod = json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec});
        let pods: Api<Pod> = self.space.api();
        pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
            .await?;
        eventually("the pod runs", async || {
            let pod = pods.get(name).await?;
            ensure!(kip_e2e::lab::space::is_ready(&pod), "it is not ready");
            anyhow::Ok(())
        })
        .await;
        Ok(())
    }

    /// Waits until nothing of the plugin is left in the namespace.
    pub(crate) async fn nothing_is_left(&self) {
        eventually("nothing is left", async || {
            let left = self.left().await?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await;
    }

    /// What is left of the plugin in the namespace.
    pub(crate) async fn left(&self) -> Result<Vec<String>> {
        let params = ListParams::default().labels(LABEL);
        let mut left = Vec::new();
        macro_rules! add {
            ($kind:ident) => {
                let found = self.space.api::<$kind>().list(&params).await?;
                let names = found.items.into_iter().filter_map(|it| it.metadata.name);
                left.extend(names.map(|name| format!("{} {name}", stringify!($kind))));
            };
        }
        add!(Job);
        add!(Pod);
        add!(ConfigMap);
        Ok(left)
    }
}

/// An image that sleeps, with a layer of its program and these above it.
pub(crate) fn image(cluster: &Cluster, layers: &[Vec<Entry>]) -> Image {
    above(&base(cluster), layers)
}

/// A layer with a program that sleeps. No other image has it: a node throws no layer away that another image still needs.
pub(crate) fn base(cluster: &Cluster) -> Layer {
    let unique = Entry::file("unique-base", cluster.unique().into_bytes());
    let entries = [sleeper::program(), unique];
    Layer::new(&entries).expect("a layer")
}

/// An image that sleeps, of this layer and those above it.
pub(crate) fn above(base: &Layer, layers: &[Vec<Entry>]) -> Image {
    let layers = layers.iter().map(|it| Layer::new(it).expect("a layer"));
    sleeper::image(std::iter::once(base.clone()).chain(layers).collect())
}

/// An image that no other one is like.
pub(crate) fn small(cluster: &Cluster) -> Image {
    image(
        cluster,
        &[vec![Entry::file("unique", cluster.unique().into_bytes())]],
    )
}

/// All that it printed.
pub(crate) fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    format!("{}\n{out}\n{err}", output.status)
}

/// The files of an archive that the plugin wrote.
pub(crate) fn unpack(archive: &std::path::Path, folder: &std::path::Path) -> Result<()> {
    let file = std::fs::File::open(archive).context("the archive")?;
    Ok(tar::Archive::new(file).unpack(folder)?)
}

/// A blob of an image layout, whose content has its digest.
pub(crate) fn blob(layout: &std::path::Path, digest: &str) -> Result<Vec<u8>> {
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    let bytes = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
    let found = kip_e2e::image::Digest::of(&bytes);
    ensure!(found.as_str() == digest, "{digest} is {}", found.as_str());
    Ok(bytes)
}

/// The only manifest of a layout: its digest and itself. Every blob that it names is there and has its digest.
pub(crate) fn manifest(layout: &std::path::Path) -> Result<(String, Value)> {
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json"))?)?;
    let manifests = index["manifests"].as_array().context("manifests")?;
    ensure!(manifests.len() == 1, "{index}");
    let digest = manifests[0]["digest"].as_str().context("digest")?;
    let manifest: Value = serde_json::from_slice(&blob(layout, digest)?)?;
    let layers = manifest["layers"].as_array().context("layers")?;
    for part in layers.iter().chain([&manifest["config"]]) {
        blob(layout, part["digest"].as_str().context("digest")?)?;
    }
    Ok((digest.to_owned(), manifest))
}
