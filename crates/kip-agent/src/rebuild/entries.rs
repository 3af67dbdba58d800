//! What a disk says of a file in a layer.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr, major, minor};
use rustix::io::Errno;

use crate::pieces::of_path;

/// What a program may do whoever starts it.
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// A file, a folder, a mark of deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it is on the disk.
    pub(super) source: PathBuf,
    /// Its path in the layer; empty for the root.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    /// Without the bits of the type.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) nanos: u32,
    /// Sorted by name; without those of the overlay itself, and those that cannot be read. In a merged view, the image's.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first path of the same file.
    pub(super) first: Option<Vec<u8>>,
    /// When it was changed for the last time, in seconds and nanoseconds.
    pub(super) change: (i64, i64),
    /// A folder that an unpacker made.
    pub(super) is_made: bool,
    /// For what has no time of its own: its folder's, or for the root that of the newest in it.
    pub(super) near: i64,
    /// What else there is of the same file.
    pub(super) inode: Option<(u64, u64)>,
    /// The file system that it is on.
    pub(super) device: u64,
}

/// What a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// A layer's files, with an overlay's marks.
    Layer,
    /// What a container sees. An overlay shows no marks there: what looks like one is none.
    Merged,
}

impl Entry {
    /// Whether the last that happened to it was that something was put into it, or taken from it.
    pub(super) fn is_touched(&self) -> bool {
        (self.mtime, i64::from(self.nanos)) == self.change
    }

    /// Whether it has attributes that belong to the image, beside capabilities, which containerd writes. Those of the root are in no tar
    /// of its form, as the root is not.
    pub(super) fn has_more(&self) -> bool {
        let mut names = self.xattrs.iter().map(|(name, _)| name.as_slice());
        !self.path.is_empty() && names.any(|name| name != CAPABILITY && is_images(name))
    }
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder {
        is_opaque: bool,
    },
    File {
        size: u64,
    },
    Link {
        target: Vec<u8>,
    },
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
    /// What was there below is no more.
    Deleted,
    /// What was in this folder below is no more. The path is the folder's.
    Opaque,
}

/// Reads it; `None` for what no tar can have.
pub(super) fn read(top: &Path, path: Vec<u8>, near: i64, view: View) -> io::Result<Option<Entry>> {
    let source = top.join(std::ffi::OsStr::from_bytes(&path));
    let read = read_at(&source, path, near, view);
    read.map_err(|error| of_path(&source, error))
}

fn read_at(source: &Path, path: Vec<u8>, near: i64, view: View) -> io::Result<Option<Entry>> {
    let metadata = fs::symlink_metadata(source)?;
    let kind = metadata.file_type();
    let xattrs = xattrs(source, view)?;
    let device = (major(metadata.rdev()), minor(metadata.rdev()));
    let kind = if kind.is_dir() {
        let is_opaque = is_opaque(&xattrs);
        Kind::Folder { is_opaque }
    } else if kind.is_file() {
        let size = metadata.size();
        Kind::File { size }
    } else if kind.is_symlink() {
        let target = fs::read_link(source)?.as_os_str().as_bytes().to_vec();
        Kind::Link { target }
    } else if kind.is_char_device() && device == (0, 0) {
        if view == View::Merged {
            // Those who unpack the tar would take it for a mark.
            return Ok(None);
        }
        Kind::Deleted
    } else if kind.is_char_device() {
        let (major, minor) = device;
        Kind::Char { major, minor }
    } else if kind.is_block_device() {
        let (major, minor) = device;
        Kind::Block { major, minor }
    } else if kind.is_fifo() {
        Kind::Fifo
    } else {
        return Ok(None);
    };
    let is_folder = matches!(kind, Kind::Folder { .. });
    let is_shared = metadata.nlink() > 1 && !is_folder && kind != Kind::Deleted;
    Ok(Some(Entry {
        source: source.to_owned(),
        path,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: metadata.mtime(),
        nanos: u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
        xattrs: xattrs
            .into_iter()
            .filter(|(name, _)| !is_private(name))
            .collect(),
        first: None,
        is_made: false,
        change: (metadata.ctime(), metadata.ctime_nsec()),
        near,
        inode: is_shared.then(|| (metadata.dev(), metadata.ino())),
        device: metadata.dev(),
        kind,
    }))
}

/// Whether the folder hides what is below it.
pub(super) fn hides(folder: &Path) -> io::Result<bool> {
    let found = xattrs(folder, View::Layer).map_err(|error| of_path(folder, error))?;
    Ok(is_opaque(&found))
}

/// Whether the entry of a folder is a mark of deletion.
pub(super) fn is_mark(entry: &fs::DirEntry) -> io::Result<bool> {
    Ok(entry.file_type()?.is_char_device() && entry.metadata()?.rdev() == 0)
}

fn is_opaque(xattrs: &[(Vec<u8>, Vec<u8>)]) -> bool {
    let names: [&[u8]; 2] = [b"trusted.overlay.opaque", b"user.overlay.opaque"];
    xattrs
        .iter()
        .any(|(name, value)| names.contains(&name.as_slice()) && value == b"y")
}

/// The overlay's own, and what a tar never gives to a disk.
fn is_private(name: &[u8]) -> bool {
    name.starts_with(b"trusted.") || name.starts_with(b"user.overlay.")
}

/// Whether the attribute belongs to an image, wherever it is unpacked: those of users, what a program may do, and access lists. What
/// else there is belongs to the node (labels, measurements) or to the driver that keeps the image's files there.
pub(super) fn is_images(name: &[u8]) -> bool {
    let lists: [&[u8]; 3] = [
        CAPABILITY,
        b"system.posix_acl_access",
        b"system.posix_acl_default",
    ];
    let is_drivers = name.starts_with(b"user.fuseoverlayfs.")
        || name == b"user.containers.override_stat"
        || is_private(name);
    // In a tar, a name ends at the first of these.
    let can_be_written = !name.contains(&b'=');
    lists.contains(&name) || name.starts_with(b"user.") && !is_drivers && can_be_written
}

/// What can be read: a usual user may not read all of a file's attributes. The overlay's own in a layer must be.
fn xattrs(path: &Path, view: View) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = match whole(|buffer| llistxattr(path, buffer)) {
        // A disk without attributes has none.
        Err(Errno::NOTSUP | Errno::NODATA) => Vec::new(),
        Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS) if view == View::Merged => Vec::new(),
        names => names?,
    };
    if view == View::Merged {
        // Not all file systems that have it name it.
        names.extend([b"\0", CAPABILITY].concat());
    }
    let mut found = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && (view == View::Layer || is_images(name)))
    {
        match whole(|buffer| lgetxattr(path, name, buffer)) {
            Ok(value) => found.push((name.to_vec(), value)),
            Err(Errno::NOTSUP | Errno::NODATA) => {}
            // The last: a capability of another user namespace.
            Err(Errno::PERM | Errno::ACCESS | Errno::OVERFLOW) if !is_private(name) => {}
            Err(error) => return Err(error.into()),
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// All bytes of something that says only that the buffer is too small.
fn whole(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(size) => {
                buffer.truncate(size);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 8, 0),
            Err(error) => return Err(error),
        }
    }
}
