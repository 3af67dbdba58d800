//! What the registries said, in words and tables.

use std::fmt::Write as _;

use super::{Answer, Unknown};
use crate::architecture::Architecture;
use crate::footprint::{Footprint, TOO_MUCH, bytes, is_too_much, on_disk, on_disk_factor};
use crate::inspect::{Fit, Inspected};
use crate::sizing::amount::Amount;
use crate::sizing::{aligned, percent};

/// So many platforms are named in a message.
const NAMED: usize = 8;

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For standard output.
    pub text: String,
    /// For standard error, a line each.
    pub complaints: Vec<String>,
    /// Whether an image of the list cannot be had, whenever it is tried.
    pub is_wrong: bool,
    /// Whether nothing is known of an image.
    pub is_incomplete: bool,
}

/// Sums up what is known of the images of a list, for nodes of these architectures with a disk of this size.
pub fn report(answers: &[Answer<'_>], architectures: &[Architecture], disk: Amount) -> Report {
    let mut report = Report {
        text: String::new(),
        complaints: Vec::new(),
        is_wrong: false,
        is_incomplete: false,
    };
    for answer in answers {
        report.judge(answer, architectures);
    }
    let known: Vec<(&str, &Inspected)> = answers
        .iter()
        .filter_map(|answer| Some((answer.image.name.as_str(), answer.found.as_ref().ok()?)))
        .collect();
    if !known.is_empty() {
        let footprint = Footprint::of(known.iter().map(|(_, image)| *image));
        report.text = sums(&known, &footprint, architectures);
        let too_much = architectures
            .iter()
            .filter_map(|architecture| too_much(*architecture, &footprint, disk));
        report.complaints.extend(too_much);
    }
    let unknown = answers.len() - known.len();
    if unknown > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(
            report.text,
            "\nNothing is known of {unknown} of {} images: they are not counted",
            answers.len()
        );
    }
    report
}

impl Report {
    fn judge(&mut self, answer: &Answer<'_>, architectures: &[Architecture]) {
        let name = &answer.image.name;
        match &answer.found {
            Err(Unknown { reason, is_final }) => {
                self.is_wrong |= is_final;
                self.is_incomplete |= !is_final;
                self.complaints
                    .push(format!("error: image {name}: {reason}"));
            }
            Ok(image) => {
                let is_nowhere = !architectures.iter().any(|one| image.fit(*one).runs());
                self.is_wrong |= is_nowhere;
                if let Some(lack) = lack(image, architectures) {
                    let what = if is_nowhere { "error" } else { "warning" };
                    let image = &answer.image.image;
                    self.complaints
                        .push(format!("{what}: image {name}: {image} {lack}"));
                }
            }
        }
    }
}

/// What an image is not for.
fn lack(image: &Inspected, architectures: &[Architecture]) -> Option<String> {
    let (fits, lacks): (Vec<_>, Vec<_>) = architectures
        .iter()
        .partition(|one| image.fit(**one).runs());
    if lacks.is_empty() {
        return None;
    }
    let mut text = format!("is not there for {}", list(&lacks, "or"));
    let runs = Architecture::ALL
        .into_iter()
        .filter(|one| image.fit(*one).runs());
    let mut there: Vec<String> = runs.map(|one| format!("linux/{one}")).collect();
    there.extend(image.others.iter().cloned());
    let more = there.len().saturating_sub(NAMED);
    there.truncate(NAMED);
    if !there.is_empty() {
        let _ = write!(text, ", only for {}", there.join(", "));
    }
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    let foreign = lacks
        .iter()
        .any(|one| matches!(image.fit(**one), Fit::Foreign(_)));
    text.push_str(match (foreign, fits.is_empty()) {
        (true, _) => {
            ": nodes of another architecture fetch it all the same, and its programs do not start there"
        }
        (false, false) => ": nodes of another architecture cannot pull it",
        (false, true) => ": no node can pull it",
    });
    Some(text)
}

fn sums(
    known: &[(&str, &Inspected)],
    footprint: &Footprint,
    architectures: &[Architecture],
) -> String {
    let mut head = vec![String::new()];
    for architecture in architectures {
        head.extend([architecture.to_string(), "own".to_owned()]);
    }
    let mut rows = vec![head];
    let shares: Vec<Vec<_>> = architectures
        .iter()
        .map(|architecture| footprint.shares(*architecture).collect())
        .collect();
    for (at, (name, image)) in known.iter().enumerate() {
        let mut row = vec![(*name).to_owned()];
        for (architecture, shares) in architectures.iter().zip(&shares) {
            let share = shares[at];
            row.extend(match image.fit(*architecture) {
                Fit::Runs(_) => [bytes(share.bytes), bytes(share.own)],
                Fit::Foreign(_) => [format!("({})", bytes(share.bytes)), bytes(share.own)],
                Fit::Absent => ["none".to_owned(), String::new()],
            });
        }
        rows.push(row);
    }
    let nodes = |of: fn(u64) -> String| {
        architectures
            .iter()
            .flat_map(move |one| [of(footprint.node(*one)), String::new()])
    };
    rows.push(
        [String::from("a node pulls")]
            .into_iter()
            .chain(nodes(bytes))
            .collect(),
    );
    let stored = |pulled| format!("~{}", bytes(on_disk(pulled)));
    rows.push(
        [String::from("on its disk")]
            .into_iter()
            .chain(nodes(stored))
            .collect(),
    );
    format!(
        "\nBy the registries, the bytes that a node of each architecture pulls; a layer of several images counts once for a\n\
         node. \"own\": what no other image of the list has.\n{}\
         On the disk: an estimate, {} × what is pulled. The runtime keeps the layers as they are pulled, and unpacked.\n",
        aligned(&rows),
        on_disk_factor(),
    )
}

fn too_much(architecture: Architecture, footprint: &Footprint, disk: Amount) -> Option<String> {
    let stored = on_disk(footprint.node(architecture));
    let size = u64::try_from(disk.milli() / 1000).unwrap_or(u64::MAX);
    if !is_too_much(stored, size) {
        return None;
    }
    let taken = Amount::bytes(i128::from(stored));
    Some(format!(
        "warning: the images take about {} of the disk of a node of {architecture}, {} of {disk} (--node-disk), more than \
         {TOO_MUCH} %: kubelet cannot remove images that are held; make the list shorter, or the disk larger",
        bytes(stored),
        percent(taken, disk),
    ))
}

fn list(architectures: &[&Architecture], word: &str) -> String {
    let names: Vec<String> = architectures.iter().map(ToString::to_string).collect();
    names.join(&format!(" {word} "))
}

#[cfg(test)]
mod tests;
