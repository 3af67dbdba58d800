//! A refresh by digest: the daemon asks the registries what the tags stand for, and nodes ask only for what has changed.
//!
//! What is noted of an image is the digest that its tag stood for when that had arrived everywhere, and what nodes
//! reported then. A report need not be that digest: by runtime it is the digest of something else (of the image's
//! configuration), and nodes of another architecture may report another. So an image is unchanged where the registry says
//! the same digest and no node reports anything that was not reported then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Rollout, Round};
use crate::answers::{Answers, Unfit, Why};
use crate::cluster::{Content, Live};
use crate::config::rollout::Fallback;
use crate::desired::names::DIGESTS;

/// What nodes are to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Names of the images.
    pub images: BTreeSet<String>,
    /// What the tags stand for now, as far as it is known.
    pub digests: BTreeMap<String, Content>,
    /// What nodes cannot use of them: these do not ask.
    pub unfit: Unfit,
}

/// What is noted of an image. As text: the digest, and what nodes reported beside it, with spaces between.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    digest: Content,
    reported: BTreeSet<Content>,
}

impl Note {
    fn read(text: &str) -> Option<Self> {
        let mut contents = text.split(' ').map(Content::read);
        Some(Self {
            digest: contents.next()??,
            reported: contents.collect::<Option<_>>()?,
        })
    }

    fn write(&self) -> String {
        let others = self.reported.iter().filter(|it| **it != self.digest);
        let all = std::iter::once(&self.digest).chain(others);
        all.map(Content::digits).collect::<Vec<_>>().join(" ")
    }

    fn knows(&self, content: Content) -> bool {
        content == self.digest || self.reported.contains(&content)
    }
}

fn notes(live: &Live) -> BTreeMap<String, Note> {
    let text = live.annotations.get(DIGESTS);
    let texts: Option<BTreeMap<String, String>> =
        text.and_then(|text| serde_json::from_str(text).ok());
    let notes = texts.unwrap_or_default().into_iter();
    notes
        .filter_map(|(name, text)| Some((name, Note::read(&text)?)))
        .collect()
}

impl Rollout<'_> {
    /// What was learnt from the answers.
    pub(super) fn decide(&self, answers: &Answers) -> Decision {
        let notes = notes(self.facts.live);
        let unfit = answers.unfit.of_some();
        let reported = self.reported(&unfit);
        let mut images = BTreeSet::new();
        let mut digests = BTreeMap::new();
        for name in answers.question.images.keys() {
            let Some(digest) = answers.digests.get(name) else {
                continue;
            };
            if self.is_for_nobody(name, answers) {
                continue;
            }
            let digest = Content::of(digest);
            let note = notes.get(name).filter(|note| note.digest == digest);
            let is_known =
                |content: &Content| *content == digest || note.is_some_and(|n| n.knows(*content));
            if !reported
                .get(name.as_str())
                .into_iter()
                .flatten()
                .all(is_known)
            {
                images.insert(name.clone());
            }
            digests.insert(name.clone(), digest);
        }
        let all = || answers.question.images.keys();
        // What the registry does not have, nodes get as little; and where it wants to be asked less, they do not help.
        let is_for_nodes = |name: &&String| {
            let no_answer = answers.unanswered.get(*name);
            no_answer.is_some_and(|no| !matches!(no.why, Why::NotFound | Why::RateLimited))
        };
        match self.facts.config.rollout.fallback {
            Fallback::Node => images.extend(all().filter(is_for_nodes).cloned()),
            Fallback::Always if !answers.unanswered.is_empty() => images.extend(all().cloned()),
            Fallback::Always | Fallback::Never => {}
        }
        images.retain(|name| !self.is_for_nobody(name, answers));
        Decision {
            images,
            digests,
            unfit,
        }
    }

    /// Whether no node can use what the reference stands for now. Nodes that ask for it would lose what they have.
    fn is_for_nobody(&self, name: &str, answers: &Answers) -> bool {
        let mut holders = self
            .nodes
            .values()
            .filter_map(|node| node.holder)
            .peekable();
        holders.peek().is_some()
            && holders.all(|holder| answers.unfit.has(name, holder.pod.architecture()))
    }

    /// What is noted when the round ends: nothing of what has not reached every node, or was not answered. That counts as
    /// changed next time.
    pub(super) fn later_notes(&self, round: &Round) -> String {
        let mut all = self.reported(&round.unfit);
        let mut later = BTreeMap::new();
        for (name, digest) in &round.digests {
            let is_asked = round.images.as_ref().is_some_and(|it| it.contains(name));
            let reported = all.remove(name.as_str()).unwrap_or_default();
            let has_arrived =
                |content: &Content| content == digest || round.is_fresh(name, *content);
            if !is_asked || reported.iter().all(has_arrived) {
                let digest = *digest;
                later.insert(name, Note { digest, reported }.write());
            }
        }
        // Names and digits can always be written.
        serde_json::to_string(&later).unwrap_or_default()
    }

    /// What nodes report that they hold, by the image's name, but for what is not for them any more.
    fn reported(&self, unfit: &Unfit) -> HashMap<&str, BTreeSet<Content>> {
        let mut reported: HashMap<&str, BTreeSet<Content>> = HashMap::new();
        for holder in self.nodes.values().filter_map(|node| node.holder) {
            let architecture = holder.pod.architecture();
            for container in &holder.pod.containers {
                let content = container.content;
                let content = content.filter(|_| !unfit.has(&container.name, architecture));
                if let Some(content) = content {
                    reported.entry(&container.name).or_default().insert(content);
                }
            }
        }
        reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_the_same_after_it_was_written_and_read() {
        for reported in [vec![], vec![7], vec![1, u64::MAX]] {
            let note = Note {
                digest: Content(7),
                reported: reported.into_iter().map(Content).collect(),
            };
            let read = Note::read(&note.write()).unwrap();
            assert_eq!(read.digest, note.digest);
            assert!(note.reported.iter().all(|content| read.knows(*content)));
        }
        for text in [
            "",
            " ",
            "7",
            "sha256:0000000000000007",
            "0000000000000007  ",
        ] {
            assert_eq!(Note::read(text), None, "{text:?}");
        }
    }
}
