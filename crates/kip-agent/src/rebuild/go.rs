//! Headers as Go's `archive/tar` writes them, which nearly all builders use: USTAR where that is enough, else PAX.

use super::block::{
    Block, Header, LINK, MAJOR, MINOR, NAME, PREFIX, SIZE, UID, USTAR, fits, with_body,
};
use super::pax;

pub(super) fn encode(header: &Header) -> Vec<u8> {
    let (records, is_ustar) = records(header);
    if is_ustar {
        let (prefix, name) = split(&header.name).unwrap_or((b"", header.name.as_slice()));
        return main(header, prefix, name, &header.link).to_vec();
    }
    let mut bytes = Vec::new();
    if !records.is_empty() {
        let mut head = Block::new(b'x', USTAR);
        let mut name = ascii(&records_name(&header.name));
        name.truncate(NAME.len());
        head.text(NAME, trimmed(&name));
        for field in [
            super::block::MODE,
            UID,
            super::block::GID,
            super::block::MTIME,
        ] {
            head.octal(field, 0);
        }
        let body: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| pax::record(key, value))
            .collect();
        head.octal(SIZE, i64::try_from(body.len()).unwrap_or_default());
        bytes = with_body(head, &body);
    }
    let name = ascii(&header.name);
    bytes.extend_from_slice(&main(header, b"", &name, &ascii(&header.link)));
    bytes
}

type Record = (Vec<u8>, Vec<u8>);

/// The records that PAX needs, in order, and whether USTAR is enough.
fn records(header: &Header) -> (Vec<Record>, bool) {
    let mut records = Vec::new();
    let mut is_ustar = header.xattrs.is_empty() && header.nanos == 0;
    if needs_record(&header.name) {
        is_ustar &= split(&header.name).is_some();
        records.push((b"path".to_vec(), header.name.clone()));
    }
    if needs_record(&header.link) {
        is_ustar = false;
        records.push((b"linkpath".to_vec(), header.link.clone()));
    }
    let size = i64::try_from(header.size).unwrap_or(i64::MAX);
    for (key, width, number) in [
        ("uid", UID.len(), header.uid.into()),
        ("gid", UID.len(), header.gid.into()),
        ("size", SIZE.len(), size),
    ] {
        if !fits(width, number) {
            is_ustar = false;
            records.push((key.into(), number.to_string().into_bytes()));
        }
    }
    let fits_time = fits(SIZE.len(), header.mtime);
    if !fits_time || header.nanos != 0 {
        is_ustar = false;
        records.push((b"mtime".to_vec(), pax::time(header.mtime, header.nanos)));
    }
    for (name, value) in &header.xattrs {
        records.push(([b"SCHILY.xattr.", name.as_slice()].concat(), value.clone()));
    }
    records.sort();
    (records, is_ustar)
}

fn needs_record(text: &[u8]) -> bool {
    text.len() > NAME.len() || !text.is_ascii()
}

fn main(header: &Header, prefix: &[u8], name: &[u8], link: &[u8]) -> [u8; 512] {
    let mut block = Block::new(header.flag, USTAR);
    block.text(NAME, cut(name));
    block.text(LINK, cut(link));
    block.text(PREFIX, prefix);
    block.octal(MAJOR, 0);
    block.octal(MINOR, 0);
    block.fill(header, Block::octal);
    block.finish()
}

/// A name that is cut within its slashes ends before them, lest it look like a folder's.
fn cut(name: &[u8]) -> &[u8] {
    match name.get(..NAME.len()) {
        Some(start) if name.len() > NAME.len() && start.ends_with(b"/") => trimmed(start),
        _ => name,
    }
}

fn trimmed(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte != b'/');
    &name[..end.map_or(0, |at| at + 1)]
}

fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// USTAR's two fields for a name that is too long for one.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME.len() || !name.is_ascii() {
        return None;
    }
    let mut end = name.len();
    if end > PREFIX.len() + 1 {
        end = PREFIX.len() + 1;
    } else if name.ends_with(b"/") {
        end -= 1;
    }
    let at = name[..end].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, rest) = (&name[..at], &name[at + 1..]);
    let fits = at > 0 && at <= PREFIX.len() && !rest.is_empty() && rest.len() <= NAME.len();
    fits.then_some((prefix, rest))
}

/// The name of the header that has the records: `FOLDER/PaxHeaders.0/NAME`, cleaned as Go's `path.Join` does.
fn records_name(name: &[u8]) -> Vec<u8> {
    let at = name
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let whole = [&name[..at], b"/PaxHeaders.0/", &name[at..]].concat();
    let parts = whole
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".");
    let mut clean = parts.collect::<Vec<_>>().join(&b'/');
    if name.starts_with(b"/") {
        clean.insert(0, b'/');
    }
    clean
}
