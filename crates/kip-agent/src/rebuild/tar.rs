//! An entry in a builder's form: its header, and what follows it.

use super::block::{BLOCK, Header, padding};
use super::entries::{CAPABILITY, Entry, Kind, is_images};
use super::form::{Form, Format, Time, Xattrs};
use super::walk::{MARK, OPAQUE};
use super::{bsd, commons, gnu, go, python};
use crate::pieces::Piece;

/// The headers of the entry, all that is before its content; nothing where the form leaves the entry out.
pub(super) fn head(form: &Form, entry: &Entry, given: i64) -> Vec<u8> {
    let is_left_out = match entry.kind {
        Kind::Folder { .. } if entry.path.is_empty() => form.root.is_none(),
        Kind::Folder { .. } => form.only_written && entry.is_made,
        _ => false,
    };
    if is_left_out {
        return Vec::new();
    }
    let header = header(form, entry, given);
    match form.format {
        Format::Go => go::encode(&header),
        Format::Gnu => gnu::encode(&header, 0o644, form.owner),
        Format::PythonGnu => gnu::encode(&header, 0, ""),
        Format::GnuPosix => gnu::encode_posix(&header),
        Format::PythonPax => python::encode(&header, false),
        Format::PythonPaxFloat => python::encode(&header, true),
        Format::Bsd => bsd::encode(&header),
        Format::Commons => commons::encode(&header),
    }
}

/// Whether the headers are other ones with another time.
pub(super) fn needs_time(form: &Form, entry: &Entry) -> bool {
    match entry.kind {
        Kind::Folder { .. } if entry.path.is_empty() => {
            form.root.is_some_and(|(_, time)| time == Time::Given)
        }
        Kind::Deleted => form.marks.time == Time::Given,
        Kind::Opaque => form.marks.time == Time::Given && !form.marks.opaque_like_folder,
        _ => false,
    }
}

/// What follows the headers: the content of a file, and zeros up to a whole block.
pub(super) fn body(entry: &Entry) -> Option<(Piece, Piece)> {
    match &entry.kind {
        Kind::File { size } if *size > 0 && entry.first.is_none() => {
            let path = entry.source.clone();
            Some((
                Piece::File { path, size: *size },
                Piece::Zeros(padding(*size)),
            ))
        }
        _ => None,
    }
}

/// How many zeros are at the end of a tar that has so many bytes.
pub(super) fn end(form: &Form, size: u64) -> u64 {
    let size_with_end = size + 2 * BLOCK as u64;
    size_with_end.next_multiple_of(form.record) - size
}

fn header(form: &Form, entry: &Entry, given: i64) -> Header {
    let (flag, type_bits) = match &entry.kind {
        Kind::Folder { .. } => (b'5', 0o40000),
        Kind::File { .. } => (b'0', 0o100_000),
        Kind::Link { .. } => (b'2', 0o120_000),
        Kind::Char { .. } => (b'3', 0o20000),
        Kind::Block { .. } => (b'4', 0o60000),
        Kind::Fifo => (b'6', 0o10000),
        Kind::Deleted | Kind::Opaque => return mark(form, entry, given),
    };
    let mut header = Header {
        name: named(form, entry),
        flag,
        mode: entry.mode | if form.type_bits { type_bits } else { 0 },
        mtime: entry.mtime,
        nanos: if form.decimals { entry.nanos } else { 0 },
        xattrs: kept(form.xattrs, &entry.xattrs),
        ..owned(form, entry)
    };
    match &entry.kind {
        Kind::File { size } => header.size = *size,
        Kind::Link { target } => header.link.clone_from(target),
        Kind::Char { major, minor } | Kind::Block { major, minor } => {
            header.device = Some((*major, *minor));
        }
        Kind::Folder { .. } if entry.path.is_empty() => {
            header.nanos = 0;
            header.mtime = match form.root {
                Some((_, Time::Given)) => given,
                Some((_, Time::Near)) => entry.near,
                Some((_, Time::Epoch)) | None => 0,
            };
        }
        _ => {}
    }
    if let Some(first) = &entry.first {
        header.flag = b'1';
        header.size = 0;
        header.link = joined(form.prefix.links, first);
        header.device = header.device.filter(|_| form.format == Format::Go);
    }
    header
}

fn mark(form: &Form, entry: &Entry, given: i64) -> Header {
    let (folder, name) = match (
        &entry.kind,
        entry.path.iter().rposition(|byte| *byte == b'/'),
    ) {
        (Kind::Opaque, _) => (entry.path.as_slice(), OPAQUE.to_vec()),
        (_, None) => (b"".as_slice(), [MARK, &entry.path].concat()),
        (_, Some(at)) => (&entry.path[..at], [MARK, &entry.path[at + 1..]].concat()),
    };
    let path = match folder {
        b"" => name,
        folder => [folder, b"/", &name].concat(),
    };
    let (mode, mtime) = match (&entry.kind, form.marks.time) {
        (Kind::Opaque, _) if form.marks.opaque_like_folder => (entry.mode & 0o777, 0),
        (_, Time::Given) => (form.marks.mode, given),
        (_, Time::Near) => (form.marks.mode, entry.near),
        (_, Time::Epoch) => (form.marks.mode, 0),
    };
    let first = entry.first.as_ref().filter(|_| form.marks.linked);
    let owner = if matches!(entry.kind, Kind::Opaque) && !form.marks.opaque_like_folder {
        Header {
            user: form.owner,
            group: form.owner,
            ..Header::default()
        }
    } else {
        owned(form, entry)
    };
    Header {
        name: joined(form.prefix.files, &path),
        flag: b'0',
        mode,
        mtime,
        link: first.map_or_else(Vec::new, |first| joined(form.prefix.files, first)),
        ..owner
    }
}

fn owned(form: &Form, entry: &Entry) -> Header {
    let name = |id| if id == 0 { form.owner } else { "" };
    Header {
        uid: entry.uid,
        gid: entry.gid,
        user: name(entry.uid),
        group: name(entry.gid),
        ..Header::default()
    }
}

fn named(form: &Form, entry: &Entry) -> Vec<u8> {
    if !matches!(entry.kind, Kind::Folder { .. }) {
        return joined(form.prefix.files, &entry.path);
    }
    match form.root {
        Some((root, _)) if entry.path.is_empty() => root.into(),
        _ => {
            let mut name = joined(form.prefix.folders, &entry.path);
            name.extend(form.slash.then_some(b'/'));
            name
        }
    }
}

fn joined(prefix: &str, path: &[u8]) -> Vec<u8> {
    [prefix.as_bytes(), path].concat()
}

fn kept(which: Xattrs, xattrs: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_kept = |name: &[u8]| match which {
        Xattrs::None => false,
        Xattrs::Capability => name == CAPABILITY,
        Xattrs::CapabilityAndUser => {
            name == CAPABILITY || name == b"security.ima" || name.starts_with(b"user.")
        }
        Xattrs::Images => is_images(name),
        Xattrs::All => name != b"security.selinux",
    };
    let kept = xattrs.iter().filter(|(name, _)| is_kept(name));
    kept.cloned().collect()
}
