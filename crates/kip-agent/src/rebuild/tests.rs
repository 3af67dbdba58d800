//! What a layer's tar is, without any tool.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use sha2::{Digest as _, Sha256};

use super::form::{self, Order, Sort};
use super::prove::{LIMITS, Limits, prove};
use super::walk::Walk;
use super::{entries, pieces};
use crate::pieces::Joined;
use crate::protocol::{Profile, Rebuilt};

const NOBODYS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn read(top: &Path, name: &str, whiteout_time: i64, offset: u64) -> Vec<u8> {
    let name = name.to_owned();
    let profile = Profile {
        name,
        whiteout_time,
    };
    let mut bytes = Vec::new();
    let pieces = pieces(top, &profile).unwrap();
    Joined::from_offset(pieces, offset)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn proven(top: &Path, diff_id: &str, created: &[i64], limits: Limits) -> Rebuilt {
    prove(top, diff_id, created, limits, &mut || Ok(())).unwrap()
}

fn delete(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

/// Two files, one of which is the other one too, and a mark of deletion.
fn layer() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    fs::create_dir(top.join("a")).unwrap();
    fs::write(top.join("a/file"), vec![b'f'; 1000]).unwrap();
    fs::hard_link(top.join("a/file"), top.join("a/hard")).unwrap();
    fs::write(top.join("a-file"), "").unwrap();
    symlink("a/file", top.join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
    delete(&top.join("z"));
    folder
}

#[test]
fn the_empty_layer_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let empty = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    let rebuilt = proven(folder.path(), empty, &[], LIMITS);
    assert!(rebuilt.is_proven);
    assert_eq!((rebuilt.size, rebuilt.tried), (1024, 1));
    assert_eq!(read(folder.path(), &rebuilt.profile.name, 0, 0), [0; 1024]);
}

#[test]
fn from_each_offset_the_rest_of_each_form_is_read() {
    let folder = layer();
    for form in super::table::FORMS {
        let whole = read(folder.path(), form.name, 7, 0);
        assert_eq!(whole.len() as u64 % form.record, 0, "{}", form.name);
        assert!(whole.ends_with(&[0; 1024]));
        for offset in [
            1,
            511,
            512,
            700,
            1536,
            2047,
            3000,
            whole.len(),
            whole.len() + 9,
        ] {
            let rest = read(folder.path(), form.name, 7, offset as u64);
            assert_eq!(rest, whole[offset.min(whole.len())..], "{}", form.name);
        }
    }
}

#[test]
fn each_form_is_proven_by_its_own_tar() {
    let folder = layer();
    for form in super::table::FORMS {
        let tar = read(folder.path(), form.name, 0, 0);
        let rebuilt = proven(folder.path(), &digest(&tar), &[], LIMITS);
        assert!(rebuilt.is_proven, "{}", form.name);
        let found = read(
            folder.path(),
            &rebuilt.profile.name,
            rebuilt.profile.whiteout_time,
            0,
        );
        assert_eq!(found, tar, "{}", form.name);
        assert_eq!(rebuilt.size, tar.len() as u64);
    }
}

#[test]
fn what_is_not_proven_is_the_first_form_and_its_digest() {
    let folder = layer();
    let rebuilt = proven(folder.path(), NOBODYS, &[], LIMITS);
    assert!(!rebuilt.is_proven);
    assert_eq!(rebuilt.profile.name, "containerd");
    let tar = read(
        folder.path(),
        "containerd",
        rebuilt.profile.whiteout_time,
        0,
    );
    assert_eq!(
        (rebuilt.digest, rebuilt.size),
        (digest(&tar), tar.len() as u64)
    );
    // Forms that are no different for this layer are tried once.
    assert!(rebuilt.tried > 10 && rebuilt.tried < super::table::FORMS.len());
}

#[test]
fn more_times_are_tried_than_fit_side_by_side() {
    let folder = layer();
    let created: Vec<i64> = (1..=30).map(|it| it * 1000).collect();
    for time in [30_005, 19_999] {
        let tar = read(folder.path(), "docker", time, 0);
        let rebuilt = proven(folder.path(), &digest(&tar), &created, LIMITS);
        assert!(rebuilt.is_proven, "{time}");
        assert_eq!(rebuilt.profile.whiteout_time, time);
    }
    let tar = read(folder.path(), "docker", 30_006, 0);
    assert!(!proven(folder.path(), &digest(&tar), &created, LIMITS).is_proven);
}

#[test]
fn the_times_that_come_first_are_tried_whatever_they_are() {
    let folder = layer();
    let latest_first: Vec<i64> = (1..=100).rev().map(|it| it * 1000).collect();
    for (time, is_proven) in [(100_000, true), (37_000, true), (36_000, false)] {
        let tar = read(folder.path(), "containerd", time, 0);
        // Enough for all times of the first form.
        let limits = Limits {
            bytes: 2 << 20,
            ..LIMITS
        };
        let rebuilt = proven(folder.path(), &digest(&tar), &latest_first, limits);
        assert_eq!(rebuilt.is_proven, is_proven, "{time}");
    }
}

#[test]
fn a_search_ends_when_it_has_cost_too_much() {
    let folder = layer();
    let limits = |bytes| Limits {
        side_by_side: 4,
        few: 2,
        bytes,
    };
    let tar = read(folder.path(), "jib", 0, 0);
    let rebuilt = proven(folder.path(), &digest(&tar), &[], limits(0));
    assert!(!rebuilt.is_proven);
    assert_eq!(
        (rebuilt.tried, rebuilt.profile.name.as_str()),
        (1, "containerd")
    );
    let rebuilt = proven(folder.path(), &digest(&tar), &[], limits(20_000));
    assert!(
        !rebuilt.is_proven && rebuilt.tried > 1 && rebuilt.tried < 10,
        "{}",
        rebuilt.tried
    );
    assert!(proven(folder.path(), &digest(&tar), &[], limits(1 << 30)).is_proven);
}

#[test]
fn an_error_of_the_one_who_waits_ends_the_search() {
    let folder = layer();
    let gone = &mut || Err(io::Error::other("nobody waits"));
    let error = super::prove(folder.path(), NOBODYS, &[], gone).unwrap_err();
    assert_eq!(error.to_string(), "nobody waits");
    let error = super::merged(folder.path(), false, gone).unwrap_err();
    assert_eq!(error.to_string(), "nobody waits");
}

#[test]
fn a_form_or_a_folder_that_is_not_there_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile {
        name: "none".to_owned(),
        whiteout_time: 0,
    };
    let error = pieces(folder.path(), &profile).err().unwrap().to_string();
    assert!(error.contains("\"none\""), "{error}");
    let error = super::prove(&folder.path().join("gone"), NOBODYS, &[], &mut || Ok(()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("gone: "), "{error}");
}

/// The paths in an order, with what is special about them.
fn walked(top: &Path, sort: Sort, marks_by_own_name: bool) -> String {
    let order = Order {
        sort,
        marks_by_own_name,
    };
    let mut found = Vec::new();
    for entry in Walk::new(top, order) {
        let entry = entry.unwrap();
        let path = String::from_utf8(entry.path).unwrap();
        let first = entry
            .first
            .map(|it| format!("={}", String::from_utf8(it).unwrap()));
        let mark = if entry.kind == entries::Kind::Deleted {
            "!"
        } else {
            ""
        };
        found.push(format!("{mark}{path}{}", first.unwrap_or_default()));
    }
    found.join(" ")
}

#[test]
fn each_builder_has_its_order() {
    let folder = layer();
    let top = folder.path();
    delete(&top.join("-"));
    delete(&top.join("a/z"));
    let walked = |sort, marks| walked(top, sort, marks);
    assert_eq!(
        walked(Sort::Names, false),
        " !- a a/file a/hard=a/file !a/z=- a-file link !z=-"
    );
    assert_eq!(
        walked(Sort::Paths, false),
        " !- a a-file a/file a/hard=a/file !a/z=- link !z=-"
    );
    assert_eq!(
        walked(Sort::SlashedPaths, false),
        " !- a-file a a/file a/hard=a/file !a/z=- link !z=-"
    );
    assert_eq!(
        walked(Sort::Names, true),
        " !- !z=- a !a/z=- a/file a/hard=a/file a-file link"
    );
    assert_eq!(
        walked(Sort::Paths, true),
        " !- !z=- a a-file !a/z=- a/file a/hard=a/file link"
    );
}

#[test]
fn folders_that_an_unpacker_made_are_told_from_written_ones() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    for name in ["made", "written"] {
        fs::create_dir(top.join(name)).unwrap();
        fs::write(top.join(name).join("file"), "").unwrap();
    }
    let age = |path: &Path, seconds| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    };
    age(&top.join("written"), 1000);
    let made = || {
        let order = form::named("go").unwrap().order;
        let entries = Walk::new(top, order)
            .map(Result::unwrap)
            .filter(|it| it.is_made);
        let paths = entries.map(|it| String::from_utf8(it.path).unwrap());
        paths.collect::<Vec<_>>()
    };
    assert_eq!(made(), ["made"]);
    // On a copy of that disk the times of change are new.
    age(&top.join("made"), 500_000);
    age(top, 500_002);
    assert_eq!(made(), ["made"]);
}
