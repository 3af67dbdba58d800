//! A block of a tar: the fields that all of its formats share.

use std::ops::Range;

/// In bytes.
pub(super) const BLOCK: usize = 512;

pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MTIME: Range<usize> = 136..148;
const CHECK: Range<usize> = 148..156;
const FLAG: usize = 156;
pub(super) const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
pub(super) const USER: Range<usize> = 265..297;
pub(super) const GROUP: Range<usize> = 297..329;
pub(super) const MAJOR: Range<usize> = 329..337;
pub(super) const MINOR: Range<usize> = 337..345;
pub(super) const PREFIX: Range<usize> = 345..500;

/// What POSIX writes.
pub(super) const USTAR: [u8; 8] = *b"ustar\x0000";
/// What GNU writes.
pub(super) const GNU: [u8; 8] = *b"ustar  \0";

/// What a header says, whatever its format is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    /// Where a link leads.
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) nanos: u32,
    pub(super) flag: u8,
    pub(super) user: &'static str,
    pub(super) group: &'static str,
    /// Of a device.
    pub(super) device: Option<(u32, u32)>,
    /// Sorted by name.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A block that is being filled.
pub(super) struct Block([u8; BLOCK]);

impl Block {
    pub(super) fn new(flag: u8, magic: [u8; 8]) -> Self {
        let mut block = [0; BLOCK];
        block[FLAG] = flag;
        block[MAGIC].copy_from_slice(&magic);
        Self(block)
    }

    /// As much of the text as there is room for; a text that fills the field has no zero byte at its end.
    pub(super) fn text(&mut self, field: Range<usize>, text: &[u8]) {
        let room = &mut self.0[field];
        let size = text.len().min(room.len());
        room[..size].copy_from_slice(&text[..size]);
    }

    /// Octal digits and a zero byte; zero where the number does not fit.
    pub(super) fn octal(&mut self, field: Range<usize>, number: i64) {
        let digits = field.len() - 1;
        let number = if fits(field.len(), number) { number } else { 0 };
        self.text(field, format!("{number:0digits$o}").as_bytes());
    }

    /// Octal digits, or where they do not fit GNU's binary form.
    pub(super) fn number(&mut self, field: Range<usize>, number: i64) {
        if fits(field.len(), number) {
            return self.octal(field, number);
        }
        let sign = if number < 0 { 0xff } else { 0 };
        let room = &mut self.0[field];
        room.fill(sign);
        let bytes = number.to_be_bytes();
        // Of a field of 8 bytes the first is the mark; a number that needs it does not occur on a disk.
        let size = bytes.len().min(room.len() - 1);
        let start = room.len() - size;
        room[start..].copy_from_slice(&bytes[bytes.len() - size..]);
        room[0] = if number < 0 { 0xff } else { 0x80 };
    }

    /// The names of the user and the group.
    pub(super) fn owner(&mut self, header: &Header) {
        self.text(USER, header.user.as_bytes());
        self.text(GROUP, header.group.as_bytes());
    }

    /// The same in each format: the numbers by `put`, the names as they are.
    pub(super) fn fill(&mut self, header: &Header, put: fn(&mut Self, Range<usize>, i64)) {
        put(self, MODE, header.mode.into());
        put(self, UID, header.uid.into());
        put(self, GID, header.gid.into());
        put(self, SIZE, i64::try_from(header.size).unwrap_or_default());
        put(self, MTIME, header.mtime);
        self.owner(header);
        if let Some((major, minor)) = header.device {
            put(self, MAJOR, major.into());
            put(self, MINOR, minor.into());
        }
    }

    /// With the check.
    pub(super) fn finish(mut self) -> [u8; BLOCK] {
        self.0[CHECK].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.0[CHECK][..7].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.0
    }
}

/// Whether the number has an octal form in a field of so many bytes, the last of which is zero.
pub(super) fn fits(field: usize, number: i64) -> bool {
    number >= 0 && number < 1 << (3 * (field - 1))
}

/// How many bytes are missing to whole blocks.
pub(super) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// A header that is followed by bytes of its own: long names, PAX records.
pub(super) fn with_body(head: Block, body: &[u8]) -> Vec<u8> {
    let mut bytes = head.finish().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}
