//! The containers: one sleeper for each image, and the init container that brings them their program.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, ResourceRequirements, VolumeMount};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::names::{
    COPY_SLEEP, MOUNT, SLEEP, SLEEP_DURATION, SLEEP_IN_IMAGE, SLEEPERS_APART, VOLUME,
};
use super::security;
use crate::config::images::Image;
use crate::config::quantity::Quantity;
use crate::config::resources::Resources;

/// `IfNotPresent` everywhere: a pod starts, restarts and comes back after a reboot without a registry.
const PULL_POLICY: &str = "IfNotPresent";

/// Copies the sleep program into the volume; no shell is involved.
pub(super) fn copy_sleep(image: &str, resources: &Resources) -> Container {
    Container {
        name: COPY_SLEEP.to_owned(),
        image: Some(image.to_owned()),
        command: Some(vec![
            SLEEP_IN_IMAGE.to_owned(),
            "install".to_owned(),
            SLEEP.to_owned(),
        ]),
        ..container(resources, false)
    }
}

/// Holds an image: a sleeping container of it keeps kubelet from collecting it. `place` is its place in the pod, from 0.
pub(super) fn sleeper(place: usize, image: &Image, resources: &Resources) -> Container {
    let mut command = vec![SLEEP.to_owned(), SLEEP_DURATION.to_owned()];
    if place > 0 {
        command.push(format!("{}ms", place * SLEEPERS_APART));
    }
    Container {
        name: image.name.clone(),
        image: Some(image.image.clone()),
        command: Some(command),
        // NVIDIA's runtime hook starts a program for every image that asks for GPUs, and it does not fit
        // into a sleeper's memory.
        env: Some(vec![EnvVar {
            name: "NVIDIA_VISIBLE_DEVICES".to_owned(),
            value: Some("void".to_owned()),
            value_from: None,
        }]),
        ..container(resources, true)
    }
}

fn container(resources: &Resources, read_only_mount: bool) -> Container {
    Container {
        image_pull_policy: Some(PULL_POLICY.to_owned()),
        // The image's own working directory may be closed to the user that we run as.
        working_dir: Some(MOUNT.to_owned()),
        resources: requirements(resources),
        security_context: Some(security::container()),
        volume_mounts: Some(vec![VolumeMount {
            name: VOLUME.to_owned(),
            mount_path: MOUNT.to_owned(),
            read_only: read_only_mount.then_some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

fn requirements(resources: &Resources) -> Option<ResourceRequirements> {
    let map = |cpu: &Option<Quantity>, memory: &Option<Quantity>| {
        let pairs = [("cpu", cpu), ("memory", memory)];
        let map: BTreeMap<String, ApiQuantity> = pairs
            .into_iter()
            .filter_map(|(name, quantity)| {
                let quantity = quantity.as_ref()?;
                Some((name.to_owned(), ApiQuantity(quantity.as_str().to_owned())))
            })
            .collect();
        (!map.is_empty()).then_some(map)
    };
    let requests = map(&resources.cpu_request, &resources.memory_request);
    let limits = map(&resources.cpu_limit, &resources.memory_limit);
    (requests.is_some() || limits.is_some()).then_some(ResourceRequirements {
        requests,
        limits,
        claims: None,
    })
}
