//! A layer's entries, one after the other, in a builder's order.
//!
//! What is kept in memory are the names in the folders from the root to the current one, and a path for each file that has more
//! than one: never as much as the layer has.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::entries::{self, Entry, Kind};
use super::form::{Order, Sort};
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
            stack: Vec::new(),
            next: None,
            first_paths: HashMap::new(),
            first_mark: None,
            root: None,
        }
    }

    fn root(&mut self) -> io::Result<Option<Entry>> {
        let near = newest(&self.top).map_err(|error| of_path(&self.top, error))?;
        let root = entries::read(&self.top, Vec::new(), near)?;
        if let Some(root) = &root {
            self.enter(Vec::new(), root.mtime)?;
        }
        self.root.clone_from(&root);
        Ok(root)
    }

    fn enter(&mut self, path: Vec<u8>, mtime: i64) -> io::Result<()> {
        let folder = self.top.join(std::ffi::OsStr::from_bytes(&path));
        let steps = self
            .steps(&folder)
            .map_err(|error| of_path(&folder, error))?;
        let steps = steps.into_iter();
        self.stack.push(Frame { path, mtime, steps });
        Ok(())
    }

    fn steps(&self, folder: &Path) -> io::Result<Vec<Step>> {
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
                    let entry = entries::read(&self.top, path.clone(), near)?;
                    let mtime = entry.map_or(0, |entry| entry.mtime);
                    self.enter(path, mtime)?;
                    continue;
                }
                What::Opaque => {
                    let path = frame.path.clone();
                    let folder = entries::read(&self.top, path, near)?;
                    folder.map(opaque_of)
                }
                What::Entry(name) => {
                    let path = join(&name);
                    let entry = entries::read(&self.top, path, near)?;
                    entry.map(|entry| self.note(entry)).transpose()?
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
                    self.enter(entry.path.clone(), entry.mtime)?;
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
