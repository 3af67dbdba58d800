//! The pod template.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, LocalObjectReference, PodSpec, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::names::{CONTENT_HASH, SLEEPERS_APART, VOLUME};
use super::{Surroundings, containers, hash, overlay, placement, security};
use crate::config::Group;

/// Room for the sleep program, with plenty to spare; the original's value.
const VOLUME_SIZE: &str = "50Mi";

pub(super) fn template(
    group: &Group,
    surroundings: &Surroundings,
    own_labels: BTreeMap<String, String>,
) -> PodTemplateSpec {
    let additions = &group.additions;
    let mut labels = additions.labels.clone();
    labels.extend(own_labels);
    let mut annotations = additions.annotations.clone();
    let content_hash = hash::content_hash(group, surroundings.flavour);
    annotations.insert(CONTENT_HASH.to_owned(), content_hash);
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(group, surroundings)),
    };
    let mut template = overlay::applied(&additions.overlay, template);
    if let Some(spec) = &mut template.spec {
        // The overlay may have something for an image that is left out here.
        let is_of_list = |name: &str| group.images.iter().any(|image| image.name == name);
        spec.containers
            .retain(|container| is_of_list(&container.name));
        placement::place(&surroundings.placement, spec);
    }
    template
}

fn spec(group: &Group, surroundings: &Surroundings) -> PodSpec {
    let resources = &group.resources;
    let mut node_selector = BTreeMap::from([("kubernetes.io/os".to_owned(), "linux".to_owned())]);
    node_selector.extend(group.scheduling.node_selector.clone());
    let of_the_list = group.pull_secrets.iter();
    let of_the_sleep_image = surroundings
        .sleep_pull_secrets
        .iter()
        .filter(|name| !group.pull_secrets.contains(name));
    let secrets: Vec<LocalObjectReference> = of_the_list
        .chain(of_the_sleep_image)
        .map(|name| LocalObjectReference { name: name.clone() })
        .collect();
    PodSpec {
        init_containers: Some(vec![containers::copy_sleep(
            &surroundings.sleep_image,
            resources,
        )]),
        containers: group
            .images
            .iter()
            .enumerate()
            .map(|(place, image)| containers::sleeper(place, image, resources))
            .collect(),
        volumes: Some(vec![Volume {
            name: VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity(VOLUME_SIZE.to_owned())),
                medium: None,
            }),
            ..Volume::default()
        }]),
        security_context: Some(security::pod(surroundings.flavour)),
        // A sleeper needs neither the API nor the addresses of the namespace's Services.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(grace(group.images.len())),
        priority_class_name: group.additions.priority_class.clone(),
        runtime_class_name: group.additions.runtime_class.clone(),
        node_selector: Some(node_selector),
        affinity: group.scheduling.affinity.clone(),
        tolerations: Some(group.scheduling.tolerations.clone()).filter(|list| !list.is_empty()),
        image_pull_secrets: Some(secrets).filter(|list| !list.is_empty()),
        ..PodSpec::default()
    }
}

/// Seconds after which kubelet kills: twice as long as the last sleeper takes (see [`SLEEPERS_APART`]), and one for the node.
fn grace(sleepers: usize) -> i64 {
    let milliseconds = 1_000 + 2 * sleepers * SLEEPERS_APART;
    i64::try_from(milliseconds / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::grace;

    #[test]
    fn kubelet_kills_no_sleeper_that_is_about_to_end() {
        assert_eq!([1, 9, 20, 100].map(grace), [1, 1, 3, 11]);
    }
}
