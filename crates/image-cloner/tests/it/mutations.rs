//! The files of `tests/reviews`, changed here and there: whatever comes, there is an answer, and it keeps to the laws.

use std::collections::BTreeSet;

use image_cloner::review;
use image_cloner::scope::Scope;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::files::{app, ask, cases};
use crate::laws;

/// So many reviews are tried.
const CASES: u32 = 2048;

/// A change of the JSON.
#[derive(Debug, Clone)]
enum Step {
    /// A node goes.
    Drop(Index),
    /// Something else stands in its place.
    Replace(Index, Value),
    /// Another node of the same review stands in its place.
    Copy { from: Index, to: Index },
    /// An entry of a list stands there twice.
    Twice(Index),
}

/// A change of the bytes.
#[derive(Debug, Clone)]
enum Cut {
    /// One is another one.
    Byte(Index, u8),
    /// Some go.
    Out(Index, usize),
    /// Some come in.
    In(Index, &'static [u8]),
    /// No more comes.
    End(Index),
}

/// What stands elsewhere in reviews, and what should stand nowhere.
fn values() -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!([]),
        json!({}),
        json!([null, [], {}]),
        json!({"image": "nginx", "name": "c"}),
        json!([{"image": "nginx", "name": "c"}, {"image": "auto"}]),
        json!({"reference": "acme/data:1"}),
        json!([{"name": "copies"}]),
        json!([{"apiVersion": "postgresql.cnpg.io/v1", "controller": true}]),
    ];
    let texts = "|auto|nginx|nginx:|a/b~c~1|Never|CREATE|UPDATE|DELETE|create|status|ephemeralcontainers|kube-system|Pod\
        |Deployment|CronJob|apps|batch|r.example/backup/nginx|denied.example/x|[::1]:5000/x|\u{0}|\u{1f680}";
    values.extend(texts.split('|').map(Value::from));
    values
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        index().prop_map(Step::Drop),
        (index(), select(values())).prop_map(|(at, value)| Step::Replace(at, value)),
        (index(), index()).prop_map(|(from, to)| Step::Copy { from, to }),
        index().prop_map(Step::Twice),
    ]
}

fn cut() -> impl Strategy<Value = Cut> {
    let index = any::<Index>;
    let pieces: [&[u8]; 12] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b",",
        b"\\",
        b"\\ud800",
        b"\xff",
        b"1e999",
        b"null",
        b"\"uid\":\"x\",",
        b"\"image\":\"nginx\",",
    ];
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Cut::Byte(at, byte)),
        (index(), 1..40_usize).prop_map(|(at, length)| Cut::Out(at, length)),
        (index(), select(pieces.to_vec())).prop_map(|(at, piece)| Cut::In(at, piece)),
        index().prop_map(Cut::End),
    ]
}

/// The pointers of all that is in it, itself left out.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    let mut inner = |key: &str, value: &Value| {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        pointers(value, &pointer, into);
        into.push(pointer);
    };
    match value {
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                inner(&index.to_string(), value);
            }
        }
        Value::Object(map) => map.iter().for_each(|(key, value)| inner(key, value)),
        _ => {}
    }
}

fn changed(review: &mut Value, step: &Step) {
    let mut all = Vec::new();
    pointers(review, "", &mut all);
    if all.is_empty() {
        return;
    }
    match step {
        Step::Drop(at) => {
            with_parent(review, at.get::<String>(&all), |parent, key| match parent {
                Value::Array(list) => drop(key.parse().map(|index: usize| list.remove(index))),
                Value::Object(map) => drop(map.remove(key)),
                _ => {}
            });
        }
        Step::Replace(at, value) => put(review, at.get::<String>(&all), value.clone()),
        Step::Copy { from, to } => {
            let copy = review
                .pointer(from.get::<String>(&all))
                .cloned()
                .unwrap_or_default();
            put(review, to.get::<String>(&all), copy);
        }
        Step::Twice(at) => with_parent(review, at.get::<String>(&all), |parent, key| {
            if let (Value::Array(list), Ok(index)) = (parent, key.parse::<usize>()) {
                let entry = list[index].clone();
                list.push(entry);
            }
        }),
    }
}

fn put(review: &mut Value, pointer: &str, value: Value) {
    if let Some(there) = review.pointer_mut(pointer) {
        *there = value;
    }
}

fn with_parent(review: &mut Value, pointer: &str, with: impl FnOnce(&mut Value, &str)) {
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    let key = key.replace("~1", "/").replace("~0", "~");
    if let Some(parent) = review.pointer_mut(parent) {
        with(parent, &key);
    }
}

fn cut_up(body: &mut Vec<u8>, cut: &Cut) {
    let place = |at: &Index| at.index(body.len() + 1);
    match cut {
        Cut::Byte(at, byte) => {
            let place = place(at);
            if let Some(there) = body.get_mut(place) {
                *there = *byte;
            }
        }
        Cut::Out(at, length) => {
            let from = place(at);
            let to = body.len().min(from + length);
            body.drain(from..to);
        }
        Cut::In(at, piece) => {
            let place = place(at);
            body.splice(place..place, piece.iter().copied());
        }
        Cut::End(at) => body.truncate(place(at)),
    }
}

/// No image is asked for: none is of this registry. What is asked for is what the laws look at.
fn scope() -> Scope {
    Scope {
        allowed: BTreeSet::from(["nobody.invalid".to_owned()]),
        ..laws::scope()
    }
}

#[test]
fn whatever_comes_is_answered_and_keeps_to_the_laws() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let app = app(scope());
    let bodies: Vec<Vec<u8>> = cases().into_iter().map(|it| it.body).collect();
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(CASES)
    };
    let steps = proptest::collection::vec(step(), 0..5);
    let cuts = prop_oneof![
        3 => Just(Vec::new()),
        1 => proptest::collection::vec(cut(), 1..4),
    ];
    proptest!(config, |(file in 0..bodies.len(), steps in steps, cuts in cuts)| {
        let mut body = bodies[file].clone();
        if let Ok(mut review) = serde_json::from_slice::<Value>(&body) {
            for step in &steps {
                changed(&mut review, step);
            }
            body = serde_json::to_vec(&review).unwrap();
        }
        for cut in &cuts {
            cut_up(&mut body, cut);
        }
        laws::review(&body);
        let (status, answer) = runtime.block_on(ask(&app, &body));
        match review::read(&body) {
            Ok(asked) => {
                prop_assert_eq!(status, 200);
                laws::response(&body, &asked, &answer);
            }
            Err(_) => prop_assert!(status == 400 && !answer.is_empty()),
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn proofs_of_any_bytes_are_taken_in(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        laws::proofs(&data);
    }

    #[test]
    fn of_the_same_proof_the_latest_counts(written in proptest::collection::vec((0..4_u8, -2..3_i32), 0..20)) {
        let proofs = written.iter().flat_map(|(hash, end)| {
            let end = laws::MINUTES.saturating_add_signed(*end).to_be_bytes();
            [[*hash; 16].as_slice(), &end].concat()
        });
        laws::proofs(&proofs.collect::<Vec<u8>>());
    }
}
