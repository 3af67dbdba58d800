//! The daemon asks for what tags stand for, and looks into what is new.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kip_daemon::answers::{Answers, NoAnswer, Question, Why};
use kip_daemon::cluster::Content;
use kip_daemon::inspect::Inspected;
use kip_daemon::observe::Observation;
use kip_daemon::registries::{Asker, Reach};
use kube::api::Api;
use tokio::sync::mpsc;

use super::registry::{LAYER, Registry};

type Found = BTreeMap<String, Result<Box<Inspected>, NoAnswer>>;

/// What is observed when these images are asked for, of which this is known.
fn ask(registry: &Registry, names: &[&str], known: &[(&str, Content)]) -> (Answers, Found) {
    ask_by(registry, names, known, None)
}

/// As above, by the authorities of this file.
fn ask_by(
    registry: &Registry,
    names: &[&str],
    known: &[(&str, Content)],
    ca_file: Option<&str>,
) -> (Answers, Found) {
    registry.wait(async {
        let cluster = "https://127.0.0.1:1".parse().expect("an address");
        let client = kube::Client::try_from(kube::Config::new(cluster)).expect("a client");
        let (tx, mut rx) = mpsc::channel(100);
        // No secret is named, so that no API server is asked.
        let asker = Asker::new(
            Api::<Secret>::namespaced(client, "none"),
            ca_file.map(Into::into),
            tx,
        );
        let reference = |name: &str| registry.reference(name).to_string();
        let reach = Reach {
            plain_http: [registry.host().to_owned()].into(),
            pull_secrets: Vec::new(),
            inspected: known
                .iter()
                .map(|(name, it)| (reference(name), *it))
                .collect(),
        };
        let question = Question {
            content: "list".to_owned(),
            request: None,
            due: Some(Timestamp::UNIX_EPOCH),
            images: names
                .iter()
                .map(|name| ((*name).to_owned(), reference(name)))
                .collect(),
        };
        asker.ask(question.clone(), || reach);
        asker.ask(question, || unreachable!("it is being asked"));
        drop(asker);
        let mut answers = Vec::new();
        let mut found = Found::new();
        while let Some(observation) = rx.recv().await {
            match observation {
                Observation::Answers(it) => answers.push(it),
                Observation::Inspected(image, it) => {
                    let (_, name) = image.rsplit_once('/').expect("a registry");
                    found.insert(name.to_owned(), it);
                }
                other => unreachable!("{other:?}"),
            }
        }
        assert_eq!(answers.len(), 1, "the same question is asked once");
        (answers.remove(0), found)
    })
}

#[test]
fn what_a_tag_stands_for_and_what_it_is_are_answered_and_why_not() {
    let registry = Registry::open();
    registry.image("app:1", "amd64", &[b"abc"]);
    let config = ("application/vnd.example.chart", "{}");
    registry.artifact("chart:1", config, (LAYER, &[b"abc"]));
    let (answers, found) = ask(&registry, &["app:1", "chart:1", "nowhere:1"], &[]);
    let names: Vec<&String> = answers.digests.keys().collect();
    assert_eq!(names, ["app:1", "chart:1"]);
    assert_eq!(answers.unanswered["nowhere:1"].why, Why::NotFound);
    assert_eq!(found.len(), 2, "{found:?}");
    let app = found["app:1"].as_ref().expect("it is an image");
    assert_eq!(app.digest.to_string(), answers.digests["app:1"]);
    let chart = found["chart:1"].as_ref().expect_err("it is none");
    assert_eq!(chart.why, Why::NoImage);
    assert!(
        chart.words.contains("application/vnd.example.chart"),
        "{}",
        chart.words
    );
}

#[test]
fn what_stands_for_the_same_as_before_is_not_looked_into() {
    let registry = Registry::open();
    registry.image("app:1", "amd64", &[b"abc"]);
    let (answers, _) = ask(&registry, &["app:1"], &[]);
    let before = Content::of(&answers.digests["app:1"]);
    let (_, found) = ask(&registry, &["app:1"], &[("app:1", before)]);
    assert!(found.is_empty(), "{found:?}");
    registry.image("app:1", "amd64", &[b"abcd"]);
    let (_, found) = ask(&registry, &["app:1"], &[("app:1", before)]);
    assert_eq!(found.len(), 1);
}

#[test]
fn where_registries_cannot_be_asked_at_all_every_image_is_unanswered_with_the_reason() {
    let registry = Registry::open();
    registry.image("app:1", "amd64", &[b"abc"]);
    let (answers, found) = ask_by(&registry, &["app:1"], &[], Some("/nowhere/ca.crt"));
    assert!(answers.digests.is_empty() && found.is_empty());
    let no = &answers.unanswered["app:1"];
    assert_eq!(no.why, Why::Failed);
    assert!(
        no.words.contains("REGISTRY_CA_FILE=/nowhere/ca.crt"),
        "{}",
        no.words
    );
}
