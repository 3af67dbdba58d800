//! When the pods go that the Go image puller has left: each stays until what it holds is held by a pod of ours.

use std::collections::HashSet;

use kip_image::Reference;

use super::node::{is_idle, is_settled};
use super::{Named, Next, Rollout, pod_name};
use crate::cluster::{ContainerFacts, ContainerState, Duty, PodFacts};
use crate::plan::PodName;

/// The images of the list in force.
struct Wanted<'a> {
    as_written: HashSet<&'a str>,
    /// The same image may have been written in another way, with or without `docker.io/library/`.
    in_full: HashSet<Reference>,
}

impl Wanted<'_> {
    fn has(&self, image: &str) -> bool {
        self.as_written.contains(image)
            || Reference::parse(image).is_ok_and(|image| self.in_full.contains(&image))
    }
}

impl Rollout<'_> {
    /// The pods that can go now. Counts the others.
    pub(super) fn done_leftovers(&self, next: &mut Next) -> Vec<PodName> {
        let mut gone = Vec::new();
        let mut wanted = None;
        for (name, pod) in self.facts.pods {
            if pod.duty != Duty::Leftover || pod.terminating {
                continue;
            }
            let wanted = wanted.get_or_insert_with(|| self.wanted());
            if self.is_replaced(pod, wanted, next) {
                gone.push(pod_name(Named { name, pod }));
            } else {
                next.leftovers += 1;
            }
        }
        gone
    }

    fn wanted(&self) -> Wanted<'_> {
        let groups = self.facts.config.groups.iter();
        let images = groups.flat_map(|group| group.images.iter().map(|image| image.image.as_str()));
        Wanted {
            as_written: images.clone().collect(),
            in_full: images
                .filter_map(|image| Reference::parse(image).ok())
                .collect(),
        }
    }

    fn is_replaced(&self, leftover: &PodFacts, wanted: &Wanted<'_>, next: &mut Next) -> bool {
        if leftover.ended || is_idle(leftover) {
            // It holds nothing.
            return true;
        }
        let node = self.nodes.get(leftover.node.as_str());
        match node.and_then(|node| node.holder) {
            Some(holder) => is_settled(holder.pod) && holds(holder.pod, leftover, wanted),
            None => self.is_unwanted(leftover, next),
        }
    }
}

/// Whether the pod runs everything that the other one runs, as far as it is in the list.
fn holds(holder: &PodFacts, leftover: &PodFacts, wanted: &Wanted<'_>) -> bool {
    running(leftover).all(|image| !wanted.has(image) || runs(holder, image))
}

/// Whether the pod runs the image. Nearly always it is written in the same way.
fn runs(pod: &PodFacts, image: &str) -> bool {
    running(pod).any(|other| other == image)
        || Reference::parse(image).is_ok_and(|image| {
            running(pod).any(|other| Reference::parse(other).is_ok_and(|other| other == image))
        })
}

fn running(pod: &PodFacts) -> impl Iterator<Item = &str> {
    let is_running = |container: &&ContainerFacts| container.state == ContainerState::Running;
    let containers = pod.containers.iter().filter(is_running);
    containers.map(|container| &*container.image)
}

#[cfg(test)]
mod tests;
