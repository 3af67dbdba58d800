//! Blobs: layers, configurations, and whatever else a manifest names.

mod range;
mod read;
mod session;
mod upload;

pub use read::Blob;
pub(crate) use session::{Begun, Session};
