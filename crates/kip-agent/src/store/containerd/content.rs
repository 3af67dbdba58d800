//! containerd's blobs: a file for each, named by its digest.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::documents::{Any, MAX_DOCUMENT, hex, sha256};
use crate::pieces::of_path;

/// The folder of blobs.
pub(super) struct Content {
    folder: PathBuf,
}

impl Content {
    pub(super) fn below(root: &Path) -> Self {
        Self {
            folder: root.join("io.containerd.content.v1.content/blobs/sha256"),
        }
    }

    /// Where the blob is, or would be.
    pub(super) fn path(&self, digest: &str) -> io::Result<PathBuf> {
        Ok(self.folder.join(hex(digest)?))
    }

    /// How many bytes the blob has, where it is there. It appears under its name when it is whole.
    pub(super) fn size(&self, digest: &str) -> io::Result<Option<u64>> {
        let path = self.path(digest)?;
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(of_path(&path, error)),
        }
    }

    /// A document's bytes, where it is there and is one.
    pub(super) fn document(&self, digest: &str) -> io::Result<Option<Vec<u8>>> {
        if self.size(digest)?.is_none_or(|size| size > MAX_DOCUMENT) {
            return Ok(None);
        }
        let path = self.path(digest)?;
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(|error| of_path(&path, error))?;
        file.take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|error| of_path(&path, error))?;
        if sha256(&bytes) != digest {
            return Err(of_path(
                &path,
                io::Error::other("its content is not that of its name: it is damaged"),
            ));
        }
        Ok(Some(bytes))
    }

    /// A document's bytes and what they say.
    pub(super) fn parsed(&self, digest: &str) -> io::Result<Option<(Vec<u8>, Any)>> {
        let bytes = self.document(digest)?;
        Ok(bytes.map(|bytes| {
            let any = Any::parse(&bytes);
            (bytes, any)
        }))
    }
}
