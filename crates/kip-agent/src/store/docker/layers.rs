//! Docker's layers: a folder for each, named by its chain ID, and its files in the driver's folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::documents::hex;
use crate::pieces::of_path;
use crate::protocol::Kept;
use crate::store::files;
use crate::store::unpacked::Unpacked;

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
}
