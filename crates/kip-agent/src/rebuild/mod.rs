//! Makes a layer's tar again from its files, as they lie in an overlay snapshot.
//!
//! What a tar says beyond its files (the order, the form of its headers, names, marks of deletion) is a builder's choice. The
//! choices of known builders are tried, one after the other, until the digest is the one in the image's configuration: then the
//! bytes are the same, whoever made them.

use std::io;
use std::path::PathBuf;

use crate::protocol::{Profile, Rebuilt};
use crate::store::Pieces;

/// A layer's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Those of the layer itself.
    pub top: PathBuf,
    /// Those of the layers below it, the nearest first.
    pub lower: Vec<PathBuf>,
}

/// The tar in this form. The same at each call, as long as the files are.
///
/// # Errors
/// When the files cannot be read, or the profile's name is not known.
pub fn pieces(_folders: &Folders, _profile: &Profile) -> io::Result<Pieces> {
    Err(io::Error::other("not yet"))
}

/// Finds the form whose digest is `diff_id`, or else gives the one that most readers understand, with its digest.
/// `created` are the times that the image's history knows, in seconds since 1970. `working` is called at least once a second;
/// its error ends the search.
///
/// # Errors
/// When the files cannot be read; `working`'s.
pub fn prove(
    _folders: &Folders,
    _diff_id: &str,
    _created: &[i64],
    _working: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Rebuilt> {
    Err(io::Error::other("not yet"))
}
