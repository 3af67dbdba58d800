//! What a pod holds, as a short text: a pod whose annotation differs is outdated.

use std::fmt::Write as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Flavour;
use crate::config::Group;
use crate::config::pod::Additions;
use crate::config::quantity::Quantity;

/// Hash of everything that makes a pod's content: sorted pairs of name and reference, resources, pull secrets,
/// security and additions. Not the order of the list, the sleep image, selector, affinity and tolerations: those take
/// effect as pods are made, and make none outdated.
pub fn content_hash(group: &Group, flavour: Flavour) -> String {
    let mut images: Vec<(&str, &str)> = group
        .images
        .iter()
        .map(|image| (image.name.as_str(), image.image.as_str()))
        .collect();
    images.sort_unstable();
    let text = |quantity: &Option<Quantity>| quantity.as_ref().map(|q| q.nano().to_string());
    let mut secrets = group.pull_secrets.clone();
    secrets.sort_unstable();
    let mut content = json!({
        "images": images,
        "resources": [
            text(&group.resources.memory_request),
            text(&group.resources.memory_limit),
            text(&group.resources.cpu_request),
            text(&group.resources.cpu_limit),
        ],
        "pullSecrets": secrets,
        "openshift": flavour == Flavour::OpenShift,
    });
    let additions = &group.additions;
    // Without any, the hash is the one of the versions that did not know them: an upgrade replaces no pod.
    if *additions != Additions::default() {
        content["additions"] = json!([
            additions.labels,
            additions.annotations,
            additions.priority_class,
            additions.runtime_class,
            additions.overlay.document(),
        ]);
    }
    let hash = Sha256::digest(content.to_string().as_bytes());
    hash[..8].iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
