//! Images whose layers have all that a tar can have.

use std::ffi::{CString, OsStr};
use std::fs::{
    File, Permissions, create_dir, create_dir_all, hard_link, remove_dir_all, remove_file,
    set_permissions, write,
};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

/// What each layer does to the root folder.
pub(crate) const STEPS: [fn(&Path); 3] = [base, change, nothing_much];

fn base(root: &Path) {
    for folder in ["etc", "usr/lib", "opaque/below", "gone"] {
        create_dir_all(root.join(folder)).unwrap();
    }
    // Around a tar's block.
    for size in [0, 1, 511, 512, 513, 100_000] {
        write(root.join(format!("etc/{size}")), vec![b'x'; size]).unwrap();
    }
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    write(root.join("usr/lib/large"), large).unwrap();
    hard_link(root.join("usr/lib/large"), root.join("usr/lib/another")).unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    symlink("/etc/1", root.join("absolute")).unwrap();
    symlink("../../../../nowhere", root.join("dangling")).unwrap();
    write(root.join("opaque/old"), "old").unwrap();
    write(root.join("opaque/below/old"), "old").unwrap();
    write(root.join("gone/file"), "old").unwrap();
    write(root.join("etc/deleted"), "old").unwrap();
    let long = "long".repeat(50);
    create_dir_all(root.join(&long).join(&long)).unwrap();
    write(root.join(&long).join(&long).join(&long), "of a long name").unwrap();
    write(
        root.join("etc/ünïcode \"quoted\" <&> \\ \u{2028}"),
        "of a name",
    )
    .unwrap();
    write(
        root.join(OsStr::from_bytes(b"etc/latin-\xe9\xff")),
        "of no UTF-8",
    )
    .unwrap();
    let mut sparse = File::create(root.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(1_000_000)).unwrap();
    sparse.write_all(b"middle").unwrap();
    sparse.set_len(2_000_001).unwrap();
    for (name, value) in [
        ("user.kip", b"value\0\xff=\n".as_slice()),
        (
            "security.capability",
            b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".as_slice(),
        ),
    ] {
        setxattr(root.join("etc/1"), name, value, XattrFlags::CREATE).unwrap();
    }
    set_permissions(root.join("etc/512"), Permissions::from_mode(0o4755)).unwrap();
    for (name, kind) in [
        ("fifo", FileType::Fifo),
        ("device", FileType::CharacterDevice),
    ] {
        let name = CString::new(root.join(name).as_os_str().as_bytes()).unwrap();
        mknodat(CWD, &name, kind, Mode::from_raw_mode(0o600), makedev(1, 3)).unwrap();
    }
}

fn change(root: &Path) {
    remove_dir_all(root.join("opaque")).unwrap();
    create_dir(root.join("opaque")).unwrap();
    write(root.join("opaque/new"), "new").unwrap();
    remove_dir_all(root.join("gone")).unwrap();
    remove_file(root.join("etc/deleted")).unwrap();
    write(root.join("etc/1"), "changed").unwrap();
    // Through the link: the file is the other folder's.
    write(root.join("lib/through"), "through").unwrap();
    hard_link(root.join("opaque/new"), root.join("opaque/link")).unwrap();
}

fn nothing_much(root: &Path) {
    set_permissions(root.join("usr"), Permissions::from_mode(0o700)).unwrap();
}

/// That the layers are what they are meant to be.
pub(crate) fn check(base: &[u8], change: &[u8]) {
    let has = |tar: &[u8], text: &[u8]| tar.windows(text.len()).any(|it| it == text);
    for text in [
        b"user.kip".as_slice(),
        b"security.capability",
        b"latin-\xe9\xff",
        b"of a long name",
    ] {
        assert!(has(base, text), "{}", text.escape_ascii());
    }
    for text in [b".wh.deleted".as_slice(), b".wh.gone", b"usr/lib/through"] {
        assert!(has(change, text), "{}", text.escape_ascii());
    }
    assert!(has(change, b".wh..wh..opq") || has(change, b".wh.below"));
}

/// A layer that replaces a folder with a link out of it, after it put a file there: what is named then is the node's.
pub(crate) fn hostile(node: &Path) -> Vec<u8> {
    let mut tar = Vec::new();
    entry(&mut tar, "real/inside", b'0', "", "of the layer");
    entry(&mut tar, "in", b'2', "/real", "");
    entry(
        &mut tar,
        "in/through",
        b'0',
        "",
        "of the layer through a link",
    );
    entry(&mut tar, "link/shadow", b'0', "", "THE IMAGE'S OTHER");
    entry(&mut tar, "link", b'2', node.to_str().unwrap(), "");
    tar.extend([0; 1024]);
    tar
}

/// A layer with links and folders whose headers have a size, though no content is after them.
pub(crate) fn odd_links() -> Vec<u8> {
    let mut tar = Vec::new();
    entry(&mut tar, "file", b'0', "", "content");
    for (name, kind, link) in [
        ("hard", b'1', "file"),
        ("soft", b'2', "file"),
        ("folder/", b'5', ""),
    ] {
        header(&mut tar, name, kind, link, 7);
    }
    entry(&mut tar, "folder/last", b'0', "", "last");
    tar.extend([0; 1024]);
    // Some write more zeros than there must be.
    tar.extend([0; 9 * 512]);
    tar
}

fn entry(tar: &mut Vec<u8>, name: &str, kind: u8, link: &str, content: &str) {
    header(tar, name, kind, link, content.len());
    tar.extend(content.as_bytes());
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn header(tar: &mut Vec<u8>, name: &str, kind: u8, link: &str, size: usize) {
    let mut header = [0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(157, link);
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend(header);
}
