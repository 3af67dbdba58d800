//! Headers as libarchive's `bsdtar` writes them where USTAR has room: its numbers end in a space. What has no room needs records of
//! its own, and is not made here: such a layer is not proven.

use super::block::{
    BLOCK, Block, GID, Header, LINK, MAJOR, MINOR, MODE, MTIME, NAME, PREFIX, SIZE, UID, USTAR,
};

pub(super) fn encode(header: &Header) -> Vec<u8> {
    let (prefix, name) = split(&header.name);
    let mut block = Block::new(header.flag, USTAR);
    block.text(NAME, name);
    block.text(PREFIX, prefix);
    block.text(LINK, &header.link);
    let (major, minor) = header.device.unwrap_or_default();
    for (field, number) in [
        (MODE, header.mode),
        (UID, header.uid),
        (GID, header.gid),
        (MAJOR, major),
        (MINOR, minor),
    ] {
        block.text(field, format!("{number:06o} ").as_bytes());
    }
    block.text(SIZE, format!("{:011o} ", header.size).as_bytes());
    block.text(MTIME, format!("{:011o} ", header.mtime.max(0)).as_bytes());
    block.owner(header);
    let block: [u8; BLOCK] = block.finish();
    block.to_vec()
}

/// At the first slash after which the rest has room.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let Some(start) = name.len().checked_sub(NAME.len() + 1) else {
        return (b"", name);
    };
    match name[start..].iter().position(|byte| *byte == b'/') {
        Some(at) if start + at + 1 < name.len() => (&name[..start + at], &name[start + at + 1..]),
        _ => (b"", name),
    }
}
