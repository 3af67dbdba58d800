//! What was read before: content by its digest, whole or in part.
//!
//! ```text
//! blobs/sha256/HEX           whole
//! partial/HEX                some of it; which pieces are there says
//! partial/HEX.PIECE          one byte for each piece of that size: 1 where it is there
//! packed/HEX                 the digest of what came of a tar when it was compressed
//! lock                       shared by runs that are at work, exclusive for who removes
//! ```
//! A piece is noted after it was written, so that what is noted is there, whenever a run is killed. A machine that loses its power may
//! lose what was written, and anybody may write into the folder: what another run has left counts after its digest was checked.

mod packed;
mod partial;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use kip_image::Digest;
use sha2::{Digest as _, Sha256};

pub use partial::{PIECE, Partial};

/// What is in a cache.
const FOLDERS: [&str; 3] = ["blobs/sha256", "partial", "packed"];

/// A folder with content. Nobody removes something of it while it is open.
pub struct Cache {
    folder: PathBuf,
    lock: File,
    /// What is whole, and its size: this run has read it, or checked it.
    whole: Mutex<HashMap<Digest, u64>>,
}

/// How it stands with content that is to be read.
pub enum Begun {
    /// It is there: another run has read it meanwhile.
    Whole,
    /// It is this run's to read.
    Mine(Partial),
    /// Another run reads it.
    Busy,
}

impl Cache {
    /// In this folder, which is made where it is not there. Waits while another run removes something, and calls `is_waiting` then.
    ///
    /// # Errors
    /// When it cannot be made or written to.
    pub fn open(folder: &Path, is_waiting: impl FnOnce()) -> Result<Self> {
        let opened = Self::try_to_open(folder, is_waiting);
        opened.with_context(|| format!("the cache {} (--cache-dir)", folder.display()))
    }

    fn try_to_open(folder: &Path, is_waiting: impl FnOnce()) -> io::Result<Self> {
        for below in FOLDERS {
            std::fs::create_dir_all(folder.join(below))?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("lock"))?;
        if lock.try_lock_shared().is_err() {
            is_waiting();
            lock.lock_shared()?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            lock,
            whole: Mutex::default(),
        })
    }

    /// The user's: `kubectl-pull-image` in `XDG_CACHE_HOME` or `~/.cache`.
    pub fn default_folder() -> Option<PathBuf> {
        let of = |name: &str| {
            std::env::var_os(name)
                .filter(|it| !it.is_empty())
                .map(PathBuf::from)
        };
        let caches = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")))?;
        Some(caches.join("kubectl-pull-image"))
    }

    /// Where content of this digest is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    /// The size of content that is known to be whole: after [`Self::check`] or [`Self::finish`].
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.whole().get(digest).copied()
    }

    /// Reads what is there under a digest, if that was not done yet, and gives its size. It counts as used now. What is damaged is
    /// removed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn check(&self, digest: &Digest) -> Result<Option<u64>> {
        if let Some(size) = self.size(digest) {
            return Ok(Some(size));
        }
        let path = self.path(digest);
        let checked = match hash(&path) {
            Ok((found, size)) if found == *digest => Some(size),
            Ok(_) => {
                std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        if let Some(size) = checked {
            self.whole().insert(digest.clone(), size);
        }
        Ok(checked)
    }

    /// Begins to read content, or goes on where another run was ended.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn begin(&self, digest: &Digest, size: u64) -> Result<Begun> {
        if self.check(digest)? == Some(size) {
            return Ok(Begun::Whole);
        }
        let path = self.folder.join("partial").join(digest.hex());
        let opened = Partial::open(&path, size);
        let opened = opened.with_context(|| format!("the cache {}", path.display()))?;
        Ok(opened.map_or(Begun::Busy, Begun::Mine))
    }

    /// The content is whole, and its digest is right.
    ///
    /// # Errors
    /// When it cannot be given its name.
    pub fn finish(&self, digest: &Digest, partial: &Partial) -> io::Result<()> {
        partial.move_to(&self.path(digest))?;
        self.whole().insert(digest.clone(), partial.size());
        Ok(())
    }

    /// Removes what was used longest ago, until no more than this is left. What is not whole counts as well. Does nothing while
    /// another run is at work, which needs what it has found.
    ///
    /// # Errors
    /// When it cannot be read or removed.
    pub fn shrink(&self, most: u64) -> Result<()> {
        let shrunk = self.try_to_shrink(most);
        // As before: now others may come.
        let shrunk = shrunk.and_then(|()| self.lock.lock_shared());
        shrunk.with_context(|| format!("the cache {} (--cache-dir)", self.folder.display()))
    }

    fn try_to_shrink(&self, most: u64) -> io::Result<()> {
        match self.lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(()),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        let mut files = Vec::new();
        for below in FOLDERS {
            for entry in std::fs::read_dir(self.folder.join(below))? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut left: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if left <= most {
                break;
            }
            std::fs::remove_file(path)?;
            left -= size;
        }
        Ok(())
    }

    fn whole(&self) -> MutexGuard<'_, HashMap<Digest, u64>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest and size of a file, which counts as used now.
pub fn hash(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    // Only what is removed first depends on it.
    let _ = file.set_modified(SystemTime::now());
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((Digest::from_sha256(hash.finalize().into()), size));
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::digest::of;

    fn begin(cache: &Cache, digest: &Digest, size: u64) -> Partial {
        match cache.begin(digest, size).unwrap() {
            Begun::Mine(partial) => partial,
            Begun::Whole => panic!("it is whole"),
            Begun::Busy => panic!("another run reads it"),
        }
    }

    fn put(cache: &Cache, content: &[u8], age: u64) -> Digest {
        let digest = of(content);
        std::fs::write(cache.path(&digest), content).unwrap();
        let file = File::options()
            .write(true)
            .open(cache.path(&digest))
            .unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
        digest
    }

    #[test]
    fn content_is_read_by_one_run_and_whole_for_the_others_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, other) = (
            Cache::open(folder.path(), || ()).unwrap(),
            Cache::open(folder.path(), || ()).unwrap(),
        );
        let digest = of(b"content");
        let partial = begin(&cache, &digest, 7);
        assert!(matches!(other.begin(&digest, 7).unwrap(), Begun::Busy));
        partial.write(b"content", 0).unwrap();
        partial.note(0).unwrap();
        assert_eq!(cache.size(&digest), None);
        cache.finish(&digest, &partial).unwrap();
        assert_eq!(cache.size(&digest), Some(7));
        drop(partial);
        assert!(matches!(other.begin(&digest, 7).unwrap(), Begun::Whole));
        let left = std::fs::read_dir(folder.path().join("partial")).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn what_is_damaged_is_removed_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), || ()).unwrap();
        let digest = put(&cache, b"content", 0);
        std::fs::write(cache.path(&digest), b"damaged").unwrap();
        assert_eq!(cache.check(&digest).unwrap(), None);
        assert!(!cache.path(&digest).exists());
        begin(&cache, &digest, 7);
        let whole = put(&cache, b"whole", 0);
        assert_eq!(cache.size(&whole), None);
        assert_eq!(cache.check(&whole).unwrap(), Some(5));
        assert_eq!(cache.size(&whole), Some(5));
    }

    #[test]
    fn what_was_used_longest_ago_is_removed_first() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path(), || ()).unwrap();
        let digests = [(b"1", 30), (b"2", 20), (b"3", 40)];
        let digests = digests.map(|(content, age)| put(&open(), content, age));
        let cache = open();
        // The oldest is used again.
        cache.check(&digests[2]).unwrap();
        cache.shrink(2).unwrap();
        drop(cache);
        let are_there = || digests.each_ref().map(|it| open().path(it).exists());
        assert_eq!(are_there(), [false, true, true]);
        open().shrink(1).unwrap();
        assert_eq!(are_there(), [false, false, true]);
    }

    #[test]
    fn nothing_is_removed_while_another_run_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path(), || ()).unwrap();
        let digest = put(&open(), b"content", 0);
        let other = open();
        open().shrink(0).unwrap();
        assert!(other.path(&digest).exists());
        drop(other);
        open().shrink(0).unwrap();
        assert!(!open().path(&digest).exists());
    }
}
