//! The list of images: `name=image;image;…`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kip_image::{ParseError, Reference};
use sha2::{Digest as _, Sha256};

use super::names::{self, LABEL_MAX};
use super::problem::{Findings, Problem};
use crate::desired::names::COPY_SLEEP;

const IMAGES: &str = "IMAGES";

/// An image to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The container's name: a DNS label, unique in the list.
    pub name: String,
    /// The reference as the user wrote it: runtimes resolve short names by their own rules.
    pub image: String,
}

/// Reads the list; its order is kept, since it is the order in which kubelet pulls.
///
/// Every problem of every entry is added to `findings`.
pub(super) fn parse(text: Option<&str>, findings: &mut Findings) -> Vec<Image> {
    let entries: Vec<&str> = text
        .unwrap_or_default()
        .split(';')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .collect();
    if entries.is_empty() {
        findings.add(match text {
            None => Problem::missing(IMAGES),
            Some(text) => Problem::new(IMAGES, text, "names no image"),
        });
    }
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut images = Vec::with_capacity(entries.len());
    for entry in entries {
        match parse_entry(entry) {
            Err(wrong) => findings.add(Problem::new(IMAGES, entry, wrong)),
            Ok(Image { name, .. }) if first.contains_key(&name) => {
                let other = first[&name];
                let wrong =
                    format!("has the same name {name:?} as the entry {other:?}; names must differ");
                findings.add(Problem::new(IMAGES, entry, wrong));
            }
            Ok(image) => {
                first.insert(image.name.clone(), entry);
                images.push(image);
            }
        }
    }
    images
}

fn parse_entry(entry: &str) -> Result<Image, String> {
    let (name, image) = match entry.split_once('=') {
        None => (None, entry),
        Some((name, image)) => (Some(name.trim()), image.trim()),
    };
    let reference = Reference::parse(image).map_err(|error| place(&error))?;
    let name = match name {
        None => derive_name(&reference),
        Some(name) => {
            names::dns_label(name).map_err(|wrong| format!("the name {name:?} {wrong}"))?;
            name.to_owned()
        }
    };
    if name == COPY_SLEEP {
        return Err(format!(
            "the name {COPY_SLEEP:?} is reserved for the init container"
        ));
    }
    Ok(Image {
        name,
        image: image.to_owned(),
    })
}

/// What is wrong with a reference, and where. The entry itself and an example are in the problem already.
pub(super) fn place(error: &ParseError) -> String {
    format!(
        "{} at character {} of the reference",
        error.problem(),
        error.position() + 1
    )
}

/// A container name for an entry without one. It depends on nothing but the reference, so that it stays
/// the same whatever else is in the list: `quay.io/org/app:1.2` becomes `quay-io-org-app-1-2`. Where that is
/// too long, its end is replaced by the beginning of a hash of the whole.
fn derive_name(reference: &Reference) -> String {
    let familiar = reference.familiar().to_string();
    let mut name = String::with_capacity(familiar.len());
    for c in familiar.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => name.push(c),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_matches('-');
    if name.len() <= LABEL_MAX {
        return name.to_owned();
    }
    let mut short = name[..LABEL_MAX - 11].trim_end_matches('-').to_owned();
    let hash = Sha256::digest(reference.to_string().as_bytes());
    short.push('-');
    for byte in &hash[..5] {
        // Writing to a String cannot fail.
        let _ = write!(short, "{byte:02x}");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut findings = Findings::default();
        let images = parse(Some(text), &mut findings);
        let problems = findings.finish(()).err().map_or_else(Vec::new, |problems| {
            problems.0.iter().map(ToString::to_string).collect()
        });
        (
            images
                .into_iter()
                .map(|image| (image.name, image.image))
                .collect(),
            problems,
        )
    }

    #[test]
    fn spaces_line_breaks_and_a_trailing_semicolon_do_not_count() {
        let (images, problems) = parsed(
            "\n b = nginx:1 ;\n a=quay.io/x/y@sha256:0000000000000000000000000000000000000000000000000000000000000000;; ",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(images[0], ("b".to_owned(), "nginx:1".to_owned()));
        assert_eq!(images[1].0, "a");
    }

    #[test]
    fn a_name_is_derived_where_none_is_given() {
        let (images, problems) = parsed("nginx;quay.io/org/App_x:V1.2;localhost:5000/a/b");
        assert_eq!(
            problems.len(),
            1,
            "upper case is no repository: {problems:?}"
        );
        let names: Vec<_> = images.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["nginx", "localhost-5000-a-b"]);
        let digest = "a".repeat(64);
        let (images, _) = parsed(&format!("quay.io/org/app@sha256:{digest}"));
        assert!(
            images[0].0.starts_with("quay-io-org-app-sha256-aaa"),
            "{images:?}"
        );
        assert_eq!(names::dns_label(&images[0].0), Ok(()));
    }

    #[test]
    fn duplicates_name_both_entries() {
        let (_, problems) = parsed("a=nginx:1;a=nginx:2");
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("a=nginx:1") && problems[0].contains("a=nginx:2"),
            "{problems:?}"
        );
    }

    #[test]
    fn every_bad_entry_is_reported() {
        let (_, problems) = parsed("A=nginx;b=;=nginx;c=Nginx;copy-sleep=nginx;d=nginx=1;ok=nginx");
        assert_eq!(problems.len(), 6, "{problems:#?}");
        let (_, problems) = parsed(" ; ");
        assert_eq!(problems.len(), 1);
    }
}
