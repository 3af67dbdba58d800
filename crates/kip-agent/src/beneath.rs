//! Opens a file of an image, as a program would whose root folder is the layer's: no name and no symbolic link leads out of it.
//!
//! What lies in a layer was written by whoever made the image. The agent reads as root beside the node's own files, so a link
//! to `/etc` in a layer must mean the layer's `/etc`.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

/// So many symbolic links are followed at most, as Linux does.
const MAX_LINKS: usize = 40;

/// A folder that is only passed through: not even a link is followed in opening it.
const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a regular file below a folder. Links among its parents are followed inside the folder; the file itself is no link.
///
/// # Errors
/// When there is no such file, or the name leads out of the folder.
pub fn open(root: &Path, name: &Path) -> io::Result<File> {
    let (parents, last) = split(name)?;
    let mut walk = Walk::from(root)?;
    walk.enter(parents.into())?;
    regular(walk.here(), Path::new(last))
}

/// Opens a regular file, never through a link at its end, and never anything that would block or act on being opened.
///
/// # Errors
/// When there is no such file.
pub fn regular(folder: BorrowedFd<'_>, name: &Path) -> io::Result<File> {
    let check = |mode| {
        let is_file = FileType::from_raw_mode(mode).is_file();
        let what = || io::Error::new(io::ErrorKind::InvalidData, "it is no regular file");
        is_file.then_some(()).ok_or_else(what)
    };
    // A device is not even opened.
    check(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(folder, name, flags, Mode::empty())?;
    check(rustix::fs::fstat(&file)?.st_mode)?;
    Ok(File::from(file))
}

/// A name's folders and its last part. `..` is taken away with what is before it, as those do who unpack layers.
fn split(name: &Path) -> io::Result<(Vec<OsString>, &OsStr)> {
    let mut parts: Vec<&OsStr> = Vec::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir if parts.pop().is_none() => {
                let what = "the name leads out of its folder";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            _ => {}
        }
    }
    let last = parts.pop();
    let last = last.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it has no name"))?;
    Ok((parts.into_iter().map(OsStr::to_owned).collect(), last))
}

/// A place below a root.
struct Walk {
    root: OwnedFd,
    /// The folders that lead here, from below the root on.
    folders: Vec<OwnedFd>,
    links: usize,
}

impl Walk {
    fn from(root: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            root: rustix::fs::open(root, flags, Mode::empty())?,
            folders: Vec::new(),
            links: 0,
        })
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.folders.last().unwrap_or(&self.root).as_fd()
    }

    fn enter(&mut self, mut parts: VecDeque<OsString>) -> io::Result<()> {
        while let Some(part) = parts.pop_front() {
            match part.as_bytes() {
                b"" | b"." => {}
                // Above the root is the root.
                b".." => drop(self.folders.pop()),
                _ => match openat(self.here(), &part, FOLDER, Mode::empty()) {
                    Ok(folder) => self.folders.push(folder),
                    Err(Errno::NOTDIR | Errno::LOOP) => {
                        for part in self.follow(&part)?.into_iter().rev() {
                            parts.push_front(part);
                        }
                    }
                    Err(error) => return Err(error.into()),
                },
            }
        }
        Ok(())
    }

    /// The parts of a link's target; at the root where it begins there.
    fn follow(&mut self, link: &OsStr) -> io::Result<Vec<OsString>> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(self.here(), link, Vec::new()).map_err(|error| match error {
            Errno::INVAL => Errno::NOTDIR,
            other => other,
        })?;
        let target = target.as_bytes();
        if target.starts_with(b"/") {
            self.folders.clear();
        }
        let parts = target.split(|byte| *byte == b'/');
        Ok(parts
            .map(|part| OsStr::from_bytes(part).to_owned())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn read(root: &Path, name: &str) -> io::Result<String> {
        let mut text = String::new();
        open(root, Path::new(name))?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// A layer beside a file that no name in it may lead to.
    fn layer() -> (tempfile::TempDir, std::path::PathBuf) {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("shadow"), "the node's").unwrap();
        let root = outside.path().join("diff");
        std::fs::create_dir_all(root.join("usr/lib")).unwrap();
        std::fs::create_dir(root.join("usr/share")).unwrap();
        std::fs::write(root.join("usr/lib/a"), "of the layer").unwrap();
        (outside, root)
    }

    #[test]
    fn a_file_is_found_by_each_form_of_its_name() {
        let (_outside, root) = layer();
        symlink("usr/lib", root.join("lib")).unwrap();
        symlink("/lib/../lib/.", root.join("usr/share/absolute")).unwrap();
        let deep = "usr/x/../lib//a";
        for name in ["usr/lib/a", "./usr/lib/a", "/usr/lib/a", deep, "lib/a"] {
            assert_eq!(read(&root, name).unwrap(), "of the layer", "{name}");
        }
        assert_eq!(read(&root, "usr/share/absolute/a").unwrap(), "of the layer");
    }

    #[test]
    fn no_name_and_no_link_leads_out_of_the_folder() {
        let (outside, root) = layer();
        for (name, target) in [
            ("up", ".."),
            ("far", "../../../../../../../.."),
            ("absolute", outside.path().to_str().unwrap()),
            ("etc", "/etc"),
            ("self", "self"),
            ("proc", "/proc/self/cwd"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        symlink("../shadow", root.join("file")).unwrap();
        let outside_name = format!("far{}/shadow", outside.path().display());
        for name in [
            "../shadow",
            "usr/../../shadow",
            "up/shadow",
            "absolute/shadow",
            "etc/passwd",
            "self/a",
            "proc/Cargo.toml",
            "file",
            &outside_name,
            "",
            "..",
            "usr/lib",
            "usr/lib/a/b",
        ] {
            let error = read(&root, name).unwrap_err();
            assert_ne!(error.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let (_outside, root) = layer();
        let socket = root.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        let error = read(&root, "socket").unwrap_err().to_string();
        assert_eq!(error, "it is no regular file");
    }
}
