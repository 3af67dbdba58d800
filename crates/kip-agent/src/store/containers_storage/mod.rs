//! containers/storage: the images of CRI-O, podman and buildah, unpacked by its overlay driver, with their tar-split.

mod documents;
mod records;

use std::io;
use std::path::{Path, PathBuf};

use crate::documents::{chain_ids, document};
use crate::pieces::of_path;
use crate::protocol::{Image, Kept, Layer, Listed, Part, Rebuilt, StoreKind, Wanted};
use crate::rebuild;

use super::names;
use super::unpacked::Unpacked;
use super::{Looking, Pieces, Store, files};
use documents::{Documents, config_digest, manifest_digests};
use records::{ImageRecord, LayerRecord, Records};

/// The store below a root, such as `/var/lib/containers/storage`.
pub struct ContainersStorage {
    roots: Vec<PathBuf>,
}

impl ContainersStorage {
    /// The store, if there is one. `others` are roots that it shares: an `imagestore` of its own for images, or additional
    /// stores that are only read.
    ///
    /// # Errors
    /// When a folder cannot be looked at.
    pub fn open(root: &Path, others: &[PathBuf]) -> io::Result<Option<Self>> {
        let mut roots = Vec::new();
        for root in std::iter::once(root).chain(others.iter().map(PathBuf::as_path)) {
            let layers = root.join("overlay-layers");
            if layers.try_exists().map_err(|e| of_path(&layers, e))? {
                roots.push(root.to_owned());
            }
        }
        Ok((!roots.is_empty()).then_some(Self { roots }))
    }

    fn image(
        &self,
        records: &Records,
        record: &ImageRecord,
        wanted: Option<&str>,
    ) -> io::Result<Image> {
        let documents = Documents::read(&self.roots, record, wanted)?;
        let (config_digest, config_bytes, config) = documents.config;
        let diff_ids = config.diff_ids().unwrap_or_default();
        let stack = layers_of(records, record, diff_ids);
        let blobs = documents.manifest.as_ref();
        let blobs = blobs.map(|(_, _, manifest)| &manifest.layers);
        let blobs = blobs.filter(|blobs| blobs.len() == diff_ids.len());
        let mut layers = Vec::new();
        for (at, (diff_id, chain_id)) in diff_ids.iter().zip(chain_ids(diff_ids)).enumerate() {
            layers.push(Layer {
                diff_id: diff_id.clone(),
                chain_id,
                blob: blobs.map(|blobs| blobs[at].to_blob()),
                kept: match &stack {
                    Some(stack) => self.kept(stack[at], diff_id)?,
                    None => nothing("the layers in the store are not those of the image"),
                },
            });
        }
        let manifest = documents.manifest;
        Ok(Image {
            names: names::in_order(record.names.clone()),
            store: self.kind(),
            manifest: manifest
                .map(|(digest, bytes, any)| document(&bytes, &digest, any.media_type)),
            index: documents.index,
            config: document(&config_bytes, &config_digest, None),
            layers,
        })
    }

    fn kept(&self, layer: &LayerRecord, diff_id: &str) -> io::Result<Kept> {
        if layer.is_incomplete() {
            return Ok(nothing("it was not unpacked to its end"));
        }
        // A partial pull that checked no more than the table of contents does not know the tar's digest.
        let is_other = layer.diff_digest.as_ref().is_some_and(|it| it != diff_id);
        if is_other || (layer.diff_digest.is_none() && layer.toc_digest.is_none()) {
            return Ok(nothing("the layer in the store is another one"));
        }
        if self.composefs(layer)?.exists() {
            return Ok(nothing("its files are kept for composefs, without names"));
        }
        self.unpacked(layer)?.kept(layer.size())
    }

    /// Where the layer's parts are. With an `imagestore` they may be in another root than the record.
    fn unpacked(&self, layer: &LayerRecord) -> io::Result<Unpacked> {
        let id = files::part(&layer.id)?;
        Ok(Unpacked {
            tar_split: self.in_a_root(layer.root, &format!("overlay-layers/{id}.tar-split.gz")),
            files: self.in_a_root(layer.root, &format!("overlay/{id}/diff")),
        })
    }

    fn composefs(&self, layer: &LayerRecord) -> io::Result<PathBuf> {
        let id = files::part(&layer.id)?;
        Ok(self.in_a_root(layer.root, &format!("overlay/{id}/composefs-data")))
    }

    fn in_a_root(&self, first: usize, path: &str) -> PathBuf {
        let first = self.roots[first].join(path);
        let mut others = self.roots.iter().map(|root| root.join(path));
        if first.exists() {
            return first;
        }
        others.find(|other| other.exists()).unwrap_or(first)
    }

    /// The layer with this chain ID and those below it, the highest first.
    fn with_chain_id<'a>(
        &self,
        records: &'a Records,
        chain_id: &str,
    ) -> io::Result<Option<Vec<&'a LayerRecord>>> {
        let mut found = Vec::new();
        for id in records.with_chain_id(chain_id) {
            found.extend(records.stack(id));
        }
        if found.is_empty() {
            // A layer without its digest has a chain ID in the configurations of its images only.
            for image in &records.images {
                found.extend(self.by_config(records, image, chain_id));
            }
        }
        // The copies for user namespaces have no tar-split.
        let mut best = None;
        for stack in found {
            let is_whole = self.unpacked(stack[0])?.tar_split.exists();
            if is_whole || best.is_none() {
                best = Some(stack);
            }
            if is_whole {
                break;
            }
        }
        Ok(best)
    }

    fn by_config<'a>(
        &self,
        records: &'a Records,
        image: &ImageRecord,
        chain_id: &str,
    ) -> Option<Vec<&'a LayerRecord>> {
        let documents = Documents::read(&self.roots, image, None).ok()?;
        let diff_ids = documents.config.2.diff_ids()?;
        let at = chain_ids(diff_ids).iter().position(|it| it == chain_id)?;
        let mut stack = layers_of(records, image, diff_ids)?;
        stack.truncate(at + 1);
        stack.reverse();
        Some(stack)
    }

    fn layer(&self, chain_id: &str) -> io::Result<Option<Unpacked>> {
        let mut records = Records::read(&self.roots);
        match self.with_chain_id(&records, chain_id)? {
            Some(stack) => self.unpacked(stack[0]).map(Some),
            // It may be in what cannot be read.
            None => records.damaged.pop().map_or(Ok(None), Err),
        }
    }

    fn records(&self, looking: &mut Looking<'_>) -> io::Result<Records> {
        let mut records = Records::read(&self.roots);
        for damaged in records.damaged.drain(..) {
            looking.add("", &damaged);
        }
        looking.working()?;
        Ok(records)
    }
}

impl Store for ContainersStorage {
    fn kind(&self) -> StoreKind {
        StoreKind::ContainersStorage
    }

    fn list(&self, looking: &mut Looking<'_>) -> io::Result<Vec<Listed>> {
        let records = self.records(looking)?;
        let listed = records.images.iter().map(|image| {
            let stack = records.stack(&image.layer);
            let size = |layers: &Vec<&LayerRecord>| layers.iter().map(|layer| layer.size()).sum();
            Listed {
                names: names::in_order(image.names.clone()),
                digest: image.digest.clone(),
                id: config_digest(image),
                size: stack.as_ref().and_then(size),
                store: self.kind(),
                blobs: stack.map(|layers| (0, layers.len())),
            }
        });
        Ok(listed.collect())
    }

    fn find(&self, wanted: &Wanted, looking: &mut Looking<'_>) -> io::Result<Option<Image>> {
        let records = self.records(looking)?;
        let (images, digest) = match (&wanted.digest, &wanted.name) {
            (Some(digest), _) => (by_digest(&records, digest), Some(digest.clone())),
            (None, Some(name)) => {
                let name = names::whole(name);
                let digest = names::digest(&name).map(str::to_owned);
                (by_name(&records, &name), digest)
            }
            (None, None) => (Vec::new(), None),
        };
        for image in images {
            looking.working()?;
            let found = self.image(&records, image, digest.as_deref());
            let about = image.names.first().unwrap_or(&image.id);
            if let Some(found) = looking.note(about, found)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn pieces(&self, part: &Part) -> io::Result<Option<Pieces>> {
        match part {
            Part::Blob { .. } => Ok(None),
            Part::TarSplit { chain_id } => {
                let layer = self.layer(chain_id)?;
                layer.map(|layer| layer.pieces()).transpose()
            }
            Part::Snapshot { chain_id, profile } => {
                let layer = self.layer(chain_id)?;
                layer
                    .map(|layer| rebuild::pieces(&layer.files, profile))
                    .transpose()
            }
        }
    }

    fn rebuild(
        &self,
        layer: &Layer,
        created: &[i64],
        working: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Option<Rebuilt>> {
        let found = self.layer(&layer.chain_id)?;
        found
            .map(|found| rebuild::prove(&found.files, &layer.diff_id, created, working))
            .transpose()
    }
}

/// The layers of an image, the lowest first, where there are as many as the configuration has.
fn layers_of<'a>(
    records: &'a Records,
    image: &ImageRecord,
    diff_ids: &[String],
) -> Option<Vec<&'a LayerRecord>> {
    let mut stack = records.stack(&image.layer)?;
    stack.reverse();
    (stack.len() == diff_ids.len()).then_some(stack)
}

/// The images with the digest, those whose ID it is first.
fn by_digest<'a>(records: &'a Records, digest: &str) -> Vec<&'a ImageRecord> {
    let all = || records.images.iter();
    let by_id = all().filter(|image| is_id(image, digest));
    let others = all().filter(|image| !is_id(image, digest) && has_digest(image, digest));
    by_id.chain(others).collect()
}

/// The images with this whole name.
fn by_name<'a>(records: &'a Records, name: &str) -> Vec<&'a ImageRecord> {
    let is_it = |it: &String| names::whole(it) == name;
    let is_named = |image: &&ImageRecord| image.names.iter().any(is_it);
    let mut found: Vec<_> = records.images.iter().filter(is_named).collect();
    // An image that was pulled by a tag has no name with its digest.
    if let Some(digest) = names::digest(name) {
        let by_digest = records.images.iter();
        found.extend(by_digest.filter(|it| is_repo_digest(it, name, digest)));
    }
    found
}

fn is_id(image: &ImageRecord, digest: &str) -> bool {
    digest.strip_prefix("sha256:") == Some(&image.id)
        || (image.big_data_digests.contains_key(digest) && digest.starts_with("sha256:"))
}

fn is_repo_digest(image: &ImageRecord, name: &str, digest: &str) -> bool {
    let repository = names::repository(name);
    let mut names = image.names.iter();
    has_digest(image, digest) && names.any(|it| names::repository(it) == repository)
}

fn has_digest(image: &ImageRecord, digest: &str) -> bool {
    let is_its = |name: &String| names::digest(name) == Some(digest);
    manifest_digests(image, None).contains(&digest) || image.names.iter().any(is_its)
}

fn nothing(why: &str) -> Kept {
    Kept::Nothing {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
