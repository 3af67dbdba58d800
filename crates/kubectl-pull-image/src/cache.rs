//! What was read before: content by its digest, whole or in part.
//!
//! ```text
//! blobs/sha256/HEX           whole, its digest checked
//! partial/HEX                some of it; which pieces are there says
//! partial/HEX.PIECE          one byte for each piece of that size: 1 where it is there
//! ```
//! A piece is noted after it was written, so that what is noted is there, whenever a run is killed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

/// How much is noted at once, in bytes.
pub const PIECE: u64 = 8 << 20;

/// A folder with content.
pub struct Cache {
    folder: PathBuf,
}

/// Content that is being read. Nobody else writes to it.
pub struct Partial {
    path: PathBuf,
    notes_path: PathBuf,
    target: PathBuf,
    file: File,
    notes: File,
    size: u64,
    done: Mutex<Vec<bool>>,
}

impl Cache {
    /// In this folder, which is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be made or written to.
    pub fn open(folder: &Path) -> Result<Self> {
        for below in ["blobs/sha256", "partial"] {
            let folder = folder.join(below);
            let made = std::fs::create_dir_all(&folder);
            made.with_context(|| format!("the cache {} (--cache-dir)", folder.display()))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
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
    pub fn path(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs/sha256").join(hex(digest))
    }

    /// The size of content, where it is there whole. It counts as used now.
    pub fn size(&self, digest: &str) -> Option<u64> {
        let file = File::open(self.path(digest)).ok()?;
        // Only what is removed first depends on it.
        let _ = file.set_modified(SystemTime::now());
        file.metadata().ok().map(|metadata| metadata.len())
    }

    /// Keeps these bytes, which have this digest.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(digest);
        let own =
            self.folder
                .join("partial")
                .join(format!("{}.{}", hex(digest), std::process::id()));
        let written = std::fs::write(&own, bytes).and_then(|()| std::fs::rename(&own, &path));
        written.with_context(|| format!("the cache {}", path.display()))
    }

    /// Begins to read content, or goes on where another run was ended. Waits while another run reads the same. `None` where that
    /// has become whole meanwhile.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn begin(&self, digest: &str, size: u64) -> Result<Option<Partial>> {
        let path = self.folder.join("partial").join(hex(digest));
        let opened = self.open_partial(digest, size, path.clone());
        opened.with_context(|| format!("the cache {}", path.display()))
    }

    fn open_partial(&self, digest: &str, size: u64, path: PathBuf) -> io::Result<Option<Partial>> {
        let notes_path = path.with_extension(PIECE.to_string());
        let write = |path: &Path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
        };
        loop {
            if self.size(digest) == Some(size) {
                return Ok(None);
            }
            let file = write(&path)?;
            file.lock()?;
            // Another run has thrown it away or finished it while this one waited.
            if !is_same(&file, &path) {
                continue;
            }
            let notes = write(&notes_path)?;
            if file.metadata()?.len() != size {
                notes.set_len(0)?;
                file.set_len(size)?;
            }
            let pieces = usize::try_from(size.div_ceil(PIECE)).map_err(io::Error::other)?;
            let mut seen = vec![0; pieces];
            let length = usize::try_from(notes.metadata()?.len())
                .unwrap_or(0)
                .min(pieces);
            notes.read_exact_at(&mut seen[..length], 0)?;
            return Ok(Some(Partial {
                target: self.path(digest),
                done: Mutex::new(seen.iter().map(|it| *it == 1).collect()),
                path,
                notes_path,
                file,
                notes,
                size,
            }));
        }
    }

    /// Removes what was used longest ago, until no more than this is left. What is not whole counts as well.
    ///
    /// # Errors
    /// When it cannot be read or removed.
    pub fn shrink(&self, most: u64) -> Result<()> {
        let mut files = Vec::new();
        for below in ["blobs/sha256", "partial"] {
            for entry in std::fs::read_dir(self.folder.join(below))? {
                let entry = entry?;
                // Another run may have removed it.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut left: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if left <= most {
                break;
            }
            left -= size;
            if !is_in_use(&path) {
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
}

impl Partial {
    /// The pieces that are missing, as ranges of bytes.
    pub fn missing(&self) -> Vec<std::ops::Range<u64>> {
        let done = self.lock();
        let missing = (0u64..).zip(done.iter()).filter(|(_, done)| !**done);
        missing
            .map(|(at, _)| at * PIECE..((at + 1) * PIECE).min(self.size))
            .collect()
    }

    /// How many bytes are there from the begin on without a gap.
    pub fn prefix(&self) -> u64 {
        let done = self.lock();
        let pieces = done.iter().take_while(|done| **done).count() as u64;
        (pieces * PIECE).min(self.size)
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes some of it.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Reads some of it again.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    /// Notes that the piece at this offset is there.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn note(&self, offset: u64) -> io::Result<()> {
        let at = offset / PIECE;
        self.notes.write_all_at(&[1], at)?;
        if let Some(done) = usize::try_from(at)
            .ok()
            .and_then(|at| self.lock().get_mut(at).map(|it| *it = true))
        {
            return Ok(done);
        }
        Err(io::Error::other("a piece that there is none of"))
    }

    /// It is whole, and its digest was checked.
    ///
    /// # Errors
    /// When it cannot be given its name.
    pub fn finish(&self) -> io::Result<()> {
        std::fs::rename(&self.path, &self.target)?;
        std::fs::remove_file(&self.notes_path)
    }

    /// It is not what it should be: all of it is read again.
    ///
    /// # Errors
    /// When that cannot be noted.
    pub fn restart(&self) -> io::Result<()> {
        self.notes.set_len(0)?;
        self.lock().fill(false);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<bool>> {
        self.done
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether the path still leads to this file.
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(file), Ok(path)) = (file.metadata(), std::fs::metadata(path)) else {
        return false;
    };
    (file.dev(), file.ino()) == (path.dev(), path.ino())
}

/// Whether another run reads it just now.
fn is_in_use(path: &Path) -> bool {
    path.parent()
        .is_some_and(|folder| folder.ends_with("partial"))
        && File::open(path.with_extension("")).is_ok_and(|file| file.try_lock().is_err())
}

/// A digest's digits; other characters never become part of a path.
fn hex(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Where a file is written to until it is whole.
pub fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

/// Writes a file as a whole: under another name first.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let own = partial(path);
    let of_file = || format!("{}", path.display());
    let mut file = File::create(&own).with_context(of_file)?;
    let written = write(&mut file).and_then(|()| Ok(file.flush()?));
    let written = written.and_then(|()| Ok(std::fs::rename(&own, path)?));
    if written.is_err() {
        let _ = std::fs::remove_file(&own);
    }
    written.with_context(of_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0a";

    fn ends(partial: &Partial) -> Vec<(u64, u64)> {
        let missing = partial.missing().into_iter();
        missing.map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn a_run_goes_on_where_another_one_was_ended() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let size = 2 * PIECE + 3;
        let partial = cache.begin(DIGEST, size).unwrap().unwrap();
        assert_eq!(
            partial.missing(),
            [0..PIECE, PIECE..2 * PIECE, 2 * PIECE..size]
        );
        partial.write(b"end", 2 * PIECE).unwrap();
        partial.note(2 * PIECE).unwrap();
        assert_eq!(partial.prefix(), 0);
        drop(partial);
        let partial = cache.begin(DIGEST, size).unwrap().unwrap();
        assert_eq!(partial.missing(), [0..PIECE, PIECE..2 * PIECE]);
        partial.note(0).unwrap();
        assert_eq!(partial.prefix(), PIECE);
        partial.note(PIECE).unwrap();
        assert_eq!((partial.prefix(), partial.missing().len()), (size, 0));
        let mut read = [0; 3];
        partial.read(&mut read, 2 * PIECE).unwrap();
        assert_eq!(&read, b"end");
        assert_eq!(cache.size(DIGEST), None);
        partial.finish().unwrap();
        drop(partial);
        assert_eq!(cache.size(DIGEST), Some(size));
        assert!(cache.begin(DIGEST, size).unwrap().is_none());
        assert_eq!(
            std::fs::read_dir(folder.path().join("partial"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn what_turns_out_wrong_is_read_again_and_another_size_too() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let partial = cache.begin(DIGEST, 5).unwrap().unwrap();
        partial.note(0).unwrap();
        partial.restart().unwrap();
        assert_eq!(ends(&partial), [(0, 5)]);
        partial.note(0).unwrap();
        drop(partial);
        let partial = cache.begin(DIGEST, 6).unwrap().unwrap();
        assert_eq!(ends(&partial), [(0, 6)]);
    }

    #[test]
    fn what_was_used_longest_ago_is_removed_first_and_what_is_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        for (digest, age) in [("sha256:01", 30), ("sha256:02", 20)] {
            cache.put(digest, &[0; 10]).unwrap();
            let file = File::options()
                .write(true)
                .open(cache.path(digest))
                .unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age))
                .unwrap();
        }
        let partial = cache.begin("sha256:03", 10).unwrap().unwrap();
        cache.shrink(20).unwrap();
        assert_eq!(
            (cache.size("sha256:01"), cache.size("sha256:02")),
            (None, Some(10))
        );
        cache.shrink(0).unwrap();
        assert_eq!(cache.size("sha256:02"), None);
        partial.finish().unwrap();
        assert_eq!(cache.size("sha256:03"), Some(10));
    }
}
