//! Content that is being read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::whole_file::is_same;

/// How much is noted at once, in bytes.
pub const PIECE: u64 = 8 << 20;

/// Content that is being read. Nobody else writes to it.
pub struct Partial {
    path: PathBuf,
    notes_path: PathBuf,
    file: File,
    notes: File,
    size: u64,
    done: Mutex<Vec<bool>>,
}

impl Partial {
    /// Opens it, with the pieces that other runs have noted. `None` while another run has it.
    pub(super) fn open(path: &Path, size: u64) -> io::Result<Option<Self>> {
        let notes_path = path.with_extension(PIECE.to_string());
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Another run has finished it between the two: then it is looked for anew.
        if !is_same(&file, path) {
            return Ok(None);
        }
        let notes = open(&notes_path)?;
        if file.metadata()?.len() != size {
            notes.set_len(0)?;
            file.set_len(size)?;
        }
        let pieces = usize::try_from(size.div_ceil(PIECE)).map_err(io::Error::other)?;
        let mut seen = vec![0; pieces];
        let length = usize::try_from(notes.metadata()?.len()).unwrap_or(0);
        notes.read_exact_at(&mut seen[..length.min(pieces)], 0)?;
        Ok(Some(Self {
            path: path.to_owned(),
            notes_path,
            file,
            notes,
            size,
            done: Mutex::new(seen.iter().map(|it| *it == 1).collect()),
        }))
    }

    /// The pieces that are missing, as ranges of bytes.
    pub fn missing(&self) -> Vec<Range<u64>> {
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
        let mut done = self.lock();
        let piece = usize::try_from(at).ok().and_then(|at| done.get_mut(at));
        let piece = piece.ok_or_else(|| io::Error::other("a piece that there is none of"))?;
        *piece = true;
        Ok(())
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

    /// It is whole: it gets its name.
    pub(super) fn move_to(&self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)?;
        std::fs::remove_file(&self.notes_path)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<bool>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(folder: &tempfile::TempDir, size: u64) -> Partial {
        let opened = Partial::open(&folder.path().join("0a"), size).unwrap();
        opened.expect("nobody else reads it")
    }

    fn ends(partial: &Partial) -> Vec<(u64, u64)> {
        let missing = partial.missing().into_iter();
        missing.map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn a_run_goes_on_where_another_one_was_ended() {
        let folder = tempfile::tempdir().unwrap();
        let size = 2 * PIECE + 3;
        let partial = at(&folder, size);
        assert_eq!(
            partial.missing(),
            [0..PIECE, PIECE..2 * PIECE, 2 * PIECE..size]
        );
        partial.write(b"end", 2 * PIECE).unwrap();
        partial.note(2 * PIECE).unwrap();
        assert_eq!(partial.prefix(), 0);
        drop(partial);
        let partial = at(&folder, size);
        assert_eq!(partial.missing(), [0..PIECE, PIECE..2 * PIECE]);
        partial.note(0).unwrap();
        assert_eq!(partial.prefix(), PIECE);
        partial.note(PIECE).unwrap();
        assert_eq!((partial.prefix(), partial.missing().len()), (size, 0));
        let mut read = [0; 3];
        partial.read(&mut read, 2 * PIECE).unwrap();
        assert_eq!(&read, b"end");
    }

    #[test]
    fn what_turns_out_wrong_is_read_again_and_another_size_too() {
        let folder = tempfile::tempdir().unwrap();
        let partial = at(&folder, 5);
        partial.note(0).unwrap();
        partial.restart().unwrap();
        assert_eq!(ends(&partial), [(0, 5)]);
        partial.note(0).unwrap();
        drop(partial);
        assert_eq!(ends(&at(&folder, 6)), [(0, 6)]);
    }
}
