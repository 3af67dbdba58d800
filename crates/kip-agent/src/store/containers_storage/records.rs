//! What containers/storage writes down of images and layers.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::documents::sha256;
use crate::pieces::of_path;
use crate::store::files;

/// An image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct ImageRecord {
    /// The digest of the configuration without its algorithm, as a rule.
    pub(super) id: String,
    /// Of the manifest.
    pub(super) digest: Option<String>,
    /// Whole names.
    pub(super) names: Vec<String>,
    /// The ID of the highest layer.
    pub(super) layer: String,
    /// What is kept of it in files: the configuration, manifests, signatures.
    pub(super) big_data_digests: BTreeMap<String, String>,
    /// In which of the roots it is.
    #[serde(skip)]
    pub(super) root: usize,
}

/// A layer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct LayerRecord {
    pub(super) id: String,
    pub(super) parent: String,
    /// Of its uncompressed tar. A partial pull may not know it.
    pub(super) diff_digest: Option<String>,
    /// Of its uncompressed tar, in bytes; -1 where it is not known.
    pub(super) diff_size: i64,
    /// Of the table of contents, where the tar was not looked at as a whole.
    pub(super) toc_digest: Option<String>,
    flags: Option<BTreeMap<String, Value>>,
    /// In which of the roots it is.
    #[serde(skip)]
    pub(super) root: usize,
}

impl LayerRecord {
    /// In bytes, where it is known.
    pub(super) fn size(&self) -> Option<u64> {
        // What was written before there were sizes has none.
        let is_known = self.diff_digest.is_some() && self.diff_size > 0;
        u64::try_from(self.diff_size).ok().filter(|_| is_known)
    }

    /// Whether it is still being written, or was left so.
    pub(super) fn is_incomplete(&self) -> bool {
        let flag = self.flags.as_ref().and_then(|it| it.get("incomplete"));
        flag == Some(&Value::Bool(true))
    }
}

/// All that is written down. Of what is in several roots, the first one counts.
pub(super) struct Records {
    pub(super) images: Vec<ImageRecord>,
    layers: HashMap<String, LayerRecord>,
    /// What of it could not be read.
    pub(super) damaged: Vec<io::Error>,
}

impl Records {
    pub(super) fn read(roots: &[PathBuf]) -> Self {
        let mut records = Self {
            images: Vec::new(),
            layers: HashMap::new(),
            damaged: Vec::new(),
        };
        for (at, root) in roots.iter().enumerate() {
            let images = root.join("overlay-images/images.json");
            let images: Vec<ImageRecord> = each(&images, &mut records.damaged);
            for image in images {
                if records.images.iter().all(|known| known.id != image.id) {
                    records.images.push(ImageRecord { root: at, ..image });
                }
            }
            for name in ["layers.json", "volatile-layers.json"] {
                let layers = root.join("overlay-layers").join(name);
                let layers: Vec<LayerRecord> = each(&layers, &mut records.damaged);
                for layer in layers {
                    let known = records.layers.entry(layer.id.clone());
                    known.or_insert(LayerRecord { root: at, ..layer });
                }
            }
        }
        records
    }

    /// The layer with this ID and those below it, the highest first. `None` where one of them is missing.
    pub(super) fn stack(&self, top: &str) -> Option<Vec<&LayerRecord>> {
        let mut stack = Vec::new();
        let mut next = top;
        while !next.is_empty() {
            // A chain that comes back to itself has no end.
            if stack.len() > self.layers.len() {
                return None;
            }
            let layer = self.layers.get(next)?;
            stack.push(layer);
            next = &layer.parent;
        }
        Some(stack)
    }

    /// The IDs of all layers with this chain ID: there are several where containers have user namespaces.
    pub(super) fn with_chain_id(&self, chain_id: &str) -> Vec<&str> {
        let mut known = HashMap::new();
        for id in self.layers.keys() {
            self.learn_chain_ids(id, &mut known);
        }
        known.retain(|_, known| known.as_deref() == Some(chain_id));
        let mut found: Vec<_> = known.into_keys().collect();
        // Each call must choose the same one.
        found.sort_unstable();
        found
    }

    /// The chain IDs of the layer and those below it, as far as they are not known yet.
    fn learn_chain_ids<'a>(&'a self, id: &'a str, known: &mut HashMap<&'a str, Option<String>>) {
        let mut open = Vec::new();
        let mut next = id;
        while !next.is_empty() && !known.contains_key(next) && open.len() <= self.layers.len() {
            open.push(next);
            next = self.layers.get(next).map_or("", |layer| &layer.parent);
        }
        while let Some(id) = open.pop() {
            let chain_id = self.layers.get(id).and_then(|layer| {
                let diff_id = layer.diff_digest.as_ref()?;
                if layer.parent.is_empty() {
                    return Some(diff_id.clone());
                }
                let below = known.get(layer.parent.as_str())?.as_ref()?;
                Some(sha256(format!("{below} {diff_id}").as_bytes()))
            });
            known.insert(id, chain_id);
        }
    }
}

/// The records in a file. One that is none does not hide the others.
fn each<T: DeserializeOwned>(path: &Path, damaged: &mut Vec<io::Error>) -> Vec<T> {
    let mut records = Vec::new();
    for text in texts(path, damaged) {
        match serde_json::from_slice(&text) {
            Ok(record) => records.push(record),
            Err(error) => damaged.push(of_record(path, &text, &error)),
        }
    }
    records
}

/// Each by its text: to read it from a value would be code of its own, and the agent is small.
fn texts(path: &Path, damaged: &mut Vec<io::Error>) -> Vec<Vec<u8>> {
    let all = files::json::<Vec<Value>>(path).unwrap_or_else(|error| {
        damaged.push(error);
        None
    });
    let texts = all.unwrap_or_default().into_iter();
    texts.flat_map(|it| serde_json::to_vec(&it)).collect()
}

fn of_record(path: &Path, text: &[u8], error: &serde_json::Error) -> io::Error {
    let record: Value = serde_json::from_slice(text).unwrap_or_default();
    let id = record.get("id").and_then(Value::as_str).unwrap_or("?");
    let what = format!("the record of {id}: {error}");
    of_path(path, io::Error::new(io::ErrorKind::InvalidData, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(layers: &[(&str, &str, Option<&str>)]) -> Records {
        let layer = |(id, parent, digest): &(&str, &str, Option<&str>)| LayerRecord {
            id: (*id).to_owned(),
            parent: (*parent).to_owned(),
            diff_digest: digest.map(str::to_owned),
            ..LayerRecord::default()
        };
        let layers = layers.iter().map(layer);
        Records {
            images: Vec::new(),
            damaged: Vec::new(),
            layers: layers.map(|it| (it.id.clone(), it)).collect(),
        }
    }

    #[test]
    fn layers_are_found_by_their_chain() {
        let records = records(&[
            ("1", "", Some("sha256:a")),
            ("2", "1", Some("sha256:b")),
            ("2-copy", "1", Some("sha256:b")),
            ("3", "2", None),
            ("4", "3", Some("sha256:d")),
        ]);
        let ids = |top| {
            let stack = records.stack(top)?;
            Some(stack.iter().map(|it| it.id.as_str()).collect::<Vec<_>>())
        };
        assert_eq!(ids("2").unwrap(), ["2", "1"]);
        assert_eq!(ids("").unwrap(), [""; 0]);
        assert!(ids("5").is_none());
        assert_eq!(records.with_chain_id("sha256:a"), ["1"]);
        let chain_id = sha256(b"sha256:a sha256:b");
        assert_eq!(records.with_chain_id(&chain_id), ["2", "2-copy"]);
        assert!(records.with_chain_id("sha256:d").is_empty());
    }

    #[test]
    fn a_chain_without_an_end_is_none() {
        let records = records(&[("1", "2", Some("sha256:a")), ("2", "1", Some("sha256:b"))]);
        assert!(records.stack("1").is_none());
        assert!(records.with_chain_id("sha256:a").is_empty());
    }
}
