//! Reads the images of a node for `kubectl pull-image`.
//!
//! The program runs in a pod on the node, with the node's `/var` mounted read-only, and answers over its standard input and
//! output. It asks no daemon and writes nothing: what a container runtime keeps on the disk is enough.
//!
//! ```text
//! serve ── request ── stores ── containerd          content store, snapshots, its database      (bolt)
//!   │        (protocol)   ├──── docker              layers with their tar-split
//!   │                     ├──── containers_storage  CRI-O's and podman's, with their tar-split
//!   │                     └──── flat                one image, mounted as a whole
//!   │                            each gives a layer as pieces: bytes and ranges of files
//!   │                                 blob │ tar_split │ rebuild (tar made again from a snapshot)
//!   └── frames ── pieces, read from an offset, checked, compressed where that helps
//! ```

pub mod protocol;

#[cfg(feature = "program")]
pub mod beneath;
#[cfg(feature = "program")]
pub mod bolt;
#[cfg(feature = "program")]
pub mod documents;
#[cfg(feature = "program")]
pub mod patient;
#[cfg(feature = "program")]
pub mod pieces;
#[cfg(feature = "program")]
pub mod rebuild;
#[cfg(feature = "program")]
pub mod roots;
#[cfg(feature = "program")]
pub mod serve;
#[cfg(feature = "program")]
pub mod store;
#[cfg(feature = "program")]
pub mod tar_split;
#[cfg(feature = "program")]
pub mod wait;
