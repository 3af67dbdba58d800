//! What holds for any bytes that come in. The files are held to it, and so are their mutations; the fuzz targets run it.

#![allow(dead_code, reason = "each fuzz target runs one of them")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_cloner::answer::{Object, Outcome, Rules, Without, answer, left_alone};
use image_cloner::naming::{Naming, Scheme};
use image_cloner::proofs::Proofs;
use image_cloner::review::{self, Asked, Operation};
use image_cloner::scope::{Left, Scope, Task, Wanted};
use image_cloner::workload::{KINDS, Kind};
use kip_image::{Digest, Reference};
use serde::Deserialize;
use serde_json::Value;

/// The pull secret for the copies.
const SECRET: &str = "copies";
/// A pull secret of the pods' account.
const OF_ACCOUNT: &str = "of-account";
/// So long is a proof, as it is written: a hash, and its end in minutes.
const PROOF: usize = 20;
/// So many of them are kept.
const MOST: usize = 40_000;
/// A time at which some count and some do not, in minutes since 1970.
pub(crate) const MINUTES: u32 = 29_000_000;

/// What is left alone.
pub(crate) fn scope() -> Scope {
    Scope {
        namespaces: BTreeSet::from(["kube-system".to_owned()]),
        kinds: KINDS.to_vec(),
        owner_groups: vec!["postgresql.cnpg.io".to_owned()],
        labels: vec![("app".to_owned(), "image-cloner".to_owned())],
        allowed: BTreeSet::new(),
        denied: BTreeSet::from(["denied.example".to_owned()]),
    }
}

/// Where copies are.
pub(crate) fn naming(scheme: Scheme) -> Naming {
    Naming::new("r.example/backup", "", scheme).expect("a prefix of a test")
}

/// What is answered where all goes well, or what does not is let pass.
pub(crate) fn rules() -> Rules {
    Rules {
        on_timeout: Without::Admit,
        on_failure: Without::Admit,
        pull_secret: Some(SECRET.to_owned()),
    }
}

/// The name that the copy has, with the source's digest or else one of no content.
pub(crate) fn copy_of(wanted: &Wanted, naming: &Naming) -> Reference {
    let digest = wanted.reference.digest().cloned();
    let digest = digest.unwrap_or_else(|| {
        Digest::parse(&format!("sha256:{:064}", 7)).expect("a digest of a test")
    });
    let place = naming.place(&wanted.reference);
    place.expect("each image has a place").with_digest(digest)
}

/// Reviews: what is read is answered, and each answer does what it says and nothing else.
pub(crate) fn review(data: &[u8]) {
    let asked = match review::read(data) {
        Ok(asked) => asked,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for scheme in [Scheme::Path, Scheme::Flat] {
        let naming = naming(scheme);
        match scope().task(&asked.request, &naming) {
            Err(why) => {
                let response = response(data, &asked, &asked.answered(&left_alone(why)));
                assert!(response["patch"].is_null() && response["allowed"] == true);
            }
            Ok(task) => answers(data, &asked, &task, &naming),
        }
    }
}

fn answers(data: &[u8], asked: &Asked, task: &Task, naming: &Naming) {
    let pointers = task.wanted.iter().map(|it| &it.pointer);
    let pointers: HashSet<&String> = pointers.chain(task.left.iter().map(|(it, _)| it)).collect();
    assert_eq!(pointers.len(), task.wanted.len() + task.left.len());
    let there = |wanted| Outcome::There(copy_of(wanted, naming));
    let all: Vec<Outcome> = task.wanted.iter().map(there).collect();
    let some = task
        .wanted
        .iter()
        .enumerate()
        .map(|(i, wanted)| match i % 3 {
            0 => there(wanted),
            1 => Outcome::Late,
            _ => Outcome::Failed("words\n\"".to_owned()),
        });
    let some: Vec<Outcome> = some.collect();
    let patched = answered(data, asked, task, &all, &rules());
    answered(data, asked, task, &some, &rules());
    let strict = Rules {
        on_timeout: Without::Deny,
        on_failure: Without::Deny,
        pull_secret: None,
    };
    answered(data, asked, task, &some, &strict);
    once(asked, task, patched, naming);
}

/// Answers by these outcomes, checks the answer, and gives the object as the API server has it then.
pub(crate) fn answered(
    data: &[u8],
    asked: &Asked,
    task: &Task,
    outcomes: &[Outcome],
    rules: &Rules,
) -> Value {
    let request = &asked.request;
    let kind = Kind::of(&request.kind.group, &request.kind.kind).expect("it has a task");
    let object = Object {
        kind,
        operation: request.operation,
        value: &request.object,
        account_secrets: Some(&[OF_ACCOUNT.to_owned()]),
    };
    let answer = answer(object, task, outcomes, rules);
    let response = response(data, asked, &asked.answered(&answer));
    let is_there = |it: &Outcome| matches!(it, Outcome::There(_));
    let without = outcomes.iter().filter(|it| !is_there(it)).count();
    let is_refused = without > 0 && rules.on_failure == Without::Deny;
    assert_eq!(response["allowed"], !is_refused);
    let warnings = response["warnings"].as_array().map_or(0, Vec::len);
    assert_eq!(warnings, if is_refused { 0 } else { without });
    let is_patched = response.get("patch").is_some();
    let is_running = kind.is_pod() && request.operation == Operation::Update;
    // A pod of copies gets the secret for them, though nothing of it is replaced.
    let has_copies = task.left.iter().any(|(_, left)| *left == Left::Copy);
    let needs_secret = has_copies
        && kind.is_pod()
        && !is_running
        && rules.pull_secret.is_some()
        && !secrets(kind, &request.object).contains(&SECRET);
    let is_replaced = without < outcomes.len();
    assert_eq!(is_patched, !is_refused && (is_replaced || needs_secret));

    let patched = patched(&request.object, &response);
    for (wanted, outcome) in task.wanted.iter().zip(outcomes) {
        let now = patched.pointer(&wanted.pointer).and_then(Value::as_str);
        match outcome {
            Outcome::There(copy) if is_patched => assert_eq!(now, Some(&*copy.to_string())),
            _ => assert_eq!(now, Some(&*wanted.text)),
        }
    }
    let is_given = is_patched && rules.pull_secret.is_some() && !is_running;
    let has = secrets(kind, &patched).contains(&SECRET);
    assert!(!is_given || has, "the pull secret is missing");
    if !is_given {
        assert_eq!(secrets(kind, &patched), secrets(kind, &request.object));
    }
    // The images and the pull secrets as they were: all is as it was.
    let mut restored = patched.clone();
    for wanted in &task.wanted {
        *restored.pointer_mut(&wanted.pointer).expect("an image") = wanted.text.clone().into();
    }
    if is_given {
        let spec = restored.pointer_mut(kind.pod_spec).expect("it has images");
        let spec = spec.as_object_mut().expect("it has lists");
        let before = request.object.pointer(kind.pod_spec);
        match before.and_then(|it| it.get("imagePullSecrets")) {
            Some(before) => spec.insert("imagePullSecrets".to_owned(), before.clone()),
            None => spec.remove("imagePullSecrets"),
        };
    }
    assert_eq!(restored, request.object);
    patched
}

/// The API server may ask again, with what it was answered: nothing is done twice.
fn once(asked: &Asked, task: &Task, patched: Value, naming: &Naming) {
    let mut again = asked.request.clone();
    again.object = patched;
    let second = scope().task(&again, naming).expect("a task as before");
    assert_eq!(second.wanted, []);
    let copies = second.left.iter().filter(|(_, left)| *left == Left::Copy);
    assert!(copies.count() >= task.wanted.len());
}

/// The names of the pull secrets of an object's pods.
pub(crate) fn secrets(kind: Kind, object: &Value) -> Vec<&str> {
    let list = object.pointer(&format!("{}/imagePullSecrets", kind.pod_spec));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|it| it.get("name")?.as_str()).collect()
}

#[derive(Deserialize)]
struct Versioned {
    #[serde(rename = "apiVersion")]
    version: String,
}

/// Checks what holds for any answer to this review, and gives its response.
pub(crate) fn response(data: &[u8], asked: &Asked, answer: &[u8]) -> Value {
    let asks: Versioned = serde_json::from_slice(data).expect("it was read");
    let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    assert_eq!(answer["apiVersion"], asks.version);
    assert_eq!(answer["kind"], "AdmissionReview");
    let response = &answer["response"];
    assert_eq!(response["uid"], asked.request.uid);
    let is_allowed = response["allowed"].as_bool().expect("it is told");
    assert_eq!(response.get("status").is_none(), is_allowed);
    assert!(is_allowed || response.get("patch").is_none());
    let patch_type = response.get("patch").map(|_| "JSONPatch");
    assert_eq!(
        response.get("patchType").and_then(Value::as_str),
        patch_type
    );
    for warning in response["warnings"].as_array().into_iter().flatten() {
        assert!(warning.as_str().is_some_and(|it| !it.is_empty()));
    }
    answer["response"].clone()
}

/// Whether the response puts some image in the place of another.
pub(crate) fn replaces(response: &Value) -> bool {
    let patch = response["patch"].as_str().map(|it| STANDARD.decode(it));
    let patch = patch.map(|it| it.expect("a patch is Base64"));
    let patch = patch.map(|it| serde_json::from_slice::<Value>(&it).expect("it is JSON"));
    let changes = patch.as_ref().and_then(Value::as_array);
    changes
        .into_iter()
        .flatten()
        .any(|it| it["op"] == "replace")
}

/// The object as the response has it changed.
pub(crate) fn patched(object: &Value, response: &Value) -> Value {
    let mut patched = object.clone();
    if let Some(patch) = response["patch"].as_str() {
        let patch = STANDARD.decode(patch).expect("a patch is Base64");
        let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("it is a JSON patch");
        json_patch::patch(&mut patched, &patch).expect("it can be applied");
    }
    patched
}

/// Proofs: of whatever was written down, those that still count are written again, each once, with its latest end.
pub(crate) fn proofs(data: &[u8]) {
    let mut proofs = Proofs::new(b"key");
    proofs.merge(data);
    let mut ends = BTreeMap::new();
    for (hash, end) in data.chunks_exact(PROOF).map(|it| it.split_at(PROOF - 4)) {
        // Of the same length, bytes are in the order of the numbers that they are.
        let known = ends.entry(hash).or_insert(end);
        *known = end.max(*known);
    }
    if ends.len() > MOST {
        return assert!(proofs.len() <= MOST);
    }
    assert_eq!(proofs.len(), ends.len());
    for minutes in [0, MINUTES] {
        let living = ends
            .iter()
            .filter(|(_, end)| ***end > minutes.to_be_bytes()[..]);
        let living: Vec<u8> = living
            .flat_map(|(hash, end)| [*hash, *end].concat())
            .collect();
        let time = UNIX_EPOCH + Duration::from_secs(60 * u64::from(minutes));
        assert_eq!(proofs.encode(time), living);
    }
}
