//! What may stand where an image is named: a reference, or the ID of an image that is there already.

use std::fmt;

use crate::digest::Digest;
use crate::error::ParseError;
use crate::reference::Reference;

/// A name to pull by, or an ID: `imageID` in a pod's status may hold either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnyReference {
    /// A name.
    Named(Reference),
    /// An image's ID, written as a digest or as 64 hexadecimal digits.
    Id(Digest),
}

impl AnyReference {
    /// Reads an ID or a name. Where a text could be both (`sha256:` and 64 digits may be repository and tag),
    /// it is an ID; [`Reference::parse`] reads it as a name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match Digest::from_image_id(text).or_else(|| Digest::parse(text).ok()) {
            Some(id) => Ok(Self::Id(id)),
            None => Reference::parse(text).map(Self::Named),
        }
    }
}

impl fmt::Display for AnyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(reference) => reference.fmt(f),
            Self::Id(digest) => digest.fmt(f),
        }
    }
}
