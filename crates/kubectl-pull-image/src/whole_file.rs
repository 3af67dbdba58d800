//! Files that appear when they are whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::interrupt::Interrupt;

/// Writes a file as a whole: under another name first. What a killed run has left of it is written anew.
///
/// # Errors
/// When it cannot be written, another run is at it, or it is interrupted: then nothing is left of it.
pub fn write(
    path: &Path,
    interrupt: &Interrupt,
    content: impl FnOnce(&mut Interruptible<File>) -> Result<()>,
) -> Result<()> {
    let written = try_to_write(path, interrupt, content);
    written.with_context(|| path.display().to_string())
}

fn try_to_write(
    path: &Path,
    interrupt: &Interrupt,
    content: impl FnOnce(&mut Interruptible<File>) -> Result<()>,
) -> Result<()> {
    let own = unfinished(path);
    let file = create(&own)?;
    file.set_len(0)?;
    let mut out = Interruptible::new(file, interrupt);
    let filled = content(&mut out).and_then(|()| Ok(std::fs::rename(&own, path)?));
    if filled.is_err() {
        let _ = std::fs::remove_file(&own);
    }
    filled
}

/// A file that no other run writes.
fn create(path: &Path) -> Result<File> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            // Between the two, another run may have given it its name.
            Ok(()) if is_same(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another run writes it"),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Whether the path leads to this file.
pub fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(file), Ok(path)) = (file.metadata(), std::fs::metadata(path)) else {
        return false;
    };
    (file.dev(), file.ino()) == (path.dev(), path.ino())
}

/// Its name until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

/// What is written until it is interrupted.
pub struct Interruptible<W> {
    out: W,
    interrupt: Interrupt,
}

impl<W> Interruptible<W> {
    /// Writes to this.
    pub fn new(out: W, interrupt: &Interrupt) -> Self {
        Self {
            out,
            interrupt: interrupt.clone(),
        }
    }
}

impl<W: Write> Write for Interruptible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.interrupt.is_set() {
            // Not as an interrupted call, which would be tried again.
            return Err(io::Error::other("interrupted"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole_and_not_at_all_when_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let interrupt = Interrupt::default();
        // Of a run that was killed.
        std::fs::write(unfinished(&path), "the begin of an older archive").unwrap();
        write(&path, &interrupt, |out| Ok(out.write_all(b"new")?)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let error = write(&path, &interrupt, |out| {
            out.write_all(b"newer")?;
            let again = write(&path, &interrupt, |_| Ok(())).unwrap_err();
            assert!(format!("{again:#}").contains("another run"), "{again:#}");
            bail!("no more")
        });
        assert!(format!("{:#}", error.unwrap_err()).contains("a.tar: no more"));
        assert_eq!(
            (std::fs::read(&path).unwrap(), names()),
            (b"new".to_vec(), 1)
        );
    }
}
