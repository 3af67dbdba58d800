//! What the client and the agent say to each other.
//!
//! A request is one line of JSON. What the agent answers are frames, each with a check of its own, so that whatever was received
//! before a connection was cut is known to be right, and the rest is asked for from there.
//!
//! ```text
//! request   {"read":{"part":{"blob":{"digest":"sha256:…"}},"offset":0,"length":16777216,"compress":true}}\n
//! frame     kind u8 · coding u8 · zero u16 · size u32 · wire size u32 · CRC-32 of the bytes u32 · the bytes as they are sent
//! answer    data* end   or   data* error
//! ```
//! Numbers are little-endian. `size` is that of the bytes, `wire size` of what is sent; they differ where `coding` is 1 (zstd).

mod frames;

use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

pub use frames::{Coding, HEADER, Header, Kind, check, write_plain};

/// The version of this protocol: what a [`Request::Ping`] is answered with. A client brings the agent that it was built with;
/// where it may be another one, it asks first.
pub const VERSION: u32 = 2;

/// The most bytes that a frame has, before and after compression.
pub const MAX_FRAME: usize = 1 << 20;

/// The most bytes that a request has, with the end of its line.
pub const MAX_REQUEST: usize = MAX_FRAME;

/// What the client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// [`VERSION`] as a number, so that both sides know that the other one is there, and which one it is.
    Ping {},
    /// The images that the node has: [`Listing`].
    List {},
    /// An image: [`Image`].
    Find {
        /// What it is known by.
        wanted: Wanted,
    },
    /// How a layer that is no blob any more can be made again: [`Rebuilt`].
    Rebuild {
        /// The layer.
        layer: Layer,
        /// When the image's history says that its layers were made, in seconds since 1970, the likeliest first: they are tried in
        /// this order, and only the first 64 of them. For marks of deletion, which have no time of their own on a disk.
        created: Vec<i64>,
    },
    /// Bytes: data frames, then an end.
    Read {
        /// Of what.
        part: Part,
        /// From which byte on.
        offset: u64,
        /// How many at most.
        length: u64,
        /// Whether frames may be compressed.
        compress: bool,
    },
}

/// How an image is named that a node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Wanted {
    /// A digest of an index, a manifest or a configuration (image ID): `sha256:…`. It comes before the name.
    pub digest: Option<String>,
    /// A whole name, such as `docker.io/library/busybox:1.36`.
    pub name: Option<String>,
}

/// The images of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Listing {
    /// By name.
    pub images: Vec<Listed>,
    /// What could not be read, in words: of images, which are listed as far as they are known, and of whole stores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// An image in a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Listed {
    /// Its whole names, tags and digests.
    pub names: Vec<String>,
    /// The digest of the index or manifest that the names mean, where the store knows one.
    pub digest: Option<String>,
    /// The digest of the configuration: the image ID.
    pub id: Option<String>,
    /// Of its layers as the store has them, in bytes, where that is known.
    pub size: Option<u64>,
    /// Which store has it.
    pub store: StoreKind,
    /// How many of its layers are there as blobs, and how many it has.
    pub blobs: Option<(usize, usize)>,
}

/// Whose store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// containerd's content and snapshots, Docker's too where it uses them.
    Containerd,
    /// Docker's own.
    Docker,
    /// containers/storage: CRI-O, podman, buildah.
    ContainersStorage,
    /// None: one image's merged root file system.
    Flat,
}

/// An image and where its parts are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Image {
    /// Its whole names.
    pub names: Vec<String>,
    /// Which store has it.
    pub store: StoreKind,
    /// The manifest for the node's platform, where the store keeps one.
    pub manifest: Option<Document>,
    /// The index that it was found in, where there is one.
    pub index: Option<Document>,
    /// The configuration.
    pub config: Document,
    /// From the lowest to the highest.
    pub layers: Vec<Layer>,
}

/// A JSON document, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Document {
    /// Its media type, where it is known.
    pub media_type: Option<String>,
    /// Of the bytes: `sha256:…`.
    pub digest: String,
    /// In base64.
    pub bytes: String,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Layer {
    /// The digest of its uncompressed tar, from the image's configuration.
    pub diff_id: String,
    /// Of this and all layers below it: the name of its snapshot.
    pub chain_id: String,
    /// What the manifest says of it, where there is a manifest.
    pub blob: Option<Blob>,
    /// How it can be had.
    pub kept: Kept,
}

/// A layer as a manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Blob {
    /// The digest as it is in a registry.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
}

/// What a store has of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The blob itself.
    Blob,
    /// All that is needed for its uncompressed tar, byte for byte.
    TarSplit {
        /// Of the tar, in bytes.
        size: u64,
    },
    /// Its files, unpacked. A tar can be made again.
    Snapshot,
    /// Nothing.
    Nothing {
        /// Why.
        why: String,
    },
}

/// How a layer is made again from its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Rebuilt {
    /// The tar's form.
    pub profile: Profile,
    /// The tar's digest.
    pub digest: String,
    /// The tar's bytes.
    pub size: u64,
    /// Whether the digest is the layer's `diff_id`: then it is the layer, byte for byte.
    pub is_proven: bool,
    /// How many different tars were tried.
    pub tried: usize,
    /// How many files and folders the tar lacks, as they could not be read. Never any but of a [`StoreKind::Flat`] that was told to
    /// leave them out. A folder counts as one, and is there without what is in it.
    #[serde(default)]
    pub left_out: usize,
    /// The first of these: absolute paths in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Part {
    /// A blob, as it is.
    Blob {
        /// Which.
        digest: String,
    },
    /// A layer's tar from its tar-split.
    TarSplit {
        /// Which.
        chain_id: String,
    },
    /// A layer's tar, made again.
    Snapshot {
        /// Which.
        chain_id: String,
        /// In which form, from [`Rebuilt`].
        profile: Profile,
    },
}

/// The form of a tar that is made again: what a builder chose where the format leaves a choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Profile {
    /// Its name, for people.
    pub name: String,
    /// Seconds since 1970 that those entries have to which a disk leaves no time: marks of deletion, and in some forms the root.
    pub whiteout_time: i64,
}

/// Reads the next request; `None` at the end.
///
/// # Errors
/// The reader's, and when the line is no request, or has more than [`MAX_REQUEST`] bytes.
pub fn read_request(input: &mut impl BufRead) -> io::Result<Option<Request>> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut line = Vec::new();
    input
        .by_ref()
        .take(MAX_REQUEST as u64 + 1)
        .read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() > MAX_REQUEST {
        return Err(invalid(format!(
            "a request of more than {MAX_REQUEST} bytes"
        )));
    }
    let request = serde_json::from_slice(&line).map_err(|error| {
        let begin = String::from_utf8_lossy(&line[..line.len().min(200)]);
        invalid(format!("no request: {error}: {begin:?}"))
    })?;
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_too_long_is_told_and_the_longest_is_read() {
        let name = |size| Request::Find {
            wanted: Wanted {
                digest: None,
                name: Some("x".repeat(size)),
            },
        };
        let line = |request: &Request| [&serde_json::to_vec(request).unwrap(), &b"\n"[..]].concat();
        let longest = name(MAX_REQUEST - line(&name(0)).len());
        let mut input = line(&longest);
        assert_eq!(input.len(), MAX_REQUEST);
        input.extend(line(&Request::List {}));
        let mut input = input.as_slice();
        assert_eq!(read_request(&mut input).unwrap(), Some(longest));
        assert_eq!(read_request(&mut input).unwrap(), Some(Request::List {}));
        assert_eq!(read_request(&mut input).unwrap(), None);
        let too_long = line(&name(MAX_REQUEST));
        let error = read_request(&mut too_long.as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "a request of more than 1048576 bytes");
    }

    #[test]
    fn what_is_no_request_is_told_with_its_begin() {
        let line = [b"{\"list\"", "y".repeat(5000).as_bytes()].concat();
        let error = read_request(&mut line.as_slice()).unwrap_err().to_string();
        assert!(error.starts_with("no request: ") && error.len() < 400);
        assert!(error.contains(r#"{\"list\"yyy"#), "{error}");
    }
}
