//! How the texts of settings are read.

use std::collections::BTreeSet;
use std::time::Duration;

use kip_image::Reference;

use crate::workload::{KINDS, Kind};

/// The entries of a list, without what surrounds them and without empty ones.
pub(super) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|it| !it.is_empty())
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        format!("is not one of {}", words.join(", "))
    })
}

/// A duration in Go's syntax, of this length at least.
pub(super) fn duration(text: &str, least: Duration) -> Result<Duration, String> {
    let nanoseconds = kip_sleep::duration::parse(text.as_bytes());
    let nanoseconds = nanoseconds.map_err(|_| "is no duration".to_owned())?;
    let duration = u64::try_from(nanoseconds).map(Duration::from_nanos);
    match duration {
        Ok(duration) if duration >= least => Ok(duration),
        _ => Err(format!("is less than {} s", least.as_secs())),
    }
}

pub(super) fn number(text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("is no number from 1 to {most}"))
}

/// A number of bytes, as Kubernetes writes it.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40)];
    let of = |(unit, shift): (&str, u32)| Some((text.strip_suffix(unit)?, shift));
    let (number, shift) = units.into_iter().find_map(of).unwrap_or((text, 0));
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|it| it.checked_mul(1 << shift));
    let bytes = bytes.filter(|it| *it > 0);
    bytes.ok_or_else(|| "is no number of bytes".to_owned())
}

/// Registries as references name them.
pub(super) fn registries(text: &str) -> Result<BTreeSet<String>, String> {
    entries(text)
        .map(|entry| {
            if is_registry(entry) {
                Ok(entry.to_owned())
            } else {
                Err(format!(
                    "{entry:?} is no registry as references name them: a host, and a port if they have one"
                ))
            }
        })
        .collect()
}

/// Whether a reference can begin so.
fn is_registry(text: &str) -> bool {
    let reference = Reference::parse(&format!("{text}/repository"));
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    let is_host = port.is_none_or(|port| port.is_ok_and(|port| port > 0)) || text.ends_with(']');
    is_host && reference.is_ok_and(|reference| reference.registry() == text)
}

/// `templates`, `pods`, or kinds by their names.
pub(super) fn kinds(text: &str) -> Result<Vec<Kind>, String> {
    match text {
        "templates" => return Ok(KINDS.to_vec()),
        "pods" => return Ok(KINDS.into_iter().filter(|it| it.is_pod()).collect()),
        _ => {}
    }
    entries(text)
        .map(|entry| {
            let kind = KINDS.into_iter().find(|it| it.name == entry);
            kind.ok_or_else(|| {
                let names = KINDS.map(|it| it.name).join(", ");
                format!("{entry:?} is neither `templates` nor `pods`, nor one of {names}")
            })
        })
        .collect()
}

/// Labels as `key=value`.
pub(super) fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    entries(text)
        .map(|entry| match entry.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(format!("{entry:?} is no label: a key, `=` and a value")),
        })
        .collect()
}

/// The name of most objects: a DNS subdomain ([rule]).
///
/// [rule]: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
pub(crate) fn object_name(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        let is_known = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
        !part.is_empty()
            && part.chars().all(is_known)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(is_part) {
        Ok(text.to_owned())
    } else {
        Err("is no name: at most 253 of a-z, 0-9, '-' and '.' are allowed, a letter or digit first and last".to_owned())
    }
}

/// Names of objects.
pub(super) fn object_names(text: &str) -> Result<BTreeSet<String>, String> {
    let checked = |entry| object_name(entry).map_err(|wrong| format!("{entry:?} {wrong}"));
    entries(text).map(checked).collect()
}
