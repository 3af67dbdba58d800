//! The frames of answers.

use std::io::{self, Write};

use super::MAX_FRAME;

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
