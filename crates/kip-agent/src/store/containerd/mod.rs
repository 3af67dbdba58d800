//! containerd's store: blobs by digest, names and snapshots in its databases. Docker's too, where it uses containerd's.

mod content;
mod metadata;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::documents::{Any, chain_ids, document, machine};
use crate::pieces::Piece;
use crate::protocol::{
    Document, Image, Kept, Layer, Listed, Part, Profile, Rebuilt, StoreKind, Wanted,
};
use crate::rebuild;

use super::{Looking, Pieces, Store};
use content::Content;
use metadata::{Metadata, Named, Snapshots};

/// containerd's store below a root, such as `/var/lib/containerd`.
pub struct Containerd {
    content: Content,
    metadata: Metadata,
}

/// A manifest that the node has, with its configuration.
struct Found {
    index: Option<Document>,
    manifest: (String, Vec<u8>, Any),
    config: (String, Vec<u8>, Vec<String>),
}

impl Containerd {
    /// The store, if there is one.
    pub fn below(root: &Path) -> Option<Self> {
        let has = |folder: &str| root.join(folder).is_dir();
        (has("io.containerd.content.v1.content") && has("io.containerd.metadata.v1.bolt")).then(
            || Self {
                content: Content::below(root),
                metadata: Metadata::below(root),
            },
        )
    }

    /// The manifest that a digest of an index or a manifest means on this machine: the first one that is here with its
    /// configuration. One that is damaged is only told where there is no other.
    fn manifest(&self, digest: &str) -> io::Result<Option<Found>> {
        let Some((bytes, any)) = self.content.parsed(digest)? else {
            return Ok(None);
        };
        if any.manifests.is_empty() {
            return self.complete(digest, bytes, any);
        }
        let mut damaged = None;
        for below in any.manifests_for(&machine()) {
            match self.of_index(&below.digest) {
                Ok(Some(mut found)) => {
                    found.index = Some(document(&bytes, digest, any.media_type));
                    return Ok(Some(found));
                }
                Ok(None) => {}
                Err(error) => drop(damaged.get_or_insert(error)),
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    /// A manifest of an index.
    fn of_index(&self, digest: &str) -> io::Result<Option<Found>> {
        let Some((bytes, any)) = self.content.parsed(digest)? else {
            return Ok(None);
        };
        self.complete(digest, bytes, any)
    }

    fn complete(&self, digest: &str, bytes: Vec<u8>, any: Any) -> io::Result<Option<Found>> {
        let Some(config) = any.config() else {
            return Ok(None);
        };
        let Some((config_bytes, config_any)) = self.content.parsed(&config.digest)? else {
            return Ok(None);
        };
        let Some(diff_ids) = config_any.diff_ids() else {
            return Ok(None);
        };
        if diff_ids.len() != any.layers.len() {
            return Ok(None);
        }
        Ok(Some(Found {
            index: None,
            config: (config.digest, config_bytes, diff_ids.to_vec()),
            manifest: (digest.to_owned(), bytes, any),
        }))
    }

    /// What is wanted by a digest: of an index, a manifest, or a configuration that some name leads to.
    fn by_digest(
        &self,
        digest: &str,
        all: &[Named],
        looking: &mut Looking<'_>,
    ) -> io::Result<Option<Found>> {
        if let Some(Some(found)) = looking.note("", self.manifest(digest))? {
            return Ok(Some(found));
        }
        // Kubernetes gives each image a name that is its ID.
        let by_id = all.iter().filter(|named| named.name == digest);
        let others = all.iter().filter(|named| named.name != digest);
        self.first(&mut by_id.chain(others), Some(digest), looking)
    }

    /// The first of these that is whole, and has this configuration where one is wanted.
    fn first(
        &self,
        named: &mut dyn Iterator<Item = &Named>,
        config: Option<&str>,
        looking: &mut Looking<'_>,
    ) -> io::Result<Option<Found>> {
        let is_right = |found: &Found| config.is_none_or(|config| found.config.0 == config);
        let mut seen = Vec::new();
        for named in named {
            looking.working()?;
            // An image has several names.
            if seen.contains(&&named.digest) {
                continue;
            }
            seen.push(&named.digest);
            let found = looking.note(&named.name, self.manifest(&named.digest))?;
            if let Some(found) = found.flatten().filter(is_right) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn image(&self, found: Found, all: &[Named]) -> io::Result<Image> {
        let (manifest_digest, manifest_bytes, manifest) = found.manifest;
        let (config_digest, config_bytes, diff_ids) = found.config;
        let chain = chain_ids(&diff_ids);
        let mut layers = Vec::new();
        for ((diff_id, chain_id), descriptor) in diff_ids.iter().zip(&chain).zip(&manifest.layers) {
            let is_here = self.content.size(&descriptor.digest)? == Some(descriptor.size);
            layers.push(Layer {
                diff_id: diff_id.clone(),
                chain_id: chain_id.clone(),
                blob: Some(descriptor.to_blob()),
                kept: if is_here {
                    Kept::Blob
                } else {
                    Kept::Nothing { why: String::new() }
                },
            });
        }
        if layers.iter().any(|layer| layer.kept != Kept::Blob) {
            let snapshots = self.metadata.snapshots(&chain)?;
            for layer in layers.iter_mut().filter(|layer| layer.kept != Kept::Blob) {
                layer.kept = kept(&snapshots, &layer.chain_id);
            }
        }
        let index = found.index.as_ref().map(|index| &index.digest);
        let target = index.unwrap_or(&manifest_digest);
        let is_name =
            |named: &&Named| named.digest == *target && !named.name.starts_with("sha256:");
        let mut names: Vec<_> = all
            .iter()
            .filter(is_name)
            .map(|named| named.name.clone())
            .collect();
        names.sort();
        names.dedup();
        Ok(Image {
            names,
            store: StoreKind::Containerd,
            manifest: Some(document(
                &manifest_bytes,
                &manifest_digest,
                manifest.media_type,
            )),
            index: found.index,
            config: document(&config_bytes, &config_digest, None),
            layers,
        })
    }
}

impl Store for Containerd {
    fn kind(&self) -> StoreKind {
        StoreKind::Containerd
    }

    fn list(&self, looking: &mut Looking<'_>) -> io::Result<Vec<Listed>> {
        let all = self.metadata.images()?;
        let mut by_digest: BTreeMap<&str, Vec<&Named>> = BTreeMap::new();
        for named in &all {
            by_digest.entry(&named.digest).or_default().push(named);
        }
        let mut listed = Vec::new();
        for (digest, named) in by_digest {
            looking.working()?;
            let mut names: Vec<_> = named.iter().map(|it| it.name.clone()).collect();
            names.retain(|name| !name.starts_with("sha256:"));
            names.sort();
            names.dedup();
            let about = names.first().map_or(digest, String::as_str);
            let found = looking.note(about, self.manifest(digest))?.flatten();
            let layers = found
                .as_ref()
                .map(|it| it.manifest.2.layers.as_slice())
                .unwrap_or_default();
            let is_here = |size: io::Result<Option<u64>>| matches!(size, Ok(Some(_)));
            let here = layers
                .iter()
                .filter(|it| is_here(self.content.size(&it.digest)))
                .count();
            listed.push(Listed {
                names,
                digest: Some(digest.to_owned()),
                size: found
                    .as_ref()
                    .map(|_| layers.iter().map(|it| it.size).sum()),
                blobs: found.as_ref().map(|_| (here, layers.len())),
                id: found.map(|it| it.config.0),
                store: self.kind(),
            });
        }
        Ok(listed)
    }

    fn find(&self, wanted: &Wanted, looking: &mut Looking<'_>) -> io::Result<Option<Image>> {
        let all = self.metadata.images()?;
        let found = match (&wanted.digest, &wanted.name) {
            (Some(digest), _) => self.by_digest(digest, &all, looking)?,
            (None, Some(name)) => {
                let mut named = all.iter().filter(|named| named.name == *name);
                self.first(&mut named, None, looking)?
            }
            (None, None) => None,
        };
        found.map(|found| self.image(found, &all)).transpose()
    }

    fn pieces(&self, part: &Part) -> io::Result<Option<Pieces>> {
        match part {
            Part::Blob { digest } => {
                let Some(size) = self.content.size(digest)? else {
                    return Ok(None);
                };
                let path = self.content.path(digest)?;
                let piece = Piece::File { path, size };
                Ok(Some(Box::new(std::iter::once(Ok(piece)))))
            }
            Part::Snapshot { chain_id, profile } => self.snapshot(chain_id, profile),
            Part::TarSplit { .. } => Ok(None),
        }
    }

    fn rebuild(
        &self,
        layer: &Layer,
        created: &[i64],
        working: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Option<Rebuilt>> {
        let folder = self.metadata.folder(&layer.chain_id)?;
        folder
            .map(|folder| rebuild::prove(&folder, &layer.diff_id, created, working))
            .transpose()
    }
}

impl Containerd {
    fn snapshot(&self, chain_id: &str, profile: &Profile) -> io::Result<Option<Pieces>> {
        let folder = self.metadata.folder(chain_id)?;
        folder
            .map(|folder| rebuild::pieces(&folder, profile))
            .transpose()
    }
}

fn kept(snapshots: &Snapshots, chain_id: &str) -> Kept {
    let found = snapshots
        .get(chain_id)
        .map(Vec::as_slice)
        .unwrap_or_default();
    if found.iter().any(|(_, folder)| folder.is_some()) {
        return Kept::Snapshot;
    }
    let why = match found.first() {
        Some((snapshotter, _)) => {
            format!("the snapshotter '{snapshotter}' keeps no folder with a layer's files")
        }
        None => "neither its blob nor its snapshot is on the node".to_owned(),
    };
    Kept::Nothing { why }
}

#[cfg(test)]
mod tests;
