//! Docker's own store: layers unpacked by its overlay driver, with their tar-split. It keeps no manifest.

mod layers;
mod names;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::documents::{Any, MAX_DOCUMENT, chain_ids, document, hex, sha256};
use crate::pieces::of_path;
use crate::protocol::{Image, Layer, Listed, Part, Rebuilt, StoreKind, Wanted};
use crate::rebuild;

use super::{Looking, Pieces, Store, files};
use layers::Layers;
use names::Names;

/// The drivers that keep each layer's files in a folder of their own.
const DRIVERS: [&str; 2] = ["overlay2", "fuse-overlayfs"];

/// Docker's store below a root, such as `/var/lib/docker`.
///
/// With user namespaces the root is a folder in there: `/var/lib/docker/165536.165536`.
pub struct Docker {
    /// `imagedb`: configurations, each in a file named by its digest, and what else is known of them.
    images: PathBuf,
    names: PathBuf,
    layers: Layers,
}

impl Docker {
    /// The store, if there is one.
    ///
    /// # Errors
    /// When the folder cannot be looked at.
    pub fn open(root: &Path) -> io::Result<Option<Self>> {
        for driver in DRIVERS {
            let image = root.join("image").join(driver);
            let images = image.join("imagedb");
            let content = images.join("content/sha256");
            if content.try_exists().map_err(|e| of_path(&content, e))? {
                return Ok(Some(Self {
                    images,
                    names: image.join("repositories.json"),
                    layers: Layers::new(&image.join("layerdb/sha256"), &root.join(driver)),
                }));
            }
        }
        Ok(None)
    }

    /// The configuration with this digest, where the store has it.
    fn config(&self, id: &str) -> io::Result<Option<(Vec<u8>, Vec<String>)>> {
        let path = self.images.join("content/sha256").join(hex(id)?);
        let Some(bytes) = files::read(&path, MAX_DOCUMENT)? else {
            return Ok(None);
        };
        let damaged = || of_path(&path, io::Error::other("it is damaged"));
        if sha256(&bytes) != id {
            return Err(damaged());
        }
        let diff_ids = Any::parse(&bytes).diff_ids().map(<[String]>::to_vec);
        // An image without layers may have none of this.
        Ok(Some((bytes, diff_ids.unwrap_or_default())))
    }

    /// The IDs of all images.
    fn ids(&self) -> io::Result<Vec<String>> {
        let folder = self.images.join("content/sha256");
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(|error| of_path(&folder, error))? {
            let id = format!("sha256:{}", entry?.file_name().to_string_lossy());
            // Docker writes a file beside it first.
            if hex(&id).is_ok() {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// The image that another one was built on, step by step.
    fn parent(&self, id: &str) -> io::Result<Option<String>> {
        let folder = self.images.join("metadata/sha256").join(hex(id)?);
        files::text(&folder.join("parent"))
    }

    /// How many layers the image has, and how many bytes they have where that is known; `None` where it is gone.
    fn extent(&self, id: &str) -> io::Result<Option<(usize, Option<u64>)>> {
        let Some((_, diff_ids)) = self.config(id)? else {
            return Ok(None);
        };
        let mut size = Some(0_u64);
        for chain_id in chain_ids(&diff_ids) {
            let layer = self.layers.size(&chain_id)?;
            size = size
                .zip(layer)
                .map(|(sum, layer)| sum.saturating_add(layer));
        }
        Ok(Some((diff_ids.len(), size)))
    }

    fn names(&self, looking: &mut Looking<'_>) -> io::Result<Names> {
        let names = looking.note("", Names::read(&self.names))?;
        Ok(names.unwrap_or_default())
    }

    fn image(&self, id: &str, names: &Names) -> io::Result<Option<Image>> {
        let Some((bytes, diff_ids)) = self.config(id)? else {
            return Ok(None);
        };
        let mut layers = Vec::new();
        for (diff_id, chain_id) in diff_ids.iter().zip(chain_ids(&diff_ids)) {
            layers.push(Layer {
                diff_id: diff_id.clone(),
                kept: self.layers.kept(&chain_id)?,
                chain_id,
                blob: None,
            });
        }
        Ok(Some(Image {
            names: names.of(id),
            store: self.kind(),
            manifest: None,
            index: None,
            config: document(&bytes, id, None),
            layers,
        }))
    }
}

impl Store for Docker {
    fn kind(&self) -> StoreKind {
        StoreKind::Docker
    }

    fn list(&self, looking: &mut Looking<'_>) -> io::Result<Vec<Listed>> {
        let names = self.names(looking)?;
        let ids = self.ids()?;
        let mut parents = HashSet::new();
        for id in &ids {
            looking.working()?;
            parents.extend(looking.note("", self.parent(id))?.flatten());
        }
        let mut listed = Vec::new();
        for id in ids {
            looking.working()?;
            let own_names = names.of(&id);
            // The steps of a build are images as well, but nobody's.
            if parents.contains(&id) && own_names.is_empty() {
                continue;
            }
            let about = own_names.first().unwrap_or(&id);
            let extent = match looking.note(about, self.extent(&id))? {
                Some(None) => continue,
                Some(extent) => extent,
                None => None,
            };
            listed.push(Listed {
                names: own_names,
                digest: names.digest(&id),
                size: extent.and_then(|(_, size)| size),
                blobs: extent.map(|(layers, _)| (0, layers)),
                id: Some(id),
                store: self.kind(),
            });
        }
        Ok(listed)
    }

    fn find(&self, wanted: &Wanted, looking: &mut Looking<'_>) -> io::Result<Option<Image>> {
        let names = self.names(looking)?;
        looking.working()?;
        let id = match (&wanted.digest, &wanted.name) {
            (Some(digest), _) => {
                let by_id = looking.note("", self.image(digest, &names))?;
                if let Some(Some(image)) = by_id {
                    return Ok(Some(image));
                }
                names.by_digest(digest)
            }
            (None, Some(name)) => names.by_name(name),
            (None, None) => None,
        };
        match id {
            Some(id) => self.image(&id, &names),
            None => Ok(None),
        }
    }

    fn pieces(&self, part: &Part) -> io::Result<Option<Pieces>> {
        match part {
            Part::Blob { .. } => Ok(None),
            Part::TarSplit { chain_id } => {
                let layer = self.layers.get(chain_id)?;
                layer.map(|layer| layer.pieces()).transpose()
            }
            Part::Snapshot { chain_id, profile } => {
                let layer = self.layers.get(chain_id)?;
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
        let found = self.layers.get(&layer.chain_id)?;
        found
            .map(|found| rebuild::prove(&found.files, &layer.diff_id, created, working))
            .transpose()
    }
}

#[cfg(test)]
mod tests;
