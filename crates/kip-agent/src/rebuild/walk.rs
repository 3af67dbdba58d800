//! A layer's entries, one after the other, in a builder's order.
//!
//! What is kept in memory are the names in the folders from the root to the current one, and a path for each file that has more
//! than one: never as much as the layer has.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::entries::{self, Entry, Kind, View};
use super::form::{Order, Sort};
use super::merged::LeftOut;
use crate::beneath;
use crate::pieces::of_path;

/// What a mark of deletion's name begins with.
pub(super) const MARK: &[u8] = b".wh.";
/// The name of the mark of an opaque folder.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";

/// How many seconds unpacking a layer takes at most.
const UNPACKING: u64 = 60;

/// The entries in order, the root first.
pub(super) struct Walk {
    top: PathBuf,
    order: Order,
    view: View,
    /// What cannot be read, where that is left out.
    left_out: Option<LeftOut>,
    stack: Vec<Frame>,
    /// Comes before what is on the stack.
    next: Option<Entry>,
    first_paths: HashMap<(u64, u64), Vec<u8>>,
    first_mark: Option<Vec<u8>>,
    /// The root, without its content.
    root: Option<Entry>,
}

/// A folder of which there is something left.
struct Frame {
    path: Vec<u8>,
    mtime: i64,
    steps: std::vec::IntoIter<Step>,
}

struct Step {
    /// What it is sorted by.
    key: Vec<u8>,
    what: What,
}

enum What {
    Entry(Vec<u8>),
    /// What is in the folder.
    Enter(Vec<u8>),
    Opaque,
}

impl Walk {
    pub(super) fn new(top: &Path, order: Order) -> Self {
        Self {
            top: top.to_owned(),
            order,
            view: View::Layer,
            left_out: None,
            stack: Vec::new(),
            next: None,
            first_paths: HashMap::new(),
            first_mark: None,
            root: None,
        }
    }

    /// Over a merged root file system. Where `skips`, what cannot be read is left out; else it is an error where it is come to.
    pub(super) fn merged(top: &Path, order: Order, skips: bool) -> Self {
        Self {
            view: View::Merged,
            left_out: skips.then(LeftOut::default),
            ..Self::new(top, order)
        }
    }

    /// What was left out.
    pub(super) fn into_left_out(self) -> LeftOut {
        self.left_out.unwrap_or_default()
    }

    fn root(&mut self) -> io::Result<Option<Entry>> {
        let near = match self.view {
            View::Layer => newest(&self.top).map_err(|error| of_path(&self.top, error))?,
            View::Merged => 0,
        };
        let root = self.read(Vec::new(), near)?;
        self.root.clone_from(&root);
        if let Some(root) = &root {
            self.enter(root)?;
        }
        Ok(root)
    }

    fn read(&self, path: Vec<u8>, near: i64) -> io::Result<Option<Entry>> {
        entries::read(&self.top, path, near, self.view)
    }

    fn enter(&mut self, folder: &Entry) -> io::Result<()> {
        if self.is_mounted(folder) {
            return Ok(());
        }
        let is_root = folder.path.is_empty();
        let steps = match (self.steps(&folder.source), &mut self.left_out) {
            (Ok(steps), _) => steps,
            (Err(error), Some(left_out)) if is_denied(&error) && !is_root => {
                left_out.note(&folder.path);
                return Ok(());
            }
            (Err(error), _) => return Err(of_path(&folder.source, error)),
        };
        self.stack.push(Frame {
            path: folder.path.clone(),
            mtime: folder.mtime,
            steps: steps.into_iter(),
        });
        Ok(())
    }

    /// Whether something else is mounted there, which is no part of the image.
    fn is_mounted(&self, folder: &Entry) -> bool {
        let root = self.root.as_ref().filter(|_| self.view == View::Merged);
        root.is_some_and(|root| root.device != folder.device)
    }

    /// Whether the file is left out, as it cannot be read. One that is empty need not be.
    fn is_left_out(&mut self, entry: &Entry) -> io::Result<bool> {
        let Some(left_out) = &mut self.left_out else {
            return Ok(false);
        };
        if !matches!(entry.kind, Kind::File { size: 1.. }) {
            return Ok(false);
        }
        match beneath::regular(rustix::fs::CWD, &entry.source) {
            Ok(_) => Ok(false),
            Err(error) if is_denied(&error) => {
                left_out.note(&entry.path);
                Ok(true)
            }
            Err(error) => Err(of_path(&entry.source, error)),
        }
    }

    fn steps(&self, folder: &Path) -> io::Result<Vec<Step>> {
        if self.view == View::Merged {
            // A folder may show its names to whom it does not show more: it counts as one that cannot be read.
            fs::symlink_metadata(folder.join("."))?;
        }
        let mut steps = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().into_vec();
            let is_folder = entry.file_type()?.is_dir();
            let slashed = || [&name, b"/".as_slice()].concat();
            let key = match self.order.sort {
                Sort::SlashedPaths if is_folder => slashed(),
                _ if self.order.marks_by_own_name && entries::is_mark(&entry)? => {
                    [MARK, &name].concat()
                }
                _ => name.clone(),
            };
            if self.order.sort == Sort::Paths && is_folder {
                let key = slashed();
                let what = What::Enter(name.clone());
                steps.push(Step { key, what });
            }
            let what = What::Entry(name);
            steps.push(Step { key, what });
        }
        if self.order.marks_by_own_name && entries::hides(folder)? {
            let key = OPAQUE.to_vec();
            let what = What::Opaque;
            steps.push(Step { key, what });
        }
        steps.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(steps)
    }

    /// The next entry; `None` at the end.
    fn advance(&mut self) -> io::Result<Option<Entry>> {
        if self.root.is_none() {
            return self.root();
        }
        if let Some(entry) = self.next.take() {
            return Ok(Some(entry));
        }
        while let Some(frame) = self.stack.last_mut() {
            let Some(step) = frame.steps.next() else {
                self.stack.pop();
                continue;
            };
            let near = frame.mtime;
            let join = |name: &[u8]| match frame.path.as_slice() {
                b"" => name.to_vec(),
                folder => [folder, b"/", name].concat(),
            };
            let entry = match step.what {
                What::Enter(name) => {
                    let path = join(&name);
                    if let Some(folder) = self.read(path, near)? {
                        self.enter(&folder)?;
                    }
                    continue;
                }
                What::Opaque => {
                    let path = frame.path.clone();
                    let folder = self.read(path, near)?;
                    folder.map(opaque_of)
                }
                What::Entry(name) => {
                    let path = join(&name);
                    match self.read(path, near)? {
                        Some(entry) if !self.is_left_out(&entry)? => Some(self.note(entry)?),
                        _ => None,
                    }
                }
            };
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }

    /// Whether an unpacker made the folder, as something in it was in the tar and the folder itself was not: it has the time when
    /// something was put into it, while to a folder that was in the tar the tar's time is given after that.
    ///
    /// The root is always made by the unpacker. Where even it was changed since, the disk is a copy of the one that was unpacked to:
    /// then what is left is that it was made at about the time at which the root was.
    fn is_made(&self, folder: &Entry) -> bool {
        self.root.as_ref().is_some_and(|root| {
            if root.is_touched() {
                folder.is_touched()
            } else {
                folder.mtime.abs_diff(root.mtime) <= UNPACKING
            }
        })
    }

    /// Does what is to be done because of the entry.
    fn note(&mut self, mut entry: Entry) -> io::Result<Entry> {
        if let Some(inode) = entry.inode {
            entry.first = self.first_paths.get(&inode).cloned();
            if entry.first.is_none() {
                self.first_paths.insert(inode, entry.path.clone());
            }
        }
        match entry.kind {
            Kind::Deleted => {
                entry.first.clone_from(&self.first_mark);
                self.first_mark.get_or_insert_with(|| entry.path.clone());
            }
            Kind::Folder { is_opaque } => {
                entry.is_made = self.is_made(&entry);
                if is_opaque && !self.order.marks_by_own_name {
                    self.next = Some(opaque_of(entry.clone()));
                }
                if self.order.sort != Sort::Paths {
                    self.enter(&entry)?;
                }
            }
            _ => {}
        }
        Ok(entry)
    }
}

impl Iterator for Walk {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// The mark that says that the folder is opaque.
fn opaque_of(folder: Entry) -> Entry {
    Entry {
        kind: Kind::Opaque,
        xattrs: Vec::new(),
        near: folder.mtime,
        is_made: false,
        ..folder
    }
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The time of the newest in the folder.
fn newest(folder: &Path) -> io::Result<i64> {
    let mut newest = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entries::is_mark(&entry)? {
            newest = newest.max(entry.metadata()?.mtime());
        }
    }
    Ok(newest)
}
