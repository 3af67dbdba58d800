//! A refresh by digest: the daemon asks the registries what the tags stand for, and nodes ask only for what has changed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rollout, Round, ask};
use crate::answers::{Answers, Why};
use crate::cluster::{Content, Live};
use crate::config::rollout::Fallback;
use crate::desired::names::DIGESTS;

/// What nodes are to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Names of the images.
    pub images: BTreeSet<String>,
    /// What the tags stand for now, as far as it is known, shortened.
    pub digests: BTreeMap<String, String>,
}

/// What the tags stood for in the last refresh, shortened, by the image's name.
pub fn digests(live: &Live) -> BTreeMap<String, String> {
    let text = live.annotations.get(DIGESTS);
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

impl Rollout<'_> {
    /// What was learnt from the answers.
    pub(super) fn decide(&self, answers: &Answers) -> Decision {
        let known = self.digests();
        let mut images = BTreeSet::new();
        let mut digests = BTreeMap::new();
        for name in answers.question.images.keys() {
            let Some(digest) = answers.digests.get(name) else {
                continue;
            };
            let content = Content::of(digest);
            let short = content.to_string();
            if self.is_changed(name, content, known.get(name) == Some(&short)) {
                images.insert(name.clone());
            }
            digests.insert(name.clone(), short);
        }
        let all = || answers.question.images.keys();
        // What the registry does not have, nodes get as little.
        let is_unanswered = |name: &&String| {
            let no_answer = answers.unanswered.get(*name);
            no_answer.is_some_and(|no| no.why != Why::NotFound)
        };
        match self.facts.config.rollout.fallback {
            Fallback::Node => images.extend(all().filter(is_unanswered).cloned()),
            Fallback::Always if all().any(|name| is_unanswered(&name)) => {
                images.extend(all().cloned());
            }
            Fallback::Always | Fallback::Never => {}
        }
        Decision { images, digests }
    }

    /// What is written down when the round ends: not what has not reached every node, which counts as changed next time.
    pub(super) fn later_digests(&self, round: &Round) -> Option<String> {
        let known = self.digests();
        let is_asked = |name: &String| {
            let images = round.images.as_ref();
            images.is_some_and(|images| images.contains(name))
        };
        let is_whole = round.unfinished.is_empty();
        let mut later = BTreeMap::new();
        for (name, digest) in &round.digests {
            let has_arrived = !is_asked(name) || (is_whole && !round.has_failed(name));
            let digest = if has_arrived {
                Some(digest)
            } else {
                known.get(name)
            };
            later.extend(digest.map(|digest| (name, digest)));
        }
        // Names and digests can always be written.
        (!later.is_empty()).then(|| serde_json::to_string(&later).unwrap_or_default())
    }

    /// What the tags stood for in the last refresh.
    pub(super) fn digests(&self) -> BTreeMap<String, String> {
        digests(self.facts.live)
    }

    /// Whether a node may hold something else than this.
    ///
    /// What a node reports may be the digest of something else (of the image's configuration, by runtime): it tells only
    /// where some node reports the very one. Else what counts is whether the registry says something else than before.
    fn is_changed(&self, name: &str, current: Content, is_as_before: bool) -> bool {
        let mut contents = BTreeSet::new();
        for node in self.nodes.values() {
            contents.extend(ask::content_of(node, name));
        }
        if contents.contains(&current) {
            contents.len() > 1
        } else {
            !is_as_before
        }
    }
}
