//! Where things stand, as JSON for people and programs: `/status`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::answers::NoAnswer;
use crate::architecture::Architecture;
use crate::config::Config;
use crate::config::images::Image;
use crate::known::{Cost, Known};
use crate::status::{ImageStatus, Status};

/// All of it. Names of fields are an interface.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusPage<'a> {
    nodes: Nodes,
    /// In the order of the list.
    images: Vec<ImageEntry<'a>>,
    /// What the list costs nodes of each architecture, once all of it is known.
    costs: BTreeMap<Architecture, Cost>,
    /// Pull secrets that cannot be used to ask registries, and why.
    bad_pull_secrets: &'a BTreeMap<String, String>,
    /// Nodes by trouble, in the words of `kip_troubles`.
    troubles: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Nodes {
    wanted: usize,
    complete: usize,
    without_pod: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageEntry<'a> {
    name: &'a str,
    image: &'a str,
    /// Nodes by state, in the words of `kip_image_nodes`.
    nodes: BTreeMap<&'static str, usize>,
    /// A node on which it fails, and kubelet's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureEntry<'a>>,
    /// What the reference stands for, by its registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    /// Why the registry does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_answer: Option<NoAnswerEntry<'a>>,
    /// Bytes that a node of each architecture pulls, its share of layers of other images included.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    bytes: BTreeMap<Architecture, u64>,
    /// Architectures whose nodes find nothing to pull.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    absent: BTreeSet<Architecture>,
    /// Nodes that it is kept off, since it has nothing for their architecture.
    #[serde(skip_serializing_if = "is_none")]
    kept_off: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

#[derive(Debug, Serialize)]
struct FailureEntry<'a> {
    node: &'a str,
    reason: &'a str,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct NoAnswerEntry<'a> {
    why: &'static str,
    words: &'a str,
}

impl<'a> StatusPage<'a> {
    /// From what is known now.
    pub fn new(config: &'a Config, status: &'a Status, known: &'a Known) -> Self {
        Self {
            nodes: Nodes {
                wanted: status.wanted_nodes,
                complete: status.complete_nodes,
                without_pod: status.empty_nodes,
            },
            images: config
                .images()
                .map(|image| entry(image, status.images.get(&image.name), known))
                .collect(),
            costs: known.costs(status),
            bad_pull_secrets: known.bad_secrets(),
            troubles: status
                .troubles
                .iter()
                .map(|(trouble, nodes)| (trouble.as_str(), *nodes))
                .collect(),
        }
    }
}

fn entry<'a>(
    image: &'a Image,
    status: Option<&'a ImageStatus>,
    known: &'a Known,
) -> ImageEntry<'a> {
    let nodes = status.iter().flat_map(|status| &status.nodes);
    let failure = status.and_then(|status| status.failure.as_ref());
    let answer = known.of(&image.image);
    let no_answer = answer.and_then(|answer| answer.as_ref().err());
    let bytes = known.inspected(&image.image).map(|inspected| {
        Architecture::ALL.map(|architecture| (architecture, inspected.fit(architecture).bytes()))
    });
    ImageEntry {
        name: &image.name,
        image: &image.image,
        nodes: nodes
            .map(|(state, count)| (state.as_str(), *count))
            .collect(),
        failure: failure.map(|(node, failure)| FailureEntry {
            node,
            reason: &failure.reason,
            message: &failure.message,
        }),
        digest: answer.and_then(|answer| answer.as_deref().ok()),
        no_answer: no_answer.map(|NoAnswer { why, words }| NoAnswerEntry {
            why: why.as_str(),
            words,
        }),
        bytes: bytes.map(BTreeMap::from).unwrap_or_default(),
        absent: known.absent(&image.image),
        kept_off: status.map_or(0, |status| status.kept_off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Answers, Question, Unfit, Why};
    use crate::settings::Settings;
    use crate::status::ImageState;
    use serde_json::json;

    #[test]
    fn it_has_what_people_ask_for() {
        let vars = [(
            "IMAGES".to_owned(),
            "a=r.example/a:1;b=r.example/b:1".to_owned(),
        )];
        let config = Config::from_settings(&Settings::from_vars(vars).unwrap()).unwrap();
        let image = ImageStatus {
            nodes: BTreeMap::from([(ImageState::Cached, 3)]),
            kept_off: 2,
            failure: None,
        };
        let status = Status {
            wanted_nodes: 3,
            complete_nodes: 2,
            images: BTreeMap::from([("a".to_owned(), image)]),
            disks: BTreeMap::from([(Architecture::Amd64, (100, "n1".to_owned()))]),
            ..Status::default()
        };
        let mut known = Known::default();
        known.restore(
            r#"{"content": "l", "bytes": {"amd64": 10, "arm64": 2}, "absent": {"r.example/a:1": ["arm64"]}}"#,
            "l",
        );
        let images = [("a", "r.example/a:1"), ("b", "r.example/b:1")];
        let no = NoAnswer {
            why: Why::NotFound,
            words: "not found".to_owned(),
        };
        known.note(&Answers {
            question: Question::of_new(
                images
                    .map(|(name, it)| (name.to_owned(), it.to_owned()))
                    .into(),
            ),
            digests: BTreeMap::from([("a".to_owned(), "sha256:0".to_owned())]),
            unanswered: BTreeMap::from([("b".to_owned(), no)]),
            unfit: Unfit::default(),
            bad_secrets: BTreeMap::from([("s".to_owned(), "no right".to_owned())]),
        });
        let page = serde_json::to_value(StatusPage::new(&config, &status, &known)).unwrap();
        let expected = json!({
            "nodes": {"wanted": 3, "complete": 2, "withoutPod": 0},
            "images": [
                {"name": "a", "image": "r.example/a:1", "nodes": {"cached": 3}, "digest": "sha256:0", "absent": ["arm64"],
                 "keptOff": 2},
                {"name": "b", "image": "r.example/b:1", "nodes": {},
                 "noAnswer": {"why": "not_found", "words": "not found"}},
            ],
            "costs": {"amd64": {"pulled": 10, "onDisk": 45, "smallestDisk": 100, "node": "n1", "notCounted": 0}},
            "badPullSecrets": {"s": "no right"},
            "troubles": {},
        });
        assert_eq!(page, expected);
    }
}
