//! Makes a layer's tar again from its files, as they lie in an overlay snapshot.
//!
//! What a tar says beyond its files (the order, the form of its headers, names, marks of deletion) is a builder's choice. The
//! choices of known builders are tried, one after the other, until the digest is the one in the image's configuration: then the
//! bytes are the same, whoever made them.
//!
//! ```text
//! prove ─┬─ walk ── entries        the disk's files, in an order
//! pieces ┘    │
//!             └─ tar ── form       a file's header in a builder's form      (table: the known ones)
//!                 ├── go           Go's archive/tar
//!                 ├── gnu          GNU tar; Python's tarfile in GNU format
//!                 ├── python       Python's tarfile in PAX format
//!                 ├── bsd          libarchive's bsdtar
//!                 └── commons      Apache Commons Compress: Jib             (block, pax)
//! ```
//!
//! Where none fits, the tar has containerd's form. Builders differ in the extended attributes that they write, and containerd writes
//! few: where files have others that belong to the image, the form is one with these. So it keeps those of users, capabilities and
//! access lists, as far as they can be read, and never those of a node (labels of `SELinux`, measurements) or of an overlay.
//!
//! The same is done with a merged root file system, for which no other form is tried: `merged`.
//!
//! What cannot be proven, as no disk has it: marks of deletion with a time that the image's history does not know, the root's entry with
//! a time that neither the history nor the files in it have, an order that is none, entries that later ones replaced, holes that were
//! written as such, the times of access and change, times before 1970, names of users other than root.
//!
//! A search costs one reading of the files for each tier of forms, or a few, and reads no more once it has hashed some gigabytes, but
//! for the one reading that attributes may need in the end.

#[cfg(test)]
mod attributes;
mod block;
mod bsd;
mod commons;
mod entries;
mod form;
mod gnu;
mod go;
#[cfg(test)]
mod known;
mod merged;
mod pax;
mod prove;
mod python;
mod table;
mod tar;
#[cfg(test)]
mod tests;
mod walk;

use std::io;
use std::path::Path;

use crate::pieces::Piece;
use crate::protocol::{Profile, Rebuilt};
use crate::store::Pieces;
pub use merged::{merged, merged_pieces};

/// The tar of a layer whose files are in the folder, in this form. The same at each call, as long as the files are.
///
/// # Errors
/// When the files cannot be read, or the profile's name is not known.
pub fn pieces(top: &Path, profile: &Profile) -> io::Result<Pieces> {
    let form = form::known(&profile.name)?;
    let walk = walk::Walk::new(top, form.order);
    Ok(joined(walk, form, profile.whiteout_time))
}

/// The tar of these entries.
fn joined(mut walk: walk::Walk, form: &'static form::Form, given: i64) -> Pieces {
    let mut ready = std::collections::VecDeque::new();
    let mut size = 0;
    let mut is_ended = false;
    Box::new(std::iter::from_fn(move || {
        while ready.is_empty() && !is_ended {
            match walk.next() {
                Some(Ok(entry)) => {
                    ready.push_back(Piece::Bytes(tar::head(form, &entry, given)));
                    if let Some((content, zeros)) = tar::body(&entry) {
                        ready.extend([content, zeros]);
                    }
                }
                Some(Err(error)) => {
                    is_ended = true;
                    return Some(Err(error));
                }
                None => {
                    is_ended = true;
                    ready.push_back(Piece::Zeros(tar::end(form, size)));
                }
            }
        }
        let piece = ready.pop_front()?;
        size += piece.size();
        Some(Ok(piece))
    }))
}

/// Finds the form whose digest is `diff_id`, or else gives the one that most readers understand, with its digest: one that keeps all
/// extended attributes that belong to the image.
/// `created` are the times at which the layer may have been made, from the image's history, in seconds since 1970, the likeliest first.
/// `working` is called at once, and then at least once a second; its error ends the search.
///
/// # Errors
/// When the files cannot be read; `working`'s.
pub fn prove(
    top: &Path,
    diff_id: &str,
    created: &[i64],
    working: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Rebuilt> {
    prove::prove(top, diff_id, created, prove::LIMITS, working)
}
