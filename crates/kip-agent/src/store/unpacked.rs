//! A layer whose blob was thrown away when it was unpacked: Docker and containers/storage both keep a tar-split beside the files.

use std::io;
use std::path::PathBuf;

use crate::protocol::Kept;
use crate::tar_split::TarSplit;

use super::Pieces;

/// Where a layer's parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// How its tar is put together again.
    pub(super) tar_split: PathBuf,
    /// Its files.
    pub(super) files: PathBuf,
}

impl Unpacked {
    /// What can be had of it. `size` is that of the tar, where the runtime wrote it down.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn kept(&self, size: Option<u64>) -> io::Result<Kept> {
        if !self.files.is_dir() {
            let why = format!("its files are not at {}", self.files.display());
            return Ok(Kept::Nothing { why });
        }
        match self.tar().and_then(TarSplit::size) {
            Ok(found) if size.is_none_or(|size| size == found) => {
                Ok(Kept::TarSplit { size: found })
            }
            // Another size would be another tar.
            Ok(_) => Ok(Kept::Snapshot),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::UnexpectedEof => Ok(Kept::Snapshot),
                _ => Err(error),
            },
        }
    }

    /// Its tar.
    ///
    /// # Errors
    /// When there is no tar-split.
    pub(super) fn pieces(&self) -> io::Result<Pieces> {
        Ok(Box::new(self.tar()?))
    }

    fn tar(&self) -> io::Result<TarSplit> {
        TarSplit::open(&self.tar_split, &self.files)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_has_no_good_tar_split_is_a_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let layer = Unpacked {
            tar_split: folder.path().join("tar-split"),
            files: folder.path().join("diff"),
        };
        let Kept::Nothing { why } = layer.kept(None).unwrap() else {
            panic!("there are no files");
        };
        assert!(why.ends_with("/diff"), "{why}");
        std::fs::create_dir(&layer.files).unwrap();
        assert_eq!(layer.kept(None).unwrap(), Kept::Snapshot);
        std::fs::write(&layer.tar_split, "no gzip").unwrap();
        assert_eq!(layer.kept(None).unwrap(), Kept::Snapshot);
        let out = std::fs::File::create(&layer.tar_split).unwrap();
        let mut out = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        out.write_all(br#"{"type":2,"payload":"YWJj"}"#).unwrap();
        out.finish().unwrap();
        for size in [None, Some(3)] {
            assert_eq!(layer.kept(size).unwrap(), Kept::TarSplit { size: 3 });
        }
        assert_eq!(layer.kept(Some(4)).unwrap(), Kept::Snapshot);
    }
}
