//! Headers as Python's `tarfile` writes them in its PAX format.

use super::block::{
    Block, GID, Header, LINK, MODE, MTIME, NAME, SIZE, UID, USTAR, fits, with_body,
};
use super::pax;

/// `is_float`: the times are numbers with decimals, as `TarFile.add` takes them from the disk.
#[allow(
    clippy::cast_possible_truncation,
    reason = "seconds since 1970 are far from what a float cannot hold"
)]
pub(super) fn encode(header: &Header, is_float: bool) -> Vec<u8> {
    let mut body = Vec::new();
    let mut add = |key: &str, value: &[u8]| body.extend(pax::record(key.as_bytes(), value));
    for (key, text) in [("path", &header.name), ("linkpath", &header.link)] {
        if text.len() > NAME.len() || !text.is_ascii() {
            add(key, text);
        }
    }
    for (key, number) in [("uid", header.uid), ("gid", header.gid)] {
        if !fits(UID.len(), number.into()) {
            add(key, number.to_string().as_bytes());
        }
    }
    let size = i64::try_from(header.size).unwrap_or(i64::MAX);
    if !fits(SIZE.len(), size) {
        add("size", size.to_string().as_bytes());
    }
    let (float, text) = pax::python_time(header.mtime, header.nanos);
    let mtime = if is_float {
        float.round_ties_even() as i64
    } else {
        header.mtime
    };
    if is_float {
        add("mtime", &text);
    } else if !fits(MTIME.len(), mtime) {
        add("mtime", mtime.to_string().as_bytes());
    }
    let mut bytes = Vec::new();
    if !body.is_empty() {
        let mut head = Block::new(b'x', USTAR);
        head.text(NAME, b"././@PaxHeader");
        for field in [MODE, UID, GID, MTIME] {
            head.octal(field, 0);
        }
        head.octal(SIZE, i64::try_from(body.len()).unwrap_or_default());
        bytes = with_body(head, &body);
    }
    let mut block = Block::new(header.flag, USTAR);
    block.text(NAME, &replaced(&header.name));
    block.text(LINK, &replaced(&header.link));
    let header = Header {
        mtime,
        ..header.clone()
    };
    block.fill(&header, Block::octal);
    bytes.extend_from_slice(&block.finish());
    bytes
}

/// A `?` for each character that is not ASCII.
fn replaced(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|it| if it.is_ascii() { it } else { '?' })
        .collect::<String>()
        .into_bytes()
}
