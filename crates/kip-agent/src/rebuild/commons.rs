//! Headers as Apache Commons Compress writes them, with long names and large numbers in PAX records: its numbers end in a space.

use super::block::{
    BLOCK, Block, GID, Header, LINK, MAJOR, MINOR, MODE, MTIME, NAME, SIZE, UID, USTAR, fits,
    with_body,
};
use super::pax;

pub(super) fn encode(header: &Header) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, text) in [("path", &header.name), ("linkpath", &header.link)] {
        // What is as long as the field is too long for it: a zero byte is to follow.
        if text.len() >= NAME.len() {
            body.extend(pax::record(key.as_bytes(), text));
        }
    }
    let size = i64::try_from(header.size).unwrap_or(i64::MAX);
    for (key, width, number) in [
        ("size", SIZE.len(), size),
        ("gid", GID.len(), header.gid.into()),
        ("mtime", MTIME.len(), header.mtime),
        ("uid", UID.len(), header.uid.into()),
    ] {
        if !fits(width, number) {
            body.extend(pax::record(key.as_bytes(), number.to_string().as_bytes()));
        }
    }
    let mut bytes = Vec::new();
    if !body.is_empty() {
        let records = Header {
            name: records_name(&header.name),
            flag: b'x',
            mode: 0o100_644,
            size: body.len() as u64,
            mtime: header.mtime,
            ..Header::default()
        };
        bytes = with_body(block(&records), &body);
    }
    let main: [u8; BLOCK] = block(header).finish();
    bytes.extend_from_slice(&main);
    bytes
}

fn block(header: &Header) -> Block {
    let mut block = Block::new(header.flag, USTAR);
    block.text(NAME, &header.name);
    block.text(LINK, &header.link);
    let header = Header {
        device: Some(header.device.unwrap_or_default()),
        ..header.clone()
    };
    block.fill(&header, Block::octal);
    for field in [MODE, UID, GID, SIZE, MTIME, MAJOR, MINOR] {
        block.text(field.end - 1..field.end, b" ");
    }
    block
}

/// In a folder of its own, with no folders in it, and shorter than the field.
fn records_name(name: &[u8]) -> Vec<u8> {
    let plain = name.iter().map(|byte| match byte {
        b'/' | b'\\' => b'_',
        byte => byte & 0x7f,
    });
    let mut whole: Vec<u8> = b"./PaxHeaders.X/".iter().copied().chain(plain).collect();
    whole.truncate(NAME.len() - 1);
    whole
}
