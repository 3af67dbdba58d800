//! The answer to a request, from what came of each of its images.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kip_image::Reference;
use serde_json::{Value, json};

use crate::review::{Answer, Change, Operation};
use crate::scope::{Exempt, Left, Task, Wanted};
use crate::workload::Kind;

/// What came of an image that was to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The copy is there: its name, with tag and digest.
    There(Reference),
    /// It is being copied, and the time of the request is over.
    Late,
    /// It cannot be copied, in plain words.
    Failed(String),
}

impl Outcome {
    /// A word, for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::There(_) => "copy",
            Self::Late => "late",
            Self::Failed(_) => "failed",
        }
    }
}

/// What becomes of a request when some image has no copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// It passes, with that image as it was.
    Admit,
    /// It is refused.
    Deny,
}

/// What the settings say of answers.
#[derive(Debug, Clone)]
pub struct Rules {
    /// When a copy takes longer than the request may.
    pub on_timeout: Without,
    /// When there can be no copy.
    pub on_failure: Without,
    /// The pull secret that pods need for the copies, where they need one.
    pub pull_secret: Option<String>,
}

/// The object that is answered for.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its kind.
    pub kind: Kind,
    /// What is done to it.
    pub operation: Operation,
    /// As it is asked for.
    pub value: &'a Value,
    /// The pull secrets of its pods' service account, where they are known. A template has them only where it names none
    /// itself.
    pub account_secrets: Option<&'a [String]>,
}

/// So many characters of a warning are shown for certain ([`warnings`]).
///
/// [`warnings`]: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
const WARNING: usize = 120;
/// So many characters of a text go into the audit log, or into a refusal: an object may have hundreds of images.
const ANNOTATION: usize = 4000;

/// The answer where the object is left alone as a whole.
pub fn left_alone(why: Exempt) -> Answer {
    Answer {
        annotations: BTreeMap::from([("left-alone", why.as_str().to_owned())]),
        left_alone: Some(why.as_str()),
        ..Answer::default()
    }
}

/// The answer. `outcomes` are those of the task's images, in their order.
pub fn answer(object: Object<'_>, task: &Task, outcomes: &[Outcome], rules: &Rules) -> Answer {
    let outcome_words = outcomes.iter().map(Outcome::as_str);
    let left_words = task.left.iter().map(|(_, left)| left.as_str());
    let mut answer = Answer {
        outcomes: outcome_words.chain(left_words).collect(),
        ..Answer::default()
    };
    let (mut copied, mut without, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    for (wanted, outcome) in task.wanted.iter().zip(outcomes) {
        let Wanted { pointer, text, .. } = wanted;
        let (words, rule) = match (outcome, &wanted.before) {
            (Outcome::There(copy), _) => {
                answer.changes.push(replaced(wanted, copy));
                copied.push(format!("{text} is {copy}"));
                continue;
            }
            // Nothing is rolled out anew because a registry is away.
            (_, Some(copy)) => {
                answer.changes.push(replaced(wanted, copy));
                copied.push(format!("{text} is still {copy}"));
                continue;
            }
            (Outcome::Late, None) => ("it is still being copied".to_owned(), rules.on_timeout),
            (Outcome::Failed(words), None) => (words.clone(), rules.on_failure),
        };
        without.push(format!("{pointer} {text}: {words}"));
        let line = format!("{text} has no copy: {words}");
        match rule {
            Without::Admit => answer.warnings.push(bounded(one_line(&line), WARNING)),
            Without::Deny => refusals.push(line),
        }
    }
    if !refusals.is_empty() {
        answer.refusal = Some(bounded(refusals.join("; "), ANNOTATION));
        answer.changes.clear();
    }
    // A pod may have nothing but copies, and a template that was rewritten before there was a secret as well.
    let has_copies = task.left.iter().any(|(_, left)| *left == Left::Copy);
    let needs_secret = !answer.changes.is_empty() || (object.kind.is_pod() && has_copies);
    if needs_secret && answer.refusal.is_none() {
        answer.changes.extend(secret(object, rules));
    }
    let left = task
        .left
        .iter()
        .map(|(pointer, left)| format!("{pointer}: {left}"));
    let texts = [
        ("copied", copied),
        ("without-copy", without),
        ("left-alone", left.collect()),
    ];
    let texts = texts.into_iter().filter(|(_, lines)| !lines.is_empty());
    let texts = texts.map(|(key, lines)| (key, bounded(lines.join("; "), ANNOTATION)));
    answer.annotations = texts.collect();
    answer
}

/// Nothing is changed where something else stands by then.
fn replaced(wanted: &Wanted, copy: &Reference) -> Change {
    Change::Replace {
        path: wanted.pointer.clone(),
        value: json!(copy.to_string()),
    }
}

impl Rules {
    /// Whether the object's pods need a pull secret for the copies that they have not got and cannot get: what it names is
    /// fixed once a pod is made.
    pub fn lacks_secret(&self, kind: Kind, operation: Operation, value: &Value) -> bool {
        let is_fixed = kind.is_pod() && operation != Operation::Create;
        let name = self.pull_secret.as_deref();
        name.is_some_and(|name| is_fixed && !has_secret(kind, value, name))
    }

    /// Whether the pull secrets of the pods' service account must be known: a template that names one does not get those of
    /// the account any more.
    pub fn needs_account(&self, kind: Kind, value: &Value) -> bool {
        let names_none = secrets(kind, value).is_none_or(<[Value]>::is_empty);
        self.pull_secret.is_some() && !kind.is_pod() && names_none
    }
}

fn secrets(kind: Kind, value: &Value) -> Option<&[Value]> {
    let list = value.pointer(&format!("{}/imagePullSecrets", kind.pod_spec));
    list.and_then(Value::as_array).map(Vec::as_slice)
}

fn has_secret(kind: Kind, value: &Value, name: &str) -> bool {
    let there = secrets(kind, value).unwrap_or_default();
    there.iter().any(|secret| secret["name"] == name)
}

/// The pull secret for the copies, where the object may have another one and has not got it.
fn secret(object: Object<'_>, rules: &Rules) -> Option<Change> {
    let name = rules.pull_secret.as_deref()?;
    let Object { kind, value, .. } = object;
    // A template has it, so that its pods have it though nobody is asked about them.
    let is_fixed = kind.is_pod() && object.operation != Operation::Create;
    if is_fixed || has_secret(kind, value, name) {
        return None;
    }
    let list = format!("{}/imagePullSecrets", kind.pod_spec);
    if secrets(kind, value).is_some_and(|there| !there.is_empty()) {
        return Some(Change::Add {
            path: format!("{list}/-"),
            value: json!({"name": name}),
        });
    }
    // A pod has its account's by now, where that has any.
    let account = object.account_secrets.filter(|_| !kind.is_pod());
    let account = account.unwrap_or_default().iter().map(String::as_str);
    let names = account.filter(|it| *it != name).chain([name]);
    let all: Vec<Value> = names.map(|name| json!({"name": name})).collect();
    Some(Change::Add {
        path: list,
        value: json!(all),
    })
}

/// The text, or as many characters of it as there may be.
fn bounded(text: String, most: usize) -> String {
    if text.len() <= most || text.chars().count() <= most {
        return text;
    }
    let beginning: String = text.chars().take(most - 1).collect();
    format!("{beginning}…")
}

/// What a registry has said may have line breaks and the like, which a warning may not.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}
