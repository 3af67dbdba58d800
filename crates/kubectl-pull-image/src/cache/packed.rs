//! Tars, compressed: a registry would have several times as much to keep, and each node to pull.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use kip_image::Digest;
use sha2::{Digest as _, Sha256};

use super::Cache;
use crate::digest;
use crate::interrupt::Interrupt;
use crate::whole_file::Interruptible;

impl Cache {
    /// Compresses a tar that is there, with gzip, as runtimes of any age read it. Gives the digest and size of what came of it, which
    /// is content like other. What was compressed once is not compressed again.
    ///
    /// # Errors
    /// When that cannot be written; when it is interrupted.
    pub fn pack(&self, tar: &Digest, interrupt: &Interrupt) -> Result<(Digest, u64)> {
        let note = self.folder.join("packed").join(tar.hex());
        if let Some(digest) = noted(&note)
            && let Some(size) = self.check(&digest)?
        {
            return Ok((digest, size));
        }
        let process = std::process::id();
        let own = self
            .folder
            .join("partial")
            .join(format!("{}.{process}.gz", tar.hex()));
        let packed = compress(&self.path(tar), &own, interrupt);
        let packed = packed.and_then(|(digest, size)| {
            std::fs::rename(&own, self.path(&digest))?;
            std::fs::write(&note, digest.to_string())?;
            Ok((digest, size))
        });
        if packed.is_err() {
            let _ = std::fs::remove_file(&own);
        }
        let (digest, size) = packed.with_context(|| format!("to compress {tar} in the cache"))?;
        self.whole().insert(digest.clone(), size);
        Ok((digest, size))
    }
}

/// What came of a tar before.
fn noted(note: &Path) -> Option<Digest> {
    digest::parse(std::fs::read_to_string(note).ok()?.trim()).ok()
}

fn compress(from: &Path, to: &Path, interrupt: &Interrupt) -> io::Result<(Digest, u64)> {
    let mut from = BufReader::with_capacity(1 << 20, File::open(from)?);
    let hashed = Hashed {
        out: Interruptible::new(File::create(to)?, interrupt),
        hash: Sha256::new(),
        size: 0,
    };
    let out = io::BufWriter::with_capacity(1 << 18, hashed);
    let mut encoder = GzEncoder::new(out, Compression::default());
    io::copy(&mut from, &mut encoder)?;
    let hashed = encoder.finish()?.into_inner().map_err(io::Error::from)?;
    Ok((
        Digest::from_sha256(hashed.hash.finalize().into()),
        hashed.size,
    ))
}

/// A writer that hashes what it writes.
struct Hashed<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_tar_is_compressed_once_and_comes_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), || ()).unwrap();
        let content = b"tar ".repeat(100_000);
        let tar = digest::of(&content);
        std::fs::write(cache.path(&tar), &content).unwrap();
        let interrupt = Interrupt::default();
        let (packed, size) = cache.pack(&tar, &interrupt).unwrap();
        let bytes = std::fs::read(cache.path(&packed)).unwrap();
        assert_eq!(
            (digest::of(&bytes), bytes.len() as u64),
            (packed.clone(), size)
        );
        assert_eq!(cache.size(&packed), Some(size));
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
        decoder.read_to_end(&mut plain).unwrap();
        assert!(plain == content);
        // The tar is not read again; and what is damaged is made anew.
        let again = Cache::open(folder.path(), || ()).unwrap();
        std::fs::rename(cache.path(&tar), folder.path().join("away")).unwrap();
        assert_eq!(
            again.pack(&tar, &interrupt).unwrap(),
            (packed.clone(), size)
        );
        std::fs::rename(folder.path().join("away"), cache.path(&tar)).unwrap();
        std::fs::write(cache.path(&packed), "damaged").unwrap();
        let again = Cache::open(folder.path(), || ()).unwrap();
        assert_eq!(
            again.pack(&tar, &interrupt).unwrap(),
            (packed.clone(), size)
        );
        assert_eq!(std::fs::read(cache.path(&packed)).unwrap(), bytes);
        let left = std::fs::read_dir(folder.path().join("partial")).unwrap();
        assert_eq!(left.count(), 0);
    }
}
