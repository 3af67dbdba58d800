//! Platforms beside `github.com/containerd/platforms`.

mod inputs;

use fastrand::Rng;
use kip_image::{Platform, PlatformMatcher, PlatformProblem};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Generated, Tally, oracle};

/// What the Go program makes of a text.
#[derive(Deserialize)]
struct Reading {
    parsed: Option<Value>,
    printed: String,
    normalized: Value,
    utf8: bool,
}

/// A platform as the OCI's JSON has it, where what is empty is missing.
fn to_json(platform: &Platform) -> Value {
    let mut value = json!({ "os": platform.os, "architecture": platform.architecture });
    for (key, text) in [
        ("variant", &platform.variant),
        ("os.version", &platform.os_version),
    ] {
        if !text.is_empty() {
            value[key] = json!(text);
        }
    }
    if !platform.os_features.is_empty() {
        value["os.features"] = json!(platform.os_features);
    }
    value
}

fn compare_reading(text: &str, go: &Reading) -> Result<&'static str, String> {
    // What the Go program runs on.
    let host = Platform::new("linux", "amd64");
    let different = |ours: &dyn std::fmt::Debug| {
        Err(format!(
            "{text:?}: {ours:?}, Go: {:?}, {:?}",
            go.parsed, go.printed
        ))
    };
    match (Platform::parse_on(text, &host), &go.parsed) {
        (Err(_), None) => Ok("refused by both"),
        (Err(error), Some(_)) if error.problem() == PlatformProblem::OsOptions && !go.utf8 => {
            Ok("on purpose, escapes of no UTF-8")
        }
        (Ok(platform), Some(parsed)) => {
            let normalized = platform.normalized();
            if to_json(&platform) != *parsed || to_json(&normalized) != go.normalized {
                return different(&platform);
            }
            // Go prints these as steps in a path: linux/../v1 is v1.
            let parts = [&platform.architecture, &platform.variant];
            if parts.into_iter().any(|part| part == "." || part == "..") {
                return Ok("on purpose, printed with dots");
            }
            if platform.to_string() == go.printed {
                Ok("accepted by both")
            } else {
                different(&platform.to_string())
            }
        }
        (ours, _) => different(&ours),
    }
}

#[test]
#[ignore = "needs Go: builds and runs tests/go"]
fn platforms_are_read_as_the_go_module_reads_them() {
    let generated = Generated::from_env();
    let mut rng = Rng::with_seed(generated.seed);
    let texts: Vec<_> = (0..generated.count)
        .map(|_| inputs::text(&mut rng))
        .collect();
    let questions = texts.iter().map(|text| json!({ "text": text }).to_string());
    let answers = oracle::ask("platforms", questions);
    let tally: Tally = texts
        .iter()
        .zip(&answers)
        .map(|(text, go)| compare_reading(text, &serde_json::from_str(go).expect(go)))
        .collect();
    let fifth = texts.len() / 5;
    tally.assert(
        "texts of platforms",
        generated,
        &[
            ("accepted by both", fifth),
            ("refused by both", fifth),
            ("on purpose, escapes of no UTF-8", 1),
            ("on purpose, printed with dots", 1),
        ],
    );
}

#[test]
#[ignore = "needs Go: builds and runs tests/go"]
fn a_node_takes_the_manifest_that_containerd_takes() {
    let generated = Generated::from_env();
    let mut rng = Rng::with_seed(generated.seed);
    let cases: Vec<_> = (0..generated.count)
        .map(|_| inputs::case(&mut rng))
        .collect();
    let questions = cases.iter().map(|(node, index)| {
        let index: Vec<_> = index
            .iter()
            .map(|platform| platform.as_ref().map(to_json))
            .collect();
        json!({ "node": to_json(node), "index": index }).to_string()
    });
    let answers = oracle::ask("platforms", questions);
    let tally: Tally = cases
        .iter()
        .zip(&answers)
        .map(|((node, index), go)| {
            let matcher = PlatformMatcher::new(node);
            let ours = matcher.candidates(index);
            let go: Vec<usize> = serde_json::from_str(go).expect(go);
            if ours != go || matcher.choose(index) != go.first().copied() {
                return Err(format!("{node:?} of {index:?}: {ours:?}, Go: {go:?}"));
            }
            Ok(match ours.len() {
                0 => "none",
                1 => "one",
                _ => "several in the same order",
            })
        })
        .collect();
    let tenth = cases.len() / 10;
    let at_least = ["none", "one", "several in the same order"].map(|name| (name, tenth));
    tally.assert("indexes", generated, &at_least);
}
