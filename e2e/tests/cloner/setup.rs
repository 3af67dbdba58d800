//! What several tests begin with.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::NamespaceResourceScope;
use kip_e2e::image::{Entry, Image, Layer};
pub(crate) use kip_e2e::lab::sleeper::container;
use kip_e2e::lab::{Cluster, Private, Space, sleeper};
use kube::api::PostParams;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A small image that sleeps, and that no other one is like.
pub(crate) fn image(cluster: &Cluster) -> Image {
    let unique = Entry::file("unique", cluster.unique().into_bytes());
    let layers = [sleeper::program(), unique].map(|it| Layer::new(&[it]).expect("a layer"));
    sleeper::image(layers.into())
}

/// Pushes a new image into the registry. Gives its reference.
pub(crate) fn push(cluster: &Cluster, registry: &Private, name: &str) -> String {
    let (repository, tag) = name.rsplit_once(':').expect("it has a tag");
    registry
        .client()
        .push(repository, tag, &image(cluster))
        .expect("the registry takes the image");
    format!("{}/{name}", registry.address)
}

/// A pod's spec with one container.
pub(crate) fn pod_spec(image: &str) -> Value {
    json!({
        "containers": [container("main", image)],
        "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false, "enableServiceLinks": false,
    })
}

/// A Deployment of one container.
pub(crate) fn deployment(name: &str, image: &str, replicas: u32) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec(image)},
        },
    })
}

/// Creates an object. Gives it as the API server has it.
pub(crate) async fn create<K>(space: &Space, object: Value) -> Result<Value>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let object: K = serde_json::from_value(object)?;
    let created = space.api().create(&PostParams::default(), &object).await;
    let created = created.with_context(|| format!("create {}", object.name_any()))?;
    Ok(serde_json::to_value(&created)?)
}

/// The texts at these JSON pointers.
pub(crate) fn texts(object: &Value, pointers: &[&str]) -> Vec<String> {
    let text = |pointer: &&str| object.pointer(pointer).and_then(Value::as_str);
    pointers
        .iter()
        .map(|pointer| text(pointer).unwrap_or_default().to_owned())
        .collect()
}

/// Whether each is the copy at its place, with a digest.
pub(crate) fn are_copies(found: &[String], places: &[String]) -> Result<()> {
    let is_copy =
        |(found, place): (&String, &String)| found.starts_with(&format!("{place}@sha256:"));
    let all = found.len() == places.len() && found.iter().zip(places).all(is_copy);
    ensure!(all, "{found:#?} are not the copies {places:#?}");
    Ok(())
}
