//! What is to be pulled: which images, on which node.

mod containers;
mod pods;
pub(crate) mod types;

use anyhow::Result;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, ResourceExt as _};

pub use containers::digest_of_id;

use crate::cli::Pull;
use crate::cluster::Cluster;
use crate::digest;
use crate::failure::{Status, failure, usage};
use crate::rights::explain;
use kip_agent::protocol::Wanted;

/// A node, and images that are on it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The node's name.
    pub node: String,
    /// Where what uses the images is: the namespace whose pull secrets fit.
    pub namespace: String,
    /// The names of the pod's pull secrets.
    pub pull_secrets: Vec<String>,
    /// The pod's ServiceAccount.
    pub service_account: Option<String>,
    /// The images, no two the same.
    pub images: Vec<TargetImage>,
}

/// An image that is to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetImage {
    /// The containers that run it.
    pub containers: Vec<String>,
    /// As the pod or the command line names it.
    pub name: String,
    /// As the kubelet names it: its tag may have moved.
    pub other_name: Option<String>,
    /// As the node knows it.
    pub wanted: Wanted,
    /// What the pod has instead of the image's entrypoint.
    pub command: Vec<String>,
    /// What the pod has instead of the image's arguments.
    pub args: Vec<String>,
    /// As whom it runs, `USER:GROUP` in numbers, where the kubelet says it.
    pub user: Option<String>,
}

impl Target {
    /// A node and no image of it.
    pub fn of_node(node: &str, namespace: &str) -> Self {
        Self {
            node: node.to_owned(),
            namespace: namespace.to_owned(),
            pull_secrets: Vec::new(),
            service_account: None,
            images: Vec::new(),
        }
    }
}

/// Finds out what is meant.
///
/// # Errors
/// When it is not there, or more than one thing may be meant.
pub async fn target(cluster: &Cluster, options: &Pull) -> Result<Target> {
    if let (Some(node), Some(image)) = (&options.node, &options.image) {
        return Ok(Target {
            images: vec![named(image)?],
            ..Target::of_node(node, &cluster.namespace)
        });
    }
    let pod = options.pod.as_deref().unwrap_or_default();
    let pod = pods::pod(cluster, pod).await?;
    of_pod(&pod, options.container.as_deref(), options.all_containers)
}

/// The images of a pod's containers: of one, or of all.
fn of_pod(pod: &Pod, container: Option<&str>, all: bool) -> Result<Target> {
    let name = pod.name_any();
    let spec = pod.spec.as_ref();
    let node = spec.and_then(|spec| spec.node_name.clone());
    let node = node.ok_or_else(|| {
        let text = format!("pod {name} has no node yet, and so no image");
        failure(Status::NotFound, text)
    })?;
    let secrets = spec.and_then(|spec| spec.image_pull_secrets.as_ref());
    let secrets = secrets.into_iter().flatten();
    Ok(Target {
        node,
        namespace: pod.namespace().unwrap_or_default(),
        pull_secrets: secrets.map(|secret| secret.name.clone()).collect(),
        service_account: spec.and_then(|spec| spec.service_account_name.clone()),
        images: containers::images(pod, container, all)?,
    })
}

/// An image of the command line: a digest, or a name with a tag or a digest.
fn named(image: &str) -> Result<TargetImage> {
    let wrong = |error: &dyn std::fmt::Display| usage(format!("--image '{image}': {error}"));
    let wanted = if image.starts_with("sha256:") {
        let digest = digest::parse(image).map_err(|error| wrong(&error))?;
        Wanted {
            digest: Some(digest.to_string()),
            name: None,
        }
    } else {
        let name = kip_image::Reference::parse(image).map_err(|error| wrong(&error))?;
        let name = name.with_default_tag();
        Wanted {
            digest: name.digest().map(ToString::to_string),
            name: Some(name.to_string()),
        }
    };
    Ok(TargetImage {
        containers: Vec::new(),
        name: image.to_owned(),
        other_name: None,
        wanted,
        command: Vec::new(),
        args: Vec::new(),
        user: None,
    })
}

/// The node, if it may be read: whoever may run pods in a namespace may not always read nodes.
///
/// # Errors
/// When there is none.
pub async fn node(cluster: &Cluster, node: &str) -> Result<Option<Node>> {
    let found = Api::<Node>::all(cluster.client.clone()).get(node).await;
    match found {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Err(failure(
            Status::NotFound,
            format!("there is no node {node}"),
        )),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(explain(error, "get", "nodes", "(none)")),
    }
}
