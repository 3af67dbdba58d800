//! What real tools have written, byte for byte.

#![allow(
    clippy::octal_escapes,
    reason = "what follows a zero byte is an octal number, in text"
)]

use super::entries::{Entry, Kind};
use super::{form, tar};

/// Forms, files, and the headers that the form's own tool wrote for them: Docker's archive package, GNU tar 1.34, Python 3.11, Apache
/// Commons Compress 1.22, bsdtar 3.6. `x<3>` stands for `xxx`.
#[rustfmt::skip]
fn known() -> Vec<(&'static str, Entry, &'static str)> {
    vec![
        ("docker", folder("dir", 0o2755), "dir/\0<96>0002755\00<7>\00<7>\00<11>\014524770400\0010027\0 5\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("docker", Entry { mtime: -5, ..file("dir/file", 6) }, "dir/PaxHeaders.0/file\0<79>0<7>\00<7>\00<7>\00<9>14\00<11>\0011634\0 x\0<100>ustar\000\0<247>12 mtime=-5\x0a\0<500>dir/file\0<92>0000644\00<7>\00<7>\00<10>6\00<11>\0010621\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("docker", folder(&deep(""), 0o755), "m<60>/\0<39>0000755\00<7>\00<7>\00<11>\014524770400\0041052\0 5\0<100>ustar\000\0<64>0<7>\00<7>\0n<60>\0<107>"),
        ("docker", file(&deep("/f"), 1), "f\0<99>0000644\00<7>\00<7>\00<10>1\014524770400\0041211\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0n<60>/m<60>\0<46>"),
        ("docker", file(&"k".repeat(120), 1), "PaxHeaders.0/k<87>0<7>\00<7>\00<7>\00<8>202\00<11>\0032352\0 x\0<100>ustar\000\0<247>130 path=k<120>\x0a\0<382>k<100>0000644\00<7>\00<7>\00<10>1\014524770400\0034154\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("docker", link("link", &"t".repeat(120)), "PaxHeaders.0/link\0<83>0<7>\00<7>\00<7>\00<8>206\00<11>\0011077\0 x\0<100>ustar\000\0<247>134 linkpath=t<120>\x0a\0<378>link\0<96>0000777\00<7>\00<7>\00<11>\014524770400\0036646\0 2t<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("docker", Entry { nanos: 123_456_789, ..link("short", "dir/file") }, "short\0<95>0000777\00<7>\00<7>\00<11>\014524770400\0011746\0 2dir/file\0<92>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("docker", file("ü", 1), "PaxHeaders.0\0<88>0<7>\00<7>\00<7>\00<9>13\00<11>\0010136\0 x\0<100>ustar\000\0<247>11 path=\u{c3}\u{bc}\x0a\0<601>0000644\00<7>\00<7>\00<10>1\014524770400\0007240\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("docker", Entry { uid: 3_000_000, gid: 3_000_000, ..file("far", 3) }, "PaxHeaders.0/far\0<84>0<7>\00<7>\00<7>\00<9>36\00<11>\0010713\0 x\0<100>ustar\000\0<247>15 gid=30<6>\x0a15 uid=30<6>\x0a\0<482>far\0<97>0000644\00<7>\00<7>\00<10>3\014524770400\0007733\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("docker", device("dev", 10, 3000), "dev\0<97>0000600\00<7>\00<7>\00<11>\014524770400\0007756\0 3\0<100>ustar\000\0<64>0000012\00005670\0<168>"),
        ("docker", capable("cap", 35664), "PaxHeaders.0/cap\0<84>0<7>\00<7>\00<7>\00<9>71\00<11>\0010705\0 x\0<100>ustar\000\0<247>57 SCHILY.xattr.security.capability=\x01\0\0\x02\0 \0<14>\x0a\0<455>cap\0<97>0000755\00<7>\00<7>\000000105520\014524770400\0007743\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("gnu, ./, root as owner", folder("dir", 0o2755), "./dir/\0<94>0002755\00<7>\00<7>\00<11>\014524770400\0010474\0 5\0<100>ustar  \0root\0<28>root\0<211>"),
        ("gnu, ./, root as owner", Entry { mtime: -5, ..file("dir/file", 6) }, "./dir/file\0<90>0000644\00<7>\00<7>\00<10>6\0\u{ff}<11>\u{fb}016226\0 0\0<100>ustar  \0root\0<28>root\0<211>"),
        ("gnu, ./, root as owner", file(&deep("/f"), 1), "././@LongLink\0<87>0000644\00<7>\00<7>\00<8>176\00<11>\0011607\0 L\0<100>ustar  \0root\0<28>root\0<211>./n<60>/m<60>/f\0<387>./n<60>/m<37>0000644\00<7>\00<7>\00<10>1\014524770400\0034575\0 0\0<100>ustar  \0root\0<28>root\0<211>"),
        ("gnu, ./, root as owner", link("link", &"t".repeat(120)), "././@LongLink\0<87>0000644\00<7>\00<7>\00<8>171\00<11>\0011601\0 K\0<100>ustar  \0root\0<28>root\0<211>t<120>\0<392>./link\0<94>0000777\00<7>\00<7>\00<11>\014524770400\0037313\0 2t<100>ustar  \0root\0<28>root\0<211>"),
        ("gnu, ./, root as owner", file("ü", 1), "./\u{c3}\u{bc}\0<96>0000644\00<7>\00<7>\00<10>1\014524770400\0010504\0 0\0<100>ustar  \0root\0<28>root\0<211>"),
        ("gnu, ./, root as owner", Entry { uid: 3_000_000, gid: 3_000_000, ..file("far", 3) }, "./far\0<95>0000644\0\u{80}\0\0\0\0-\u{c6}\u{c0}\u{80}\0\0\0\0-\u{c6}\u{c0}0<10>3\014524770400\0007476\0 0\0<100>ustar  \0<248>"),
        ("gnu, ./, root as owner", device("dev", 10, 3000), "./dev\0<95>0000600\00<7>\00<7>\00<11>\014524770400\0011663\0 3\0<100>ustar  \0root\0<28>root\0<28>0000012\00005670\0<168>"),
        ("posix, ./", Entry { mtime: -5, ..file("dir/file", 6) }, "./dir/PaxHeaders/file\0<79>0000644\00<7>\00<7>\00<9>14\00<11>\0011651\0 x\0<100>ustar\000\0<247>12 mtime=-5\x0a\0<500>./dir/file\0<90>0000644\00<7>\00<7>\00<10>6\00<11>\0010756\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("posix, ./", file(&deep("/f"), 1), "./n<60>/m<37>0000644\00<7>\00<7>\00<8>207\014524770400\0033145\0 x\0<100>ustar\000\0<247>135 path=./n<60>/m<60>/f\x0a\0<377>./n<60>/m<37>0000644\00<7>\00<7>\00<10>1\014524770400\0034265\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("posix, ./", link("link", &"t".repeat(120)), "./PaxHeaders/link\0<83>0000644\00<7>\00<7>\00<8>206\014524770400\0011156\0 x\0<100>ustar\000\0<247>134 linkpath=t<120>\x0a\0<378>./link\0<94>0000777\00<7>\00<7>\00<11>\014524770400\0037003\0 2t<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("posix, ./", Entry { nanos: 123_456_789, ..link("short", "dir/file") }, "./PaxHeaders/short\0<82>0000644\00<7>\00<7>\00<9>36\014524770400\0011361\0 x\0<100>ustar\000\0<247>30 mtime=170<8>.123456789\x0a\0<482>./short\0<93>0000777\00<7>\00<7>\00<11>\014524770400\0012103\0 2dir/file\0<92>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("posix, ./", file("ü", 1), "./PaxHeaders/\u{c3}\u{bc}\0<85>0000644\00<7>\00<7>\00<9>15\014524770400\0011075\0 x\0<100>ustar\000\0<247>13 path=./\u{c3}\u{bc}\x0a\0<499>./\u{c3}\u{bc}\0<96>0000644\00<7>\00<7>\00<10>1\014524770400\0010174\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("posix, ./", Entry { uid: 3_000_000, gid: 3_000_000, ..file("far", 3) }, "./PaxHeaders/far\0<84>0000644\00<7>\00<7>\00<9>36\014524770400\0010772\0 x\0<100>ustar\000\0<247>15 uid=30<6>\x0a15 gid=30<6>\x0a\0<482>./far\0<95>0000644\00<7>\00<7>\00<10>3\014524770400\0010070\0 0\0<100>ustar\000\0<64>0<7>\00<7>\0<168>"),
        ("python gnu, ./, root as owner", Entry { mtime: -5, ..file("dir/file", 6) }, "./dir/file\0<90>0000644\00<7>\00<7>\00<10>6\0\u{ff}<11>\u{fb}016226\0 0\0<100>ustar  \0root\0<28>root\0<211>"),
        ("python gnu, ./, root as owner", link("link", &"t".repeat(120)), "././@LongLink\0<87>0<7>\00<7>\00<7>\00<8>171\00<11>\0007753\0 K\0<100>ustar  \0<248>t<120>\0<392>./link\0<94>0000777\00<7>\00<7>\00<11>\014524770400\0037313\0 2t<100>ustar  \0root\0<28>root\0<211>"),
        ("python gnu, ./, root as owner", Entry { uid: 3_000_000, gid: 3_000_000, ..file("far", 3) }, "./far\0<95>0000644\0\u{80}\0\0\0\0-\u{c6}\u{c0}\u{80}\0\0\0\0-\u{c6}\u{c0}0<10>3\014524770400\0007476\0 0\0<100>ustar  \0<248>"),
        ("python pax, ./, decimals, root as owner", Entry { mtime: -5, ..file("dir/file", 6) }, "././@PaxHeader\0<86>0<7>\00<7>\00<7>\00<9>16\00<11>\0010212\0 x\0<100>ustar\000\0<247>14 mtime=-5.0\x0a\0<498>./dir/file\0<90>0000644\00<7>\00<7>\00<10>6\00<11>\0011326\0 0\0<100>ustar\000root\0<28>root\0<211>"),
        ("python pax, ./, decimals, root as owner", file(&"k".repeat(120), 1), "././@PaxHeader\0<86>0<7>\00<7>\00<7>\00<8>232\00<11>\0010212\0 x\0<100>ustar\000\0<247>132 path=./k<120>\x0a22 mtime=170<8>.0\x0a\0<358>./k<98>0000644\00<7>\00<7>\00<10>1\014524770400\0034333\0 0\0<100>ustar\000root\0<28>root\0<211>"),
        ("python pax, ./, decimals, root as owner", link("link", &"t".repeat(120)), "././@PaxHeader\0<86>0<7>\00<7>\00<7>\00<8>234\00<11>\0010214\0 x\0<100>ustar\000\0<247>134 linkpath=t<120>\x0a22 mtime=170<8>.0\x0a\0<356>./link\0<94>0000777\00<7>\00<7>\00<11>\014524770400\0037353\0 2t<100>ustar\000root\0<28>root\0<211>"),
        ("python pax, ./, decimals, root as owner", Entry { nanos: 123_456_789, ..link("short", "dir/file") }, "././@PaxHeader\0<86>0<7>\00<7>\00<7>\00<9>34\00<11>\0010212\0 x\0<100>ustar\000\0<247>28 mtime=170<8>.1234567\x0a\0<484>./short\0<93>0000777\00<7>\00<7>\00<11>\014524770400\0012453\0 2dir/file\0<92>ustar\000root\0<28>root\0<211>"),
        ("python pax, ./, decimals, root as owner", file("ü", 1), "././@PaxHeader\0<86>0<7>\00<7>\00<7>\00<9>43\00<11>\0010212\0 x\0<100>ustar\000\0<247>13 path=./\u{c3}\u{bc}\x0a22 mtime=170<8>.0\x0a\0<477>./?\0<97>0000644\00<7>\00<7>\00<10>1\014524770400\0010044\0 0\0<100>ustar\000root\0<28>root\0<211>"),
        ("python pax, ./, decimals, root as owner", Entry { uid: 3_000_000, gid: 3_000_000, ..file("far", 3) }, "././@PaxHeader\0<86>0<7>\00<7>\00<7>\00<9>64\00<11>\0010215\0 x\0<100>ustar\000\0<247>15 uid=30<6>\x0a15 gid=30<6>\x0a22 mtime=170<8>.0\x0a\0<460>./far\0<95>0000644\00<7>\00<7>\00<10>3\014524770400\0006630\0 0\0<100>ustar\000\0<247>"),
        ("jib", Entry { mtime: 1, ..folder("app/libs", 0o755) }, "app/libs/\0<91>0040755 0<7> 0<7> 0<11> 0<10>1 011263\0 5\0<100>ustar\000\0<64>0<7> 0<7> \0<167>"),
        ("jib", Entry { mtime: 1, ..file(&deep("/f"), 3) }, "./PaxHeaders.X/n<60>_m<23>\00100644 0<7> 0<7> 0<8>205 0<10>1 034227\0 x\0<100>ustar\000\0<64>0<7> 0<7> \0<167>133 path=n<60>/m<60>/f\x0a\0<379>n<60>/m<39>0100644 0<7> 0<7> 0<10>3 0<10>1 034764\0 0\0<100>ustar\000\0<64>0<7> 0<7> \0<167>"),
        ("jib", Entry { mtime: 1, uid: 3_000_000, ..file("far", 3) }, "./PaxHeaders.X/far\0<82>0100644 0<7> 0<7> 0<9>17 0<10>1 012737\0 x\0<100>ustar\000\0<64>0<7> 0<7> \0<167>15 uid=30<6>\x0a\0<497>far\0<97>0100644 0<7> 0<7> 0<10>3 0<10>1 010233\0 0\0<100>ustar\000\0<64>0<7> 0<7> \0<167>"),
        ("bsdtar, ./", Entry { mtime: 1_672_560_000, ..link("l", "/etc/b") }, "./l\0<97>000777 \00<6> \00<6> \00<11> 14354236600 010535\0 2/etc/b\0<94>ustar\000\0<64>0<6> \00<6> \0<168>"),
        ("bsdtar, ./", Entry { mtime: 1_672_560_000, uid: 70_000, mode: 0o755, ..file(&format!("{}/{}/c", "p".repeat(70), "q".repeat(60)), 2) }, "q<60>/c\0<38>000755 \0210560 \00<6> \00<10>2 14354236600 044255\0 0\0<100>ustar\000\0<64>0<6> \00<6> \0./p<70>\0<95>"),
    ]
}

fn file(path: &str, size: u64) -> Entry {
    Entry {
        source: path.into(),
        path: path.into(),
        kind: Kind::File { size },
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 1_700_000_000,
        nanos: 0,
        xattrs: Vec::new(),
        first: None,
        change: (0, 0),
        is_made: false,
        near: 0,
        inode: None,
        device: 0,
    }
}

fn folder(path: &str, mode: u32) -> Entry {
    Entry {
        kind: Kind::Folder { is_opaque: false },
        mode,
        ..file(path, 0)
    }
}

fn link(path: &str, target: &str) -> Entry {
    Entry {
        kind: Kind::Link {
            target: target.into(),
        },
        mode: 0o777,
        ..file(path, 0)
    }
}

fn device(path: &str, major: u32, minor: u32) -> Entry {
    Entry {
        kind: Kind::Char { major, minor },
        mode: 0o600,
        ..file(path, 0)
    }
}

fn capable(path: &str, size: u64) -> Entry {
    let value = b"\x01\0\0\x02\0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    Entry {
        mode: 0o755,
        xattrs: vec![
            (b"security.capability".to_vec(), value),
            (b"user.no".to_vec(), Vec::new()),
        ],
        ..file(path, size)
    }
}

fn deep(rest: &str) -> String {
    format!("{}/{}{rest}", "n".repeat(60), "m".repeat(60))
}

fn expanded(short: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = short;
    while let Some((before, after)) = rest.split_once('<') {
        let (count, after) = after.split_once('>').unwrap();
        bytes.extend(before.chars().map(|it| u8::try_from(it).unwrap()));
        let last = *bytes.last().unwrap();
        bytes.resize(bytes.len() - 1 + count.parse::<usize>().unwrap(), last);
        rest = after;
    }
    bytes.extend(rest.chars().map(|it| u8::try_from(it).unwrap()));
    bytes
}

#[test]
fn headers_are_those_of_the_real_tools() {
    for (name, entry, expected) in known() {
        let form = form::named(name).unwrap();
        let (found, expected) = (tar::head(form, &entry, 0), expanded(expected));
        let path = String::from_utf8_lossy(&entry.path);
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\x00", "");
        assert!(
            found == expected,
            "{name}: {path}:\n{}\n{}",
            text(&found),
            text(&expected)
        );
    }
}
