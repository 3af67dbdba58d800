//! Says which running images have a copy.

use std::fmt::Write as _;

use futures::future::Either;
use futures::{StreamExt as _, stream};
use kip_image::Reference;
use serde::Serialize;

use super::{All, Running};
use crate::copies::Copier;
use crate::words;

/// An image that runs, and its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The image.
    pub image: String,
    /// Namespaces in which it runs.
    pub namespaces: Vec<String>,
    /// How many pods have it.
    pub pods: usize,
    /// Whether there is a copy.
    pub state: State,
    /// The copy, where there is one.
    pub copy: Option<String>,
    /// Why it is not known whether there is one.
    pub error: Option<String>,
}

/// Whether there is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There is none.
    Missing,
    /// The registry does not answer.
    Unknown,
    /// There is one, of something else than what runs: the tag has moved.
    Other,
    /// There is one.
    There,
}

/// Looks for the copies of all of them, several at a time. Those without one come first.
pub async fn report(copier: &Copier, all: All, at_once: usize) -> Vec<Entry> {
    let originals = all
        .originals
        .into_iter()
        .map(|it| Either::Left(async move { entry(copier, &it.0, it.1).await }));
    let named = all
        .copies
        .into_iter()
        .map(|it| Either::Right(async move { itself(copier, &it.0, it.1).await }));
    let looks = stream::iter(originals.chain(named)).buffer_unordered(at_once);
    let mut entries: Vec<Entry> = looks.collect().await;
    entries.sort_by(|a, b| (a.state, &a.image).cmp(&(b.state, &b.image)));
    entries
}

/// A copy that runs under its own name.
async fn itself(copier: &Copier, copy: &Reference, running: Running) -> Entry {
    let found = copier.is_there(copy).await;
    Entry {
        image: copy.to_string(),
        namespaces: running.namespaces.into_iter().collect(),
        pods: running.pods,
        state: match found {
            Ok(true) => State::There,
            Ok(false) => State::Missing,
            Err(_) => State::Unknown,
        },
        copy: matches!(found, Ok(true)).then(|| copy.to_string()),
        error: found.err().map(|error| words::of(&error)),
    }
}

async fn entry(copier: &Copier, image: &Reference, running: Running) -> Entry {
    let found = copier.find(image).await;
    let state = match &found {
        Ok(None) => State::Missing,
        Err(_) => State::Unknown,
        Ok(Some(copy)) => {
            let digest = copy.digest().map(ToString::to_string).unwrap_or_default();
            // Some runtimes have no digest of what the registry has.
            let is_same = running.digests.is_empty() || running.digests.contains(&digest);
            if is_same { State::There } else { State::Other }
        }
    };
    Entry {
        image: image.to_string(),
        namespaces: running.namespaces.into_iter().collect(),
        pods: running.pods,
        state,
        error: found.as_ref().err().map(|error| words::of(error)),
        copy: found.ok().flatten().map(|copy| copy.to_string()),
    }
}

/// The entries as a table, and a line that sums them up.
pub fn table(entries: &[Entry]) -> String {
    let count = |state| entries.iter().filter(|it| it.state == state).count();
    let width = entries
        .iter()
        .map(|it| it.image.len())
        .max()
        .unwrap_or(5)
        .max(5);
    let mut text = String::new();
    if !entries.is_empty() {
        let _ = writeln!(
            text,
            "{:<8} {:>5} {:<width$} NAMESPACES",
            "COPY", "PODS", "IMAGE"
        );
    }
    for it in entries {
        let word = match it.state {
            State::Missing => "none",
            State::Unknown => "unknown",
            State::Other => "other",
            State::There => "there",
        };
        let namespaces = it.namespaces.join(",");
        let _ = writeln!(
            text,
            "{word:<8} {:>5} {:<width$} {namespaces}",
            it.pods, it.image
        );
        if let Some(error) = &it.error {
            let _ = writeln!(text, "         {error}");
        }
    }
    let _ = writeln!(
        text,
        "{} running images: {} have a copy, {} have one of something else, {} have none, {} are not known",
        entries.len(),
        count(State::There),
        count(State::Other),
        count(State::Missing),
        count(State::Unknown),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_and_a_sum() {
        let entry = |image: &str, state, error: Option<&str>| Entry {
            image: image.to_owned(),
            namespaces: vec!["a".to_owned(), "b".to_owned()],
            pods: 2,
            state,
            copy: None,
            error: error.map(str::to_owned),
        };
        let entries = [
            entry("quay.io/app:1", State::Missing, None),
            entry("docker.io/library/x:1", State::Unknown, Some("no route")),
        ];
        let expected = "\
COPY      PODS IMAGE                 NAMESPACES
none         2 quay.io/app:1         a,b
unknown      2 docker.io/library/x:1 a,b
         no route
2 running images: 0 have a copy, 0 have one of something else, 1 have none, 1 are not known
";
        assert_eq!(table(&entries), expected);
        assert!(table(&[]).starts_with("0 running images"));
    }
}
