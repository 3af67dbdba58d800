//! Files that appear when they are whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::interrupt::Interrupt;

/// How long is waited for another run that writes the same file.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 60 });
const PAUSE: Duration = Duration::from_millis(100);

/// Writes a file as a whole: under another name first. What a killed run has left of it is written anew. A link stays, and what it
/// leads to is written; what is no file, such as a pipe or a device, gets the bytes as they come.
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

/// Checks whether a file can be written there, as far as that is known without doing it.
///
/// # Errors
/// When its folder is not there, or it is a folder itself.
pub fn check(path: &Path) -> Result<()> {
    ensure!(!path.is_dir(), "{} is a folder", path.display());
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    Ok(())
}

fn try_to_write(
    path: &Path,
    interrupt: &Interrupt,
    content: impl FnOnce(&mut Interruptible<File>) -> Result<()>,
) -> Result<()> {
    check(path)?;
    let path = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => std::fs::canonicalize(path)?,
        Ok(_) => {
            let file = OpenOptions::new().write(true).open(path)?;
            return content(&mut Interruptible::new(file, interrupt));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            path.to_owned()
        }
        Err(error) => return Err(error.into()),
    };
    let own = unfinished(&path);
    let file = create(&own, interrupt)?;
    file.set_len(0)?;
    let mut out = Interruptible::new(file, interrupt);
    let filled = content(&mut out).and_then(|()| Ok(std::fs::rename(&own, &path)?));
    if filled.is_err() {
        let _ = std::fs::remove_file(&own);
    }
    filled
}

/// A file that no other run writes.
fn create(path: &Path, interrupt: &Interrupt) -> Result<File> {
    let began = Instant::now();
    loop {
        let mut options = OpenOptions::new();
        options.write(true);
        // Never by a link that somebody else has put there.
        let file = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let is_file = std::fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
                ensure!(is_file, "{} is in the way: it is no file", path.display());
                options.open(path)
            }
            created => created,
        };
        let file = match file {
            // Another run has just given it its name.
            Err(error) if error.kind() == io::ErrorKind::NotFound && check(path).is_ok() => {
                continue;
            }
            file => file?,
        };
        match file.try_lock() {
            Ok(()) if is_same(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                ensure!(began.elapsed() < PATIENCE, "another run writes it");
                ensure!(!interrupt.is_set(), "interrupted");
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Whether the path is this file's, and no link to it.
pub fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(file), Ok(path)) = (file.metadata(), std::fs::symlink_metadata(path)) else {
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
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use anyhow::bail;

    use super::*;

    #[test]
    fn what_is_no_file_is_not_replaced_and_a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let interrupt = Interrupt::default();
        let put = |name: &str, text: &'static str| {
            write(&path(name), &interrupt, |out| {
                Ok(out.write_all(text.as_bytes())?)
            })
        };
        std::fs::write(path("target"), "old").unwrap();
        symlink("target", path("link")).unwrap();
        put("link", "new").unwrap();
        assert!(path("link").is_symlink());
        assert_eq!(std::fs::read_to_string(path("target")).unwrap(), "new");

        std::fs::write(path("victim"), "untouched").unwrap();
        symlink("victim", path("a.tar.partial")).unwrap();
        let error = format!("{:#}", put("a.tar", "bad").unwrap_err());
        assert!(error.contains("in the way"), "{error}");
        assert_eq!(
            std::fs::read_to_string(path("victim")).unwrap(),
            "untouched"
        );

        let made = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(made.unwrap().success());
        let pipe = path("pipe");
        let reader = std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap());
        put("pipe", "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        let kind = std::fs::symlink_metadata(path("pipe")).unwrap().file_type();
        assert!(kind.is_fifo());

        symlink("nowhere", path("dangling")).unwrap();
        assert!(put("dangling", "x").is_err());
        let error = format!("{:#}", put("none/a.tar", "x").unwrap_err());
        assert!(error.contains("there is no folder"), "{error}");
        assert!(write(folder.path(), &interrupt, |_| Ok(())).is_err());
    }

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
