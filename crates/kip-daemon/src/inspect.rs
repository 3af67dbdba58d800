//! What an image is by its registry: which of the architectures that our pods run on it is for, and which layers a node
//! of each pulls. At the edge: it asks.
//!
//! It chooses as containerd does in [`images.Manifest`][choice]; what is said of manifests without index was seen on
//! containerd 2.4 with its default settings:
//! - Of an index, a node takes the best entry for its platform, and only that one: where the entry is an index again, it
//!   goes on there; where the entry names no platform, the image's configuration must.
//! - A manifest that no index names is fetched whatever it is for, and unpacked where its configuration tells the node's
//!   operating system or none. The architecture is not looked at: there is a container, in which a sleeper runs, and the
//!   image's own programs do not start if they are for another. So one that tells no architecture is for any. One of
//!   another operating system is not unpacked, and no container of it is made.
//! - A configuration that is not there, or no JSON, fails the pull.
//!
//! [choice]: https://github.com/containerd/containerd/blob/v2.4.2/core/images/image.go

mod asking;

use std::collections::BTreeSet;

use kip_image::{Digest, Reference};
use kip_registry::Kind;

pub use self::asking::inspect;
use crate::architecture::Architecture;

/// An image, as its registry tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What the name stands for: the digest of the index, or of the manifest where there is none.
    pub digest: Digest,
    /// What it is for each architecture, in the order of [`Architecture::ALL`].
    fits: [Fit; Architecture::ALL.len()],
    /// The platforms beside ours that it is for, for messages.
    pub others: Vec<String>,
}

/// What an image is for nodes of one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It runs there, and has these layers.
    Runs(Vec<Layer>),
    /// It is for another platform only and has no index: nodes fetch these layers all the same, and its programs do
    /// not start there.
    Foreign(Vec<Layer>),
    /// Nodes find nothing to pull.
    Absent,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of the bytes that are pulled.
    pub digest: Digest,
    /// How many bytes are pulled: most layers are compressed.
    pub size: u64,
}

/// Why an image is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the registry, or the way to it, says.
    #[error(transparent)]
    Registry(#[from] kip_registry::Error),
    /// What the registry has cannot be read.
    #[error("{reference}: {source}")]
    Manifest {
        /// The image.
        reference: Reference,
        /// What is wrong.
        source: kip_registry::Error,
    },
    /// There is something of that name, and it is no image.
    #[error("{reference}: not an image that a container can be made of: {what}")]
    NoImage {
        /// The image.
        reference: Reference,
        /// What it is.
        what: String,
    },
}

// === impl Inspected ===

impl Inspected {
    /// What the image is for nodes of this architecture.
    pub fn fit(&self, architecture: Architecture) -> &Fit {
        architecture.own(&self.fits)
    }

    /// The architectures that it has nothing for.
    pub fn absent(&self) -> BTreeSet<Architecture> {
        let lacks = |architecture: &Architecture| *self.fit(*architecture) == Fit::Absent;
        Architecture::ALL.into_iter().filter(lacks).collect()
    }

    /// One of these parts, in the order of [`Architecture::ALL`].
    pub fn new(digest: Digest, fits: [Fit; Architecture::ALL.len()], others: Vec<String>) -> Self {
        Self {
            digest,
            fits,
            others,
        }
    }
}

// === impl Fit ===

impl Fit {
    /// The layers that a node fetches.
    pub fn layers(&self) -> &[Layer] {
        match self {
            Self::Runs(layers) | Self::Foreign(layers) => layers,
            Self::Absent => &[],
        }
    }

    /// The bytes that a node fetches.
    pub fn bytes(&self) -> u64 {
        let layers = self.layers().iter();
        layers.fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// Whether a node can run it.
    pub fn runs(&self) -> bool {
        matches!(self, Self::Runs(_))
    }
}

// === impl Error ===

impl Error {
    /// Whether a node would fare no better: the name, or the right to it, is wrong. Else nothing is known.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Registry(error) | Self::Manifest { source: error, .. } => matches!(
                error.kind(),
                Kind::NotFound
                    | Kind::Unauthorized { .. }
                    | Kind::Denied { .. }
                    | Kind::Rejected { .. }
                    | Kind::Unsupported
            ),
            Self::NoImage { .. } => true,
        }
    }
}
