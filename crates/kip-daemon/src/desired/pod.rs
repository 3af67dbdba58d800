//! The pod template.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, LocalObjectReference, PodSpec, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::names::{CONTENT_HASH, VOLUME};
use super::{Surroundings, containers, hash, security};
use crate::config::Group;

/// Room for the sleep program, with plenty to spare; the original's value.
const VOLUME_SIZE: &str = "50Mi";

pub(super) fn template(
    group: &Group,
    surroundings: &Surroundings,
    labels: BTreeMap<String, String>,
) -> PodTemplateSpec {
    let content_hash = hash::content_hash(group, surroundings.flavour);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(BTreeMap::from([(CONTENT_HASH.to_owned(), content_hash)])),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(group, surroundings)),
    }
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
            .map(|image| containers::sleeper(image, resources))
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
        termination_grace_period_seconds: Some(1),
        node_selector: Some(node_selector),
        affinity: group.scheduling.affinity.clone(),
        tolerations: Some(group.scheduling.tolerations.clone()).filter(|list| !list.is_empty()),
        image_pull_secrets: Some(secrets).filter(|list| !list.is_empty()),
        ..PodSpec::default()
    }
}
