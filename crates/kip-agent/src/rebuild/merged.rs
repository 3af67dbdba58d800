//! The tar of an image's merged root file system, as its containers see it: there are no marks of deletion in it, and no digest is
//! known that it should have, so it has the form that a layer has of which none is proven.
//!
//! What reads it may be no more than a usual user.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::form;
use super::table::fallback;
use super::walk::Walk;
use crate::documents::of_hash;
use crate::pieces::Joined;
use crate::protocol::{Profile, Rebuilt};
use crate::store::Pieces;

/// How many of the files that cannot be read are named.
const EXAMPLES: usize = 5;

/// What a tar lacks, as it cannot be read.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    count: usize,
    examples: Vec<String>,
}

impl LeftOut {
    pub(super) fn note(&mut self, path: &[u8]) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            let path = format!("/{}", String::from_utf8_lossy(path));
            self.examples.push(path);
        }
    }

    fn error(&self) -> io::Error {
        let files = if self.count == 1 { "file" } else { "files" };
        let more = if self.count > self.examples.len() {
            ", …"
        } else {
            ""
        };
        // Whose the process is.
        let user = std::fs::metadata("/proc/self").map(|it| it.uid());
        let user = user.map_or_else(|_| "this user".to_owned(), |it| format!("user {it}"));
        let what = format!(
            "{} {files} of the image cannot be read by {user}, for example {}{more}",
            self.count,
            self.examples.join(", ")
        );
        io::Error::new(io::ErrorKind::PermissionDenied, what)
    }
}

/// Makes the tar of the root file system in this folder, and gives its digest. What cannot be read is left out where `skips`, and
/// counted. `working` is called now and then; its error ends it.
///
/// # Errors
/// When something cannot be read, with how much and what, unless that is left out; `working`'s.
pub fn merged(
    top: &Path,
    skips: bool,
    working: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Rebuilt> {
    let (left_out, has_more) = look(top, working)?;
    if left_out.count > 0 && !skips {
        return Err(left_out.error());
    }
    let profile = Profile {
        name: fallback(has_more).name.to_owned(),
        whiteout_time: 0,
    };
    let mut reader = Joined::from_offset(merged_pieces(top, &profile, skips)?, 0);
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 128 << 10];
    loop {
        working()?;
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(Rebuilt {
        profile,
        digest: of_hash(hash.finalize().as_slice()),
        size,
        is_proven: false,
        tried: 1,
        left_out: left_out.count,
        examples: left_out.examples,
    })
}

/// The tar of which [`merged`] has told. The same at each call, as long as the files are.
///
/// # Errors
/// When the files cannot be read, unless that is left out where `skips`; when the profile's name is not known.
pub fn merged_pieces(top: &Path, profile: &Profile, skips: bool) -> io::Result<Pieces> {
    let form = form::known(&profile.name)?;
    let walk = Walk::merged(top, form.order, skips);
    Ok(super::joined(walk, form, profile.whiteout_time))
}

/// Finds all that cannot be read, before anything is, and whether there are attributes that only the second form keeps.
fn look(top: &Path, working: &mut dyn FnMut() -> io::Result<()>) -> io::Result<(LeftOut, bool)> {
    let mut walk = Walk::merged(top, fallback(false).order, true);
    let mut has_more = false;
    for entry in walk.by_ref() {
        has_more |= entry?.has_more();
        working()?;
    }
    Ok((walk.into_left_out(), has_more))
}
