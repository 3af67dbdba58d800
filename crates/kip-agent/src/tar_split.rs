//! A tar, put together again from what tar-split keeps of it: all but the content of its files, which lies unpacked in a folder.
//!
//! The format is gzip of lines of JSON. `{"type":2,"payload":…}` has bytes of the tar in base64: headers and padding.
//! `{"type":1,"name":…,"size":…,"payload":…}` stands where the content of a file is; its payload is a CRC-64. A name that is not
//! UTF-8 is in `name_raw`, in base64.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::beneath;
use crate::pieces::{Piece, of_path};

/// The longest line. One holds the bytes between two files: few, but it is the image that says how many.
const MAX_LINE: u64 = 16 << 20;

/// A tar's header.
const HEADER: usize = 512;

/// Files that are larger than a header can say have their size elsewhere.
const MAX_SIZE_IN_HEADER: u64 = 0o777_7777_7777;

/// The pieces of a tar, one after the other. Neither the lines nor the files are read before they are needed.
pub struct TarSplit {
    path: PathBuf,
    lines: BufReader<MultiGzDecoder<File>>,
    folder: Arc<Path>,
    line: Vec<u8>,
    /// The header that was last seen, where it matters.
    header: Option<Header>,
    is_over: bool,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    name_raw: Option<&'a str>,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    payload: Option<&'a str>,
}

/// What a tar's header says of the content after it.
struct Header {
    kind: u8,
    /// Where it is written in the usual way.
    size: Option<u64>,
}

impl TarSplit {
    /// The tar whose tar-split is in a file, and whose files are below a folder.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn open(path: &Path, folder: &Path) -> io::Result<Self> {
        let file = beneath::regular(rustix::fs::CWD, path).map_err(|error| of_path(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)),
            folder: folder.into(),
            line: Vec::new(),
            header: None,
            is_over: false,
        })
    }

    /// How many bytes the whole tar has. No file is opened for that.
    ///
    /// # Errors
    /// When the tar-split is damaged, or the tar cannot be made from it.
    pub fn size(self) -> io::Result<u64> {
        let mut sum = 0_u64;
        for piece in self {
            let more = piece?.size();
            sum = sum
                .checked_add(more)
                .ok_or_else(|| invalid("the tar is too large"))?;
        }
        Ok(sum)
    }

    /// The next entry that has bytes.
    fn read(&mut self) -> io::Result<Option<Piece>> {
        loop {
            self.line.clear();
            let mut lines = self.lines.by_ref().take(MAX_LINE);
            lines.read_until(b'\n', &mut self.line)?;
            if self.line.is_empty() {
                return Ok(None);
            }
            if self.line.len() as u64 >= MAX_LINE {
                return Err(invalid("one of its lines is too long"));
            }
            let entry: Entry = serde_json::from_slice(&self.line)?;
            let piece = match entry.kind {
                1 => file(&entry, self.header.take(), &self.folder)?,
                2 => {
                    let bytes = decode(entry.payload)?;
                    if bytes.len() >= HEADER {
                        self.header = Header::parse(&bytes[bytes.len() - HEADER..]);
                    }
                    Some(Piece::Bytes(bytes))
                }
                other => return Err(invalid(format!("it has an entry of the type {other}"))),
            };
            if let Some(piece) = piece.filter(|piece| piece.size() > 0) {
                return Ok(Some(piece));
            }
        }
    }
}

impl Iterator for TarSplit {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let piece = self.read().map_err(|error| of_path(&self.path, error));
        self.is_over = !matches!(piece, Ok(Some(_)));
        piece.transpose()
    }
}

/// The content of a file, where it has one.
fn file(entry: &Entry, header: Option<Header>, folder: &Arc<Path>) -> io::Result<Option<Piece>> {
    let name = match entry.name_raw {
        Some(raw) if !raw.is_empty() => OsString::from_vec(decode(Some(raw))?),
        _ => entry.name.clone().unwrap_or_default().into(),
    };
    let name = PathBuf::from(name);
    if let Some(header) = header {
        // A link has no content, whatever its header says.
        if (b'1'..=b'6').contains(&header.kind) {
            return Ok(None);
        }
        // Of a file with holes the tar has only what is between them, and which that is was not kept.
        let is_other = header.size.is_some_and(|size| size != entry.size);
        if is_other && entry.size <= MAX_SIZE_IN_HEADER {
            let why = "the tar has it with holes, and it is not known where";
            return Err(of_path(&name, invalid(why)));
        }
    }
    Ok(Some(Piece::Beneath {
        root: Arc::clone(folder),
        name,
        size: entry.size,
    }))
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let size = std::str::from_utf8(bytes.get(124..136)?).ok();
        let size = size.map(|text| text.trim_matches([' ', '\0']));
        Some(Self {
            kind: *bytes.get(156)?,
            size: size.and_then(|text| u64::from_str_radix(text, 8).ok()),
        })
    }
}

fn decode(base64: Option<&str>) -> io::Result<Vec<u8>> {
    STANDARD
        .decode(base64.unwrap_or_default())
        .map_err(|error| invalid(error.to_string()))
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::pieces::Joined;

    /// A tar-split of these lines, beside its files.
    fn written(folder: &Path, lines: &str) -> PathBuf {
        let path = folder.join("tar-split.gz");
        let mut out = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        out.write_all(lines.as_bytes()).unwrap();
        out.finish().unwrap();
        path
    }

    fn header(kind: u8, size: &str) -> String {
        let mut bytes = [0; HEADER];
        bytes[124..124 + size.len()].copy_from_slice(size.as_bytes());
        bytes[156] = kind;
        let payload = STANDARD.encode(bytes);
        format!(r#"{{"type":2,"payload":"{payload}","position":0}}"#) + "\n"
    }

    fn read(folder: &Path, lines: &str, offset: u64) -> io::Result<Vec<u8>> {
        let path = written(folder, lines);
        let mut bytes = Vec::new();
        let pieces = TarSplit::open(&path, folder)?;
        Joined::from_offset(pieces, offset).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn segments_and_files_alternate() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/ä\u{1}"), "one").unwrap();
        let raw = OsString::from_vec(b"d/\xff".to_vec());
        std::fs::write(folder.path().join(raw), "two").unwrap();
        let lines = r#"{"type":2,"payload":"YWJj","position":0}
{"type":1,"name":"d/","payload":null,"position":1}
{"type":1,"name":"./d/ä\u0001","size":3,"payload":"AAAAAAAAAAA=","position":2}
{"type":2,"payload":"","position":3}
{"type":1,"name_raw":"ZC//","size":3,"payload":"AAAAAAAAAAA=","position":4}
{"type":2,"payload":"eno=","position":5}
"#;
        let expected = b"abconetwozz".to_vec();
        assert_eq!(read(folder.path(), lines, 0).unwrap(), expected);
        for offset in 0..=expected.len() {
            let rest = read(folder.path(), lines, offset as u64).unwrap();
            assert_eq!(rest, expected[offset..]);
        }
        let path = written(folder.path(), lines);
        let size = TarSplit::open(&path, folder.path()).unwrap().size();
        assert_eq!(size.unwrap(), expected.len() as u64);
    }

    #[test]
    fn a_link_has_no_content_and_a_file_with_holes_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "12345678").unwrap();
        let entry = r#"{"type":1,"name":"a","size":8,"payload":""}"#;
        let size = |kind, size: &str| {
            let lines = header(kind, size) + entry;
            read(folder.path(), &lines, 0).map(|bytes| bytes.len() - HEADER)
        };
        assert_eq!(size(b'0', "00000000010").unwrap(), 8);
        assert_eq!(size(b'0', "\u{1}").unwrap(), 8);
        assert_eq!(size(b'1', "00000000010").unwrap(), 0);
        let error = size(b'0', "00000000004").unwrap_err().to_string();
        assert!(error.contains("tar-split.gz: a: the tar has it"), "{error}");
    }

    #[test]
    fn what_is_damaged_is_an_error_and_then_over() {
        let folder = tempfile::tempdir().unwrap();
        for lines in [
            "{}",
            "null",
            r#"{"type":3}"#,
            r#"{"type":2,"payload":"?"}"#,
            r#"{"type":1,"size":-1}"#,
            r#"{"type":1,"name":"../x","size":1}"#,
        ] {
            assert!(read(folder.path(), lines, 0).is_err(), "{lines}");
        }
        let path = written(folder.path(), "{}");
        let mut pieces = TarSplit::open(&path, folder.path()).unwrap();
        assert!(pieces.next().unwrap().is_err());
        assert!(pieces.next().is_none());
        let half = std::fs::read(&path).unwrap();
        std::fs::write(&path, &half[..half.len() / 2]).unwrap();
        assert!(
            TarSplit::open(&path, folder.path())
                .unwrap()
                .size()
                .is_err()
        );
        let most = r#"{"type":1,"name":"a","size":18446744073709551615}"#;
        let path = written(folder.path(), &format!("{most}\n{most}\n"));
        let error = TarSplit::open(&path, folder.path()).unwrap().size();
        assert!(error.unwrap_err().to_string().contains("too large"));
    }

    #[test]
    fn a_line_that_does_not_end_is_not_read_into_memory() {
        let folder = tempfile::tempdir().unwrap();
        let lines = " ".repeat(usize::try_from(MAX_LINE).unwrap() + 1);
        let error = read(folder.path(), &lines, 0).unwrap_err().to_string();
        assert!(error.contains("too long"), "{error}");
    }
}
