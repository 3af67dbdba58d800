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

use std::io::{self, BufRead, Read as _, Write};

use serde::{Deserialize, Serialize};

/// The version of this protocol; both sides are built together, and refuse each other where it differs.
pub const VERSION: u32 = 1;

/// The most bytes that a frame has, before and after compression.
pub const MAX_FRAME: usize = 1 << 20;

/// What the client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// An answer, so that both sides know that the other one is there.
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
        /// When the image's history says that its layers were made, in seconds since 1970. For marks of deletion, which have no
        /// time of their own on a disk.
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
    /// The digest of the index that it was found in, where there is one.
    pub index: Option<String>,
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

/// The kinds of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An answer in JSON; it ends the request.
    Answer,
    /// Some of the bytes.
    Data,
    /// There are no more. It ends the request.
    End,
    /// What went wrong, as text. It ends the request.
    Error,
    /// Nothing: the agent is at work.
    Working,
}

impl Kind {
    const ALL: [(Self, u8); 5] = [
        (Self::Answer, b'A'),
        (Self::Data, b'D'),
        (Self::End, b'E'),
        (Self::Error, b'X'),
        (Self::Working, b'W'),
    ];

    fn to_byte(self) -> u8 {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or(0, |(_, byte)| *byte)
    }

    fn of_byte(byte: u8) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == byte);
        found.map(|(kind, _)| *kind)
    }
}

/// How a frame's bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Plain,
    /// As one zstd frame.
    Zstd,
}

/// What is before the bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// How its bytes are sent.
    pub coding: Coding,
    /// Bytes, uncompressed; at most [`MAX_FRAME`].
    pub size: u32,
    /// Bytes as they are sent; at most [`MAX_FRAME`].
    pub wire_size: u32,
    /// The check of the uncompressed bytes.
    pub crc: u32,
}

/// A header's bytes.
pub const HEADER: usize = 16;

impl Header {
    /// As it is sent.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = self.kind.to_byte();
        bytes[1] = u8::from(self.coding == Coding::Zstd);
        bytes[4..8].copy_from_slice(&self.size.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.wire_size.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is none: what was received is not from an agent, or not whole.
    pub fn parse(bytes: [u8; HEADER]) -> io::Result<Self> {
        let number = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let coding = match bytes[1] {
            0 => Some(Coding::Plain),
            1 => Some(Coding::Zstd),
            _ => None,
        };
        let header = Kind::of_byte(bytes[0])
            .zip(coding)
            .map(|(kind, coding)| Self {
                kind,
                coding,
                size: number(4),
                wire_size: number(8),
                crc: number(12),
            });
        let fits = |it: &Self| {
            let longest = it.size.max(it.wire_size) as usize;
            let is_same = it.coding != Coding::Plain || it.size == it.wire_size;
            longest <= MAX_FRAME && bytes[2..4] == [0, 0] && is_same
        };
        header.filter(fits).ok_or_else(|| {
            let text = String::from_utf8_lossy(&bytes);
            let what = format!("what was received is no answer of the agent: {text:?}");
            io::Error::new(io::ErrorKind::InvalidData, what)
        })
    }
}

/// Whether the bytes are those that the header speaks of.
///
/// # Errors
/// When their number or their check is another one.
pub fn check(header: &Header, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() == header.size as usize && crc32fast::hash(bytes) == header.crc {
        return Ok(());
    }
    let what = "what was received is damaged";
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Writes a frame that is not compressed.
///
/// # Errors
/// The writer's, and when there are more than [`MAX_FRAME`] bytes.
pub fn write_plain(out: &mut impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let size = u32::try_from(bytes.len())
        .ok()
        .filter(|it| *it as usize <= MAX_FRAME);
    let size = size.ok_or_else(|| io::Error::other("a frame that is too long"))?;
    let header = Header {
        kind,
        coding: Coding::Plain,
        size,
        wire_size: size,
        crc: crc32fast::hash(bytes),
    };
    out.write_all(&header.to_bytes())?;
    out.write_all(bytes)
}

/// Reads the next request; `None` at the end.
///
/// # Errors
/// The reader's, and when the line is no request.
pub fn read_request(input: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(MAX_FRAME as u64)
        .read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let request = serde_json::from_slice(&line).map_err(|error| {
        let what = format!("no request: {error}: {:?}", String::from_utf8_lossy(&line));
        io::Error::new(io::ErrorKind::InvalidData, what)
    })?;
    Ok(Some(request))
}
