//! The reviews in `tests/reviews`: what the API server may send, and what it must not, with what is to come of it.
//!
//! A file has, beside what it is `about`, a `review`, or else the name of a file in `tests/reviews/raw` with the bytes that are
//! sent. Under `expected` stand
//!
//! - `status`, of HTTP, and where it is 400 some words of the `error`;
//! - `exempt`, the reason for which the whole object is left alone, or else
//! - `wanted`, the images that are asked for, each with its JSON pointer, and `left`, the pointers of those that are not, each
//!   with the reason;
//! - `secrets`, the names of the pods' pull secrets when all copies are there, `of-account` being the one of their service
//!   account; where it is missing they are as they were;
//! - `warnings`, how many there are where no registry can be reached.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use image_cloner::answer::Outcome;
use image_cloner::naming::Scheme;
use image_cloner::review::{self, Asked};
use image_cloner::scope::Scope;
use image_cloner::workload::{KINDS, Kind};
use kip_registry::{Client, Proxies, Retries, Settings};
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{laws, reviews, service, support};

/// So many files there are at least.
const LEAST: usize = 60;

/// One file.
pub(crate) struct Case {
    name: String,
    /// What is sent.
    pub(crate) body: Vec<u8>,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    review: Option<Value>,
    raw: Option<String>,
    expected: Expected,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    error: Option<String>,
    exempt: Option<String>,
    wanted: Option<Vec<(String, String)>>,
    left: Option<Vec<(String, String)>>,
    secrets: Option<Vec<String>>,
    #[serde(default)]
    warnings: usize,
    /// Whether there is a copy though nobody can be reached: the one that stood there before.
    #[serde(default)]
    kept: bool,
}

/// All files, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reviews");
    let entries = fs::read_dir(&directory).unwrap();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            Some(name.strip_suffix(".json")?.to_owned())
        })
        .collect();
    names.sort_unstable();
    let read = |name: String| {
        let text = fs::read(directory.join(format!("{name}.json"))).unwrap();
        let file: File =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!file.about.is_empty(), "{name}");
        let body = match (file.review, file.raw) {
            (Some(review), None) => serde_json::to_vec(&review).unwrap(),
            (None, Some(raw)) => fs::read(directory.join("raw").join(raw)).unwrap(),
            _ => panic!("{name}: either a review or the name of a raw file is needed"),
        };
        Case {
            name,
            body,
            expected: file.expected,
        }
    };
    names.into_iter().map(read).collect()
}

/// One that reaches nobody: the proxy on its way is not there.
fn client() -> Client {
    let settings = Settings {
        proxies: Proxies {
            https: Some("http://127.0.0.1:1".to_owned()),
            ..Proxies::default()
        },
        retries: Retries {
            count: 0,
            ..Retries::default()
        },
        ..support::settings([])
    };
    Client::new(settings).unwrap()
}

/// All addresses of one that reaches nobody.
pub(crate) fn app(scope: Scope) -> Router {
    let mut service = service::service(&client(), "r.example");
    service.scope = scope;
    service.rules = laws::rules();
    reviews::app_of(service)
}

/// The status and the body of the answer.
pub(crate) async fn ask(app: &Router, body: &[u8]) -> (u16, Vec<u8>) {
    let request = Request::post("/clone-image?timeout=10s");
    let request = request.header("Content-Type", "application/json");
    let request = request.body(Body::from(body.to_vec())).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, body.to_vec())
}

/// What comes of it.
async fn found(app: &Router, case: &Case) -> Expected {
    let (status, answer) = ask(app, &case.body).await;
    let mut found = Expected {
        status,
        ..Expected::default()
    };
    let Ok(asked) = review::read(&case.body) else {
        found.error = Some(String::from_utf8(answer).unwrap());
        return found;
    };
    let response = laws::response(&case.body, &asked, &answer);
    assert_eq!(response["allowed"], true);
    found.kept = laws::replaces(&response);
    found.warnings = response["warnings"].as_array().map_or(0, Vec::len);
    let told = &response["auditAnnotations"];
    let naming = laws::naming(Scheme::Path);
    let task = match laws::scope().task(&asked.request, &naming) {
        Ok(task) => task,
        Err(why) => {
            assert_eq!(told["left-alone"], why.as_str());
            found.exempt = Some(why.as_str().to_owned());
            return found;
        }
    };
    for (pointer, _) in &task.left {
        let text = told["left-alone"].as_str().unwrap();
        // A long list is cut off.
        let is_told = text.contains(&format!("{pointer}: ")) || text.ends_with('…');
        assert!(is_told, "{text}");
    }
    let copies = task.wanted.iter();
    let copies: Vec<_> = copies
        .map(|it| Outcome::There(laws::copy_of(it, &naming)))
        .collect();
    let patched = laws::answered(&case.body, &asked, &task, &copies, &laws::rules());
    found.secrets = changed_secrets(&asked, &patched);
    let wanted = task.wanted.into_iter().map(|it| (it.pointer, it.text));
    found.wanted = Some(wanted.collect());
    let left = task.left.into_iter();
    let left = left.map(|(pointer, left)| (pointer, left.as_str().to_owned()));
    found.left = Some(left.collect());
    found
}

/// The names of the pull secrets, where the list is expected to have changed or stands as it is to be.
fn changed_secrets(asked: &Asked, patched: &Value) -> Option<Vec<String>> {
    let kind = Kind::of(&asked.request.kind.group, &asked.request.kind.kind)?;
    let names = laws::secrets(kind, patched);
    Some(names.into_iter().map(str::to_owned).collect())
}

/// What is expected, completed by what the file need not say.
fn expected(case: Case) -> Expected {
    let mut expected = case.expected;
    if expected.secrets.is_none() && expected.wanted.is_some() {
        let asked = review::read(&case.body).unwrap();
        expected.secrets = changed_secrets(&asked, &asked.request.object);
    }
    expected
}

#[tokio::test]
async fn every_file_is_answered_as_it_says() {
    let app = app(laws::scope());
    let cases = cases();
    assert!(cases.len() >= LEAST, "{} files", cases.len());
    let mut failing = Vec::new();
    for case in cases {
        let name = case.name.clone();
        println!("{name}");
        let mut found = found(&app, &case).await;
        if catch_unwind(AssertUnwindSafe(|| laws::review(&case.body))).is_err() {
            failing.push(format!("{name}: a law is broken"));
        }
        let expected = expected(case);
        if let (Some(found), Some(words)) = (&mut found.error, &expected.error)
            && found.contains(words.as_str())
        {
            found.clone_from(words);
        }
        if found != expected {
            failing.push(format!(
                "{name}:\n  expected {expected:?}\n  found    {found:?}"
            ));
        }
    }
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

#[test]
fn every_kind_is_made_and_changed_in_some_file() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        // A Job is left to its pods.
        let is_fixed = case.expected.exempt.as_deref() == Some("fixed");
        if is_fixed || case.expected.wanted.is_some_and(|it| !it.is_empty()) {
            let request = review::read(&case.body).unwrap().request;
            seen.insert(format!("{} {:?}", request.kind.kind, request.operation));
        }
    }
    for kind in KINDS {
        for operation in ["Create", "Update"] {
            let both = format!("{} {operation}", kind.name);
            assert!(seen.contains(&both), "{both}");
        }
    }
}
