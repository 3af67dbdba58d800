//! Where a node keeps its images: what a container runtime has on the disk, read without asking it.

pub mod containerd;
pub mod containers_storage;
pub mod docker;
mod files;
pub mod flat;
mod looking;
mod names;
#[cfg(test)]
mod testing;
mod unpacked;

use std::io;

use crate::pieces::Piece;
use crate::protocol::{Image, Layer, Listed, Part, Rebuilt, StoreKind, Wanted};
pub use looking::Looking;

/// The parts of a stream, one after the other.
pub type Pieces = Box<dyn Iterator<Item = io::Result<Piece>>>;

/// A runtime's images.
pub trait Store {
    /// Whose it is.
    fn kind(&self) -> StoreKind;

    /// All of its images, in no order. One that is damaged is among them, as far as it is known, and noted.
    ///
    /// # Errors
    /// When nothing of what is on the disk can be read; when nobody waits any more.
    fn list(&self, _looking: &mut Looking<'_>) -> io::Result<Vec<Listed>> {
        Ok(Vec::new())
    }

    /// The image, where this store has it. What is damaged is noted, and is not it.
    ///
    /// # Errors
    /// When what is on the disk cannot be read, or is not what the runtime writes; when nobody waits any more.
    fn find(&self, _wanted: &Wanted, _looking: &mut Looking<'_>) -> io::Result<Option<Image>> {
        Ok(None)
    }

    /// The bytes of a part, where this store has it. They are the same at each call.
    ///
    /// # Errors
    /// When what is on the disk cannot be read.
    fn pieces(&self, part: &Part) -> io::Result<Option<Pieces>>;

    /// Finds out how a layer is made again from its files, where this store has them.
    /// `working` is called now and then while that lasts; its error ends it.
    ///
    /// # Errors
    /// When what is on the disk cannot be read; `working`'s.
    fn rebuild(
        &self,
        _layer: &Layer,
        _created: &[i64],
        _working: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Option<Rebuilt>> {
        Ok(None)
    }
}
