//! Headers as GNU tar writes them, in its own format and in that of POSIX.

use super::block::{
    BLOCK, Block, GID, GNU, Header, LINK, MAJOR, MINOR, MODE, MTIME, NAME, SIZE, UID, USTAR, fits,
    with_body,
};
use super::pax;

/// `--format=gnu`. `long_mode` and `long_owner` are those of the headers of long names, the only ones in which Python's `tarfile`
/// differs.
pub(super) fn encode(header: &Header, long_mode: u32, long_owner: &'static str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (flag, text) in [(b'K', &header.link), (b'L', &header.name)] {
        if text.len() > NAME.len() {
            let mut head = Block::new(flag, GNU);
            head.text(NAME, b"././@LongLink");
            let long = Header {
                user: long_owner,
                group: long_owner,
                mode: long_mode,
                size: text.len() as u64 + 1,
                ..Header::default()
            };
            head.fill(&long, Block::octal);
            bytes.extend(with_body(head, &[text, b"\0".as_slice()].concat()));
        }
    }
    let mut block = Block::new(header.flag, GNU);
    block.text(NAME, &header.name);
    block.text(LINK, &header.link);
    block.fill(header, Block::number);
    bytes.extend_from_slice(&block.finish());
    bytes
}

/// `--format=posix`, without the times of access and change, which no disk keeps.
pub(super) fn encode_posix(header: &Header) -> Vec<u8> {
    let mut body = Vec::new();
    let mut add = |key: &str, value: &[u8]| body.extend(pax::record(key.as_bytes(), value));
    if header.link.len() > NAME.len() {
        add("linkpath", &header.link);
    }
    if header.name.len() > NAME.len() || !header.name.is_ascii() {
        add("path", &header.name);
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
    if header.nanos != 0 || !fits(MTIME.len(), header.mtime) {
        add("mtime", &pax::time(header.mtime, header.nanos));
    }
    let mut bytes = Vec::new();
    if !body.is_empty() {
        let mut head = Block::new(b'x', USTAR);
        head.text(NAME, &records_name(&header.name));
        head.octal(MODE, 0o644);
        head.octal(UID, 0);
        head.octal(GID, 0);
        head.octal(SIZE, i64::try_from(body.len()).unwrap_or_default());
        head.octal(MTIME, header.mtime);
        bytes = with_body(head, &body);
    }
    bytes.extend_from_slice(&posix_main(header));
    bytes
}

fn posix_main(header: &Header) -> [u8; BLOCK] {
    let mut block = Block::new(header.flag, USTAR);
    block.text(NAME, &header.name);
    block.text(LINK, &header.link);
    block.octal(MAJOR, 0);
    block.octal(MINOR, 0);
    block.fill(header, Block::octal);
    block.finish()
}

/// `%d/PaxHeaders/%f`.
fn records_name(name: &[u8]) -> Vec<u8> {
    let end = name.iter().rposition(|byte| *byte != b'/');
    let name = &name[..end.map_or(0, |at| at + 1)];
    let (folder, file): (&[u8], &[u8]) = match name.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (b".", name),
    };
    [folder, b"/PaxHeaders/", file].concat()
}
