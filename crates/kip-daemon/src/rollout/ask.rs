//! Who asks for which tag. One node asks for each content that nodes hold; only where the tag turns out to stand for
//! another one now, all nodes that hold the old one ask as well.
//!
//! Nodes that have pulled at different times hold different contents, and so may nodes of different architectures:
//! each content finds its own node to ask, and nothing needs to be known of the nodes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::node::{Named, Node, is_failed, is_settled};
use super::round::{Answer, Round};
use crate::cluster::{Content, Duty};
use crate::config::images::Image;

/// The images of the list that have a tag: a digest always stands for the same.
pub(super) fn tagged(images: &[Image]) -> BTreeMap<&str, &str> {
    let has_tag = |image: &&Image| {
        kip_image::Reference::parse(&image.image)
            .is_ok_and(|reference| reference.digest().is_none())
    };
    images
        .iter()
        .filter(has_tag)
        .map(|image| (image.name.as_str(), image.image.as_str()))
        .collect()
}

/// The contents that the node's pod holds of the images with tags.
fn held<'a>(node: &Node<'a>, tagged: &BTreeMap<&str, &str>) -> Vec<(&'a str, Content)> {
    let Some(Named { pod, .. }) = node.holder else {
        return Vec::new();
    };
    pod.containers
        .iter()
        .filter(|container| {
            // A pod of the current list holds it under whatever name a policy has given to it.
            tagged
                .get(&*container.name)
                .is_some_and(|image| !node.is_outdated || *image == &*container.image)
        })
        .filter_map(|container| Some((&*container.name, container.content?)))
        .collect()
}

/// Notes what the fetchers of this round have found out.
pub(super) fn learn(
    round: &mut Round,
    nodes: &BTreeMap<&str, Node<'_>>,
    tagged: &BTreeMap<&str, &str>,
) {
    for node in nodes.values() {
        let (Some(holder), Some(fetcher)) = (node.holder, node.fetcher) else {
            continue;
        };
        // What the successor holds says nothing of what was held before.
        let is_old = holder.pod.created <= fetcher.pod.created;
        if !is_of(round, fetcher) || !is_settled(fetcher.pod) || !is_old {
            continue;
        }
        // A policy that takes the asking away leaves no answer; to try node after node would have no end.
        let is_mute = !fetcher.pod.containers.iter().any(|asked| asked.asks);
        for (name, content) in held(node, tagged) {
            let asked = fetcher.pod.container(name);
            let Some(asked) = asked.filter(|asked| asked.asks || is_mute) else {
                continue;
            };
            let answer = match asked.content {
                _ if is_mute || is_failed(fetcher.pod, asked) => Answer::Failed,
                None => Answer::Failed,
                Some(found) if found == content => Answer::Fresh,
                Some(found) => Answer::Stale(found),
            };
            let is_known = !round.is_unasked(name, content);
            if !is_known || matches!(answer, Answer::Stale(_)) {
                round.learn(name, content, answer);
            }
        }
    }
}

/// Whether the fetcher was made in this very round.
pub(super) fn is_of(round: &Round, fetcher: Named<'_>) -> bool {
    matches!(fetcher.pod.duty, Duty::Fetch { round: number, .. } if number == round.number)
}

/// What each node is to ask for in a refresh.
pub(super) struct Asks<'r, 'a> {
    round: &'r Round,
    tagged: &'r BTreeMap<&'r str, &'r str>,
    /// What some fetcher is asking for at the moment.
    asking: HashSet<(&'a str, Content)>,
    /// Whether no more answers can be kept: nobody asks for anything new then.
    is_full: bool,
}

impl<'r, 'a> Asks<'r, 'a> {
    /// Reads from the fetchers what is being asked for.
    pub(super) fn new(
        round: &'r Round,
        tagged: &'r BTreeMap<&'r str, &'r str>,
        nodes: &BTreeMap<&'a str, Node<'a>>,
    ) -> Self {
        let mut asking = HashSet::new();
        for (name, node) in nodes {
            let Some(fetcher) = node.fetcher.filter(|fetcher| is_of(round, *fetcher)) else {
                continue;
            };
            if is_settled(fetcher.pod) || round.has_left(name) {
                continue;
            }
            let is_asked = |image: &str| fetcher.pod.container(image).is_some_and(|c| c.asks);
            asking.extend(
                held(node, tagged)
                    .into_iter()
                    .filter(|(image, _)| is_asked(image)),
            );
        }
        Self {
            round,
            tagged,
            asking,
            is_full: round.is_full(),
        }
    }

    /// Images of which the node holds a content that the tag no longer stands for.
    pub(super) fn stale(&self, node: &Node<'_>) -> BTreeSet<String> {
        held(node, self.tagged)
            .into_iter()
            .filter(|(image, content)| self.round.is_stale(image, *content))
            .filter(|(image, _)| self.is_for(node, image))
            .map(|(image, _)| image.to_owned())
            .collect()
    }

    /// Images of which the node holds a content that nobody has asked for yet.
    pub(super) fn unasked(&self, node: &Node<'a>) -> Vec<(&'a str, Content)> {
        if self.is_full {
            return Vec::new();
        }
        let is_new = |pair: &(&str, Content)| !self.round.is_known(pair.0, pair.1);
        held(node, self.tagged)
            .into_iter()
            .filter(|pair| is_new(pair) && !self.asking.contains(pair))
            .filter(|(image, _)| self.is_for(node, image))
            .collect()
    }

    /// Whether the node can use what the tag stands for now, as far as it is known.
    fn is_for(&self, node: &Node<'_>, image: &str) -> bool {
        let architecture = node.holder.and_then(|holder| holder.pod.architecture());
        !self.round.unfit.has(image, architecture)
    }

    /// The node asks for these now.
    pub(super) fn take(&mut self, pairs: impl IntoIterator<Item = (&'a str, Content)>) {
        self.asking.extend(pairs);
    }
}
