//! containerd's databases: which names images have, and in which folder a layer's snapshot is.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::bolt::{Bucket, Database};

/// A name and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Kubernetes' are in `k8s.io`, Docker's in `moby`.
    pub(super) namespace: String,
    pub(super) name: String,
    /// Of an index or a manifest.
    pub(super) digest: String,
}

/// What is known of names and snapshots.
pub(super) struct Metadata {
    root: PathBuf,
}

/// Where snapshots are: by chain ID, the snapshotter's name and its folder of the layer's files, if it keeps such folders.
pub(super) type Snapshots = BTreeMap<String, Vec<(String, Option<PathBuf>)>>;

impl Metadata {
    pub(super) fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    fn database(&self) -> io::Result<Database> {
        Database::open(&self.root.join("io.containerd.metadata.v1.bolt/meta.db"))
    }

    /// All names, those of Kubernetes first.
    pub(super) fn images(&self) -> io::Result<Vec<Named>> {
        let mut all = self.database()?.read(|top| {
            let mut all = Vec::new();
            for (namespace, bucket) in namespaces(top)? {
                let Some(images) = bucket.bucket(b"images")? else {
                    continue;
                };
                for (name, image) in images.buckets()? {
                    let Some(target) = image.bucket(b"target")? else {
                        continue;
                    };
                    let Some(digest) = target.get(b"digest")? else {
                        continue;
                    };
                    all.push(Named {
                        namespace: namespace.clone(),
                        name: text(&name),
                        digest: text(&digest),
                    });
                }
            }
            Ok(all)
        })?;
        all.sort_by_key(|named| order(&named.namespace));
        Ok(all)
    }

    /// Where the snapshots of these layers are. A snapshotter whose database is damaged only counts where no other has a layer.
    pub(super) fn snapshots(&self, chain_ids: &[String]) -> io::Result<Snapshots> {
        let keys = self.database()?.read(|top| snapshot_keys(top, chain_ids))?;
        let mut found = Snapshots::new();
        let mut damaged = None;
        for (snapshotter, keys) in keys {
            let folders = self.folders(&snapshotter, &keys).unwrap_or_else(|error| {
                damaged.get_or_insert(error);
                BTreeMap::new()
            });
            for (chain_id, _) in keys {
                let folder = folders.get(&chain_id).cloned();
                found
                    .entry(chain_id)
                    .or_default()
                    .push((snapshotter.clone(), folder));
            }
        }
        let is_here = |all: &Vec<(_, Option<PathBuf>)>| all.iter().any(|(_, it)| it.is_some());
        match damaged {
            Some(error) if !found.values().all(is_here) => Err(error),
            _ => Ok(found),
        }
    }

    /// The folder of a layer's files.
    pub(super) fn folder(&self, chain_id: &str) -> io::Result<Option<PathBuf>> {
        let found = self.snapshots(&[chain_id.to_owned()])?;
        Ok(found.into_values().flatten().find_map(|(_, folder)| folder))
    }

    /// The folders that a snapshotter has under these keys.
    fn folders(
        &self,
        snapshotter: &str,
        keys: &[(String, Vec<u8>)],
    ) -> io::Result<BTreeMap<String, PathBuf>> {
        let Some((folder, database)) = self.snapshotter(snapshotter)? else {
            return Ok(BTreeMap::new());
        };
        let numbers = database.read(|top| {
            let Some(snapshots) = top.path(SNAPSHOTS)? else {
                return Ok(Vec::new());
            };
            let mut numbers = Vec::new();
            for (chain_id, key) in keys {
                if let Some(number) = number(&snapshots, key)? {
                    numbers.push((chain_id.clone(), number));
                }
            }
            Ok(numbers)
        })?;
        let known = numbers.into_iter();
        let known = known.map(|(chain_id, number)| (chain_id, files(&folder, number)));
        Ok(known.filter(|(_, folder)| folder.is_dir()).collect())
    }

    /// A snapshotter's folder and database, where it has any. Its name comes from containerd's database.
    fn snapshotter(&self, name: &str) -> io::Result<Option<(PathBuf, Database)>> {
        let folder = self
            .root
            .join(format!("io.containerd.snapshotter.v1.{name}"));
        let path = folder.join("metadata.db");
        if name.contains('/') || !path.is_file() {
            return Ok(None);
        }
        Ok(Some((folder, Database::open(&path)?)))
    }
}

/// Where a snapshotter has its snapshots by key.
const SNAPSHOTS: &[&[u8]] = &[b"v1", b"snapshots"];

/// The number by which a snapshotter names a snapshot's folder.
fn number(snapshots: &Bucket<'_>, key: &[u8]) -> io::Result<Option<u64>> {
    let Some(snapshot) = snapshots.bucket(key)? else {
        return Ok(None);
    };
    Ok(snapshot.get(b"id")?.as_deref().and_then(uvarint))
}

/// Where overlay snapshotters have a layer's files.
fn files(folder: &Path, number: u64) -> PathBuf {
    folder.join("snapshots").join(number.to_string()).join("fs")
}

/// By snapshotter: which key it has the layers under.
type Keys = BTreeMap<String, Vec<(String, Vec<u8>)>>;

fn snapshot_keys(top: &Bucket<'_>, chain_ids: &[String]) -> io::Result<Keys> {
    let mut keys = Keys::new();
    let mut all = namespaces(top)?;
    all.sort_by_key(|(namespace, _)| order(namespace));
    for (_, bucket) in all {
        let Some(snapshots) = bucket.bucket(b"snapshots")? else {
            continue;
        };
        for (snapshotter, snapshots) in snapshots.buckets()? {
            let known = keys.entry(text(&snapshotter)).or_default();
            for chain_id in chain_ids {
                let Some(snapshot) = snapshots.bucket(chain_id.as_bytes())? else {
                    continue;
                };
                let Some(key) = snapshot.get(b"name")? else {
                    continue;
                };
                if !known.iter().any(|(found, _)| found == chain_id) {
                    known.push((chain_id.clone(), key));
                }
            }
        }
    }
    Ok(keys)
}

fn namespaces<'a>(top: &Bucket<'a>) -> io::Result<Vec<(String, Bucket<'a>)>> {
    let Some(version) = top.bucket(b"v1")? else {
        return Ok(Vec::new());
    };
    let all = version.buckets()?;
    Ok(all
        .into_iter()
        .map(|(name, bucket)| (text(&name), bucket))
        .collect())
}

/// Kubernetes' first, then Docker's.
fn order(namespace: &str) -> usize {
    let known = ["k8s.io", "moby"];
    known
        .iter()
        .position(|it| *it == namespace)
        .unwrap_or(known.len())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Go's `binary.Uvarint`.
fn uvarint(bytes: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(at * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::uvarint;

    #[test]
    fn numbers_are_gos() {
        assert_eq!(uvarint(&[5]), Some(5));
        assert_eq!(uvarint(&[0xac, 0x02]), Some(300));
        assert_eq!(uvarint(&[]), None);
        assert_eq!(uvarint(&[0x80; 12]), None);
    }
}
