//! Docker's layers: a folder for each, named by its chain ID, and its files in the driver's folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::documents::hex;
use crate::pieces::of_path;
use crate::protocol::Kept;
use crate::rebuild::Folders;
use crate::store::files;
use crate::store::unpacked::Unpacked;

/// No image has more layers; overlay takes no more than 128.
const MAX_DEPTH: usize = 1024;

/// All layers of a store.
pub(super) struct Layers {
    records: PathBuf,
    files: PathBuf,
}

impl Layers {
    pub(super) fn new(records: &Path, files: &Path) -> Self {
        Self {
            records: records.to_owned(),
            files: files.to_owned(),
        }
    }

    fn record(&self, chain_id: &str) -> io::Result<PathBuf> {
        Ok(self.records.join(hex(chain_id)?))
    }

    /// The layer, where the store has it.
    pub(super) fn get(&self, chain_id: &str) -> io::Result<Option<Unpacked>> {
        let record = self.record(chain_id)?;
        let path = record.join("cache-id");
        let Some(name) = files::text(&path)? else {
            return Ok(None);
        };
        let name = files::part(&name).map_err(|error| of_path(&path, error))?;
        Ok(Some(Unpacked {
            tar_split: record.join("tar-split.json.gz"),
            files: self.files.join(name).join("diff"),
        }))
    }

    pub(super) fn kept(&self, chain_id: &str) -> io::Result<Kept> {
        match self.get(chain_id)? {
            // The size that Docker writes down is that of the files.
            Some(layer) => layer.kept(None),
            None => Ok(Kept::Nothing {
                why: "Docker does not have the layer any more".to_owned(),
            }),
        }
    }

    /// Of the layer's files, in bytes.
    pub(super) fn size(&self, chain_id: &str) -> io::Result<Option<u64>> {
        let text = files::text(&self.record(chain_id)?.join("size"))?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// The files of the layer and of those below it.
    pub(super) fn folders(&self, chain_id: &str) -> io::Result<Option<Folders>> {
        let mut stack = Vec::new();
        let mut next = Some(chain_id.to_owned());
        while let Some(chain_id) = next {
            let Some(layer) = self.get(&chain_id)? else {
                return Ok(None);
            };
            stack.push(layer.files);
            if stack.len() > MAX_DEPTH {
                return Err(io::Error::other("the layers have no end"));
            }
            next = files::text(&self.record(&chain_id)?.join("parent"))?;
        }
        let top = stack.remove(0);
        Ok(Some(Folders { top, lower: stack }))
    }
}
