//! Extended attributes of real files, in tars that are not proven.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{XattrFlags, setxattr};

use super::entries::is_images;
use super::{merged, merged_pieces, pieces, prove};
use crate::documents::sha256;
use crate::pieces::Joined;
use crate::protocol::Rebuilt;
use crate::store::Pieces;

const NOBODYS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// `u::rw-,u:1000:r--,g::r--,m::r--,o::r--`, as the kernel has it.
const LIST: [u8; 44] = *b"\x02\0\0\0\
    \x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\
    \x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";

/// `cap_net_bind_service=ep`.
const CAPABILITY: [u8; 20] = *b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Whether the disk takes it.
fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    let done = setxattr(path, name, value, XattrFlags::empty());
    if let Err(error) = done {
        println!("left out: {name} cannot be set here: {error}");
    }
    done.is_ok()
}

/// A folder and two files, the folder above them with an attribute; `None` where there can be none.
fn files() -> Option<tempfile::TempDir> {
    // Not a tmpfs, which may have no attributes.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let top = folder.path();
    fs::create_dir(top.join("d")).unwrap();
    fs::write(top.join("d/file"), vec![b'f'; 1000]).unwrap();
    fs::write(top.join("plain"), "").unwrap();
    set(top, "user.of-the-root", b"1").then_some(folder)
}

fn bytes(pieces: Pieces) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = Joined::from_offset(pieces, 0);
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What is said of the layer's tar and of the merged one, where neither is known, with what is then read.
fn both(top: &Path) -> [(Rebuilt, Vec<u8>); 2] {
    let layer = prove(top, NOBODYS, &[], &mut || Ok(())).unwrap();
    let flat = merged(top, false, &mut || Ok(())).unwrap();
    let tars = [
        bytes(pieces(top, &layer.profile).unwrap()),
        bytes(merged_pieces(top, &flat.profile, false).unwrap()),
    ];
    let both = [layer, flat];
    for (rebuilt, tar) in both.iter().zip(&tars) {
        assert!(!rebuilt.is_proven);
        let said = (rebuilt.digest.clone(), rebuilt.size);
        assert_eq!(said, (sha256(tar), tar.len() as u64));
    }
    let mut tars = tars.into_iter();
    both.map(|rebuilt| (rebuilt, tars.next().unwrap()))
}

/// The tar's attributes: of which file, which, and the value.
fn attributes(tar: &[u8]) -> Vec<(String, String, Vec<u8>)> {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|it| *it == 0).unwrap_or(bytes.len());
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    };
    let (mut found, mut at, mut records) = (Vec::new(), 0, Vec::new());
    while tar[at] != 0 {
        let header = &tar[at..at + 512];
        let size = usize::from_str_radix(&text(&header[124..136]), 8).unwrap();
        let mut body = &tar[at + 512..at + 512 + size];
        at += 512 + size.next_multiple_of(512);
        if header[156] != b'x' {
            for (key, value) in std::mem::take(&mut records) {
                found.push((text(&header[..100]), key, value));
            }
            continue;
        }
        while !body.is_empty() {
            let space = body.iter().position(|it| *it == b' ').unwrap();
            let length: usize = text(&body[..space]).parse().unwrap();
            let record = &body[space + 1..length - 1];
            let equals = record.iter().position(|it| *it == b'=').unwrap();
            let key = text(&record[..equals]);
            let name = key.strip_prefix("SCHILY.xattr.").unwrap();
            records.push((name.to_owned(), record[equals + 1..].to_vec()));
            body = &body[length..];
        }
    }
    found
}

#[test]
fn those_of_the_image_are_in_the_tar_and_those_of_the_node_are_not() {
    let Some(folder) = files() else { return };
    let top = folder.path();
    let mut expected = Vec::new();
    for (path, name, value) in [
        ("d/", "system.posix_acl_default", LIST.as_slice()),
        ("d/", "user.of-a-folder", b"\0\xff\n="),
        ("d/file", "security.capability", &CAPABILITY),
        ("d/file", "system.posix_acl_access", &LIST),
        ("d/file", "user.empty", b""),
        ("d/file", "user.long", &[b'v'; 1000]),
    ] {
        if set(&top.join(path), name, value) {
            expected.push((path.to_owned(), name.to_owned(), value.to_vec()));
        }
    }
    for name in [
        "security.ima",
        "security.evm",
        "security.selinux",
        "trusted.any",
        "trusted.overlay.origin",
        "user.a=b",
        "user.overlay.origin",
        "user.fuseoverlayfs.origin",
        "user.containers.override_stat",
    ] {
        set(&top.join("d/file"), name, b"\x04the node's\0");
    }
    assert!(expected.len() >= 3);
    for (rebuilt, tar) in both(top) {
        assert_eq!(rebuilt.profile.name, "containerd, attributes");
        assert_eq!(attributes(&tar), expected);
    }
    // What was made of such a tar is proven the next time.
    let [(layer, _), _] = both(top);
    let again = prove(top, &layer.digest, &[], &mut || Ok(())).unwrap();
    let expected = Rebuilt {
        is_proven: true,
        ..layer
    };
    assert_eq!(again, expected);
}

#[test]
fn where_there_are_none_that_containerd_leaves_out_the_form_is_its_own() {
    let Some(folder) = files() else { return };
    let file = folder.path().join("d/file");
    set(&file, "security.ima", b"\x04the node's");
    set(&file, "user.overlay.origin", b"");
    let is_capable = set(&file, "security.capability", &CAPABILITY);
    for (rebuilt, tar) in both(folder.path()) {
        assert_eq!(rebuilt.profile.name, "containerd");
        assert_eq!(attributes(&tar).len(), usize::from(is_capable));
    }
}

#[test]
fn an_images_are_told_by_their_names() {
    for (name, expected) in [
        ("user.any", true),
        ("user.overlays", true),
        ("user.overlay.opaque", false),
        ("user.containers.any", true),
        ("security.capability", true),
        ("security.apparmor", false),
        ("system.posix_acl_access", true),
        ("system.nfs4_acl", false),
        ("btrfs.compression", false),
    ] {
        assert_eq!(is_images(name.as_bytes()), expected, "{name}");
    }
}
