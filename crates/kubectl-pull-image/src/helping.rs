//! Work that needs a helper pod: it is started before, and removed afterwards whatever happens.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;

use crate::agent::agent;
use crate::cli::HelperOptions;
use crate::cluster::Cluster;
use crate::helper::{Helper, Reads, Running, Start, no_image};
use crate::interrupt::Interrupt;
use crate::target::{self, Target, TargetImage};

/// How many images of the node are tried for the helper pod, beside those of the target.
const OTHERS: usize = 3;

/// Does the work with a helper pod on the target's node.
///
/// # Errors
/// When there is no helper pod; the work's; when it is interrupted.
pub async fn with_helper<T>(
    cluster: &Cluster,
    target: &Target,
    options: &HelperOptions,
    interrupt: &Interrupt,
    work: impl AsyncFnOnce(&Arc<Running>) -> Result<T>,
) -> Result<T> {
    let node = interrupt.or(target::node(cluster, &target.node)).await?;
    let architecture = node.as_ref().and_then(architecture);
    let agent = agent(architecture.unwrap_or("amd64"))?;
    let known = architecture.unwrap_or("not known, so amd64");
    let text = format!("node {}, architecture {known}", target.node);
    cluster.voice.detail(1, &text);
    let began = Instant::now();
    let start = Start {
        cluster,
        helper: &helper(target, options),
        agent: &agent,
        timeout: options.helper_timeout,
        interrupt,
    };
    let images = images(target, options, node.as_ref());
    let running = Arc::new(start.with_any(&images).await?);
    let text = format!(
        "the helper pod runs after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    cluster.voice.detail(1, &text);
    let done = interrupt.or(work(&running)).await;
    if let Err(error) = running.end().await {
        cluster.voice.warn(&format!("{error:#}"));
    }
    done
}

/// As [`helper`], with the image that is likeliest on the node.
///
/// # Errors
/// When there is no such node, or no image of it is known.
pub async fn helper_on_node(
    cluster: &Cluster,
    target: &Target,
    options: &HelperOptions,
) -> Result<Helper> {
    let node = target::node(cluster, &target.node).await?;
    let images = images(target, options, node.as_ref());
    let image = images.into_iter().next().ok_or_else(|| no_image(""))?;
    Ok(Helper {
        image,
        ..helper(target, options)
    })
}

/// What the helper pod is to be like, but for its name and its image.
pub fn helper(target: &Target, options: &HelperOptions) -> Helper {
    let namespace = options.helper_namespace.clone();
    // Secrets and accounts of another namespace are not there.
    let is_own = namespace.as_ref().is_none_or(|it| *it == target.namespace);
    let names: Vec<_> = target
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    Helper {
        name: Helper::new_name(),
        namespace: namespace.unwrap_or_else(|| target.namespace.clone()),
        node: target.node.clone(),
        image: String::new(),
        pull_secrets: if is_own {
            target.pull_secrets.clone()
        } else {
            Vec::new()
        },
        service_account: target.service_account.clone().filter(|_| is_own),
        reads: reads(options),
        patience: options.helper_timeout.as_secs(),
        deadline: options.deadline.as_secs(),
        purpose: if names.is_empty() {
            "to list images".to_owned()
        } else {
            names.join(", ")
        },
    }
}

/// The names of an image that is itself what is read: the kubelet's first, which has a digest, so that it is the one that runs.
fn exact_names(image: &TargetImage) -> Vec<String> {
    let own = image.other_name.iter().chain([&image.name]);
    own.cloned().collect()
}

fn reads(options: &HelperOptions) -> Reads {
    if options.flat {
        Reads::Image {
            as_root: true,
            skip_unreadable: options.skip_unreadable,
        }
    } else {
        Reads::Node {
            path: options.host_path.clone(),
        }
    }
}

/// Images that the node should have, the likeliest first: nothing of them is run.
fn images(target: &Target, options: &HelperOptions, node: Option<&Node>) -> Vec<String> {
    if let Some(image) = &options.helper_image {
        return vec![image.clone()];
    }
    if options.flat {
        return target.images.iter().flat_map(exact_names).collect();
    }
    let own = target
        .images
        .iter()
        .flat_map(|image| std::iter::once(&image.name).chain(&image.other_name));
    let is_name = |name: &&String| !name.starts_with("sha256:");
    let mut images: Vec<_> = own.filter(is_name).cloned().collect();
    let known = node
        .and_then(|node| node.status.as_ref()?.images.clone())
        .unwrap_or_default();
    let mut known: Vec<_> = known
        .into_iter()
        .map(|image| (image.size_bytes, image.names))
        .collect();
    // The smallest are those that every node needs, such as pause.
    known.sort();
    let names = known
        .into_iter()
        .filter_map(|(_, names)| names?.into_iter().next_back());
    images.extend(names.take(OTHERS));
    images
}

fn architecture(node: &Node) -> Option<&str> {
    let info = node.status.as_ref()?.node_info.as_ref()?;
    // A node that has never been heard of has an empty one.
    Some(info.architecture.as_str()).filter(|it| !it.is_empty())
}
