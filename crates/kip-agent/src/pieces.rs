//! A stream that is put together from bytes and from files, and that can be read from any offset without reading what is before.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::beneath;

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The first `size` bytes of the file. That the file is shorter is an error when it is read.
    File {
        /// Where it is. It is opened without following a link.
        path: PathBuf,
        /// In bytes.
        size: u64,
    },
    /// The first `size` bytes of a file of an image, whose name cannot be trusted.
    Beneath {
        /// The folder that it does not lead out of.
        root: Arc<Path>,
        /// Where it is in there, as the image has it.
        name: PathBuf,
        /// In bytes.
        size: u64,
    },
    /// So many zero bytes.
    Zeros(u64),
}

impl Piece {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } | Self::Beneath { size, .. } | Self::Zeros(size) => *size,
        }
    }
}

/// Reads pieces one after the other, from an offset on.
///
/// A piece that is before the offset is not opened: going on where a transfer was cut costs no reading.
pub struct Joined<I> {
    pieces: I,
    /// Where in the stream it is.
    offset: u64,
    /// How many bytes are still to be left out to be there.
    skip: u64,
    current: Current,
}

enum Current {
    None,
    Bytes(io::Cursor<Vec<u8>>),
    File(io::Take<File>, PathBuf),
    Zeros(io::Take<io::Repeat>),
}

impl<I: Iterator<Item = io::Result<Piece>>> Joined<I> {
    /// The stream from the offset on.
    pub fn from_offset(pieces: I, offset: u64) -> Self {
        Self {
            pieces,
            offset,
            skip: offset,
            current: Current::None,
        }
    }

    /// Goes on to an offset, without reading what is before it. Gives `false` where it is beyond that: there is no way back.
    ///
    /// # Errors
    /// When the current file cannot be sought in.
    pub fn go_on(&mut self, offset: u64) -> io::Result<bool> {
        let Some(more) = offset.checked_sub(self.offset) else {
            return Ok(false);
        };
        self.skip += self.current.skip(more)?;
        self.offset = offset;
        Ok(true)
    }

    /// Opens the next piece that has something after the offset; `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        for piece in self.pieces.by_ref() {
            let piece = piece?;
            let size = piece.size();
            if self.skip >= size {
                self.skip -= size;
                continue;
            }
            let skip = std::mem::take(&mut self.skip);
            self.current = match piece {
                Piece::Bytes(bytes) => {
                    let mut cursor = io::Cursor::new(bytes);
                    cursor.set_position(skip);
                    Current::Bytes(cursor)
                }
                Piece::File { path, size } => {
                    let file = beneath::regular(rustix::fs::CWD, &path);
                    Current::file(file, path, skip..size)?
                }
                Piece::Beneath { root, name, size } => {
                    let file = beneath::open(&root, &name);
                    Current::file(file, name, skip..size)?
                }
                Piece::Zeros(size) => Current::Zeros(io::repeat(0).take(size - skip)),
            };
            return Ok(true);
        }
        Ok(false)
    }
}

impl<I: Iterator<Item = io::Result<Piece>>> Read for Joined<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = match &mut self.current {
                Current::None => 0,
                Current::Bytes(cursor) => cursor.read(buffer)?,
                Current::Zeros(zeros) => zeros.read(buffer)?,
                Current::File(file, path) => match file.read(buffer) {
                    Ok(0) if file.limit() > 0 => {
                        let what = format!("{} bytes are missing at its end", file.limit());
                        let error = io::Error::new(io::ErrorKind::UnexpectedEof, what);
                        return Err(of_path(path, error));
                    }
                    Ok(read) => read,
                    Err(error) => return Err(of_path(path, error)),
                },
            };
            if read > 0 {
                self.offset += read as u64;
                return Ok(read);
            }
            if !self.advance()? {
                self.current = Current::None;
                return Ok(0);
            }
        }
    }
}

impl Current {
    fn file(file: io::Result<File>, path: PathBuf, range: Range<u64>) -> io::Result<Self> {
        let start = |mut file: File| file.seek(SeekFrom::Start(range.start)).map(|_| file);
        let file = file
            .and_then(start)
            .map_err(|error| of_path(&path, error))?;
        Ok(Self::File(file.take(range.end - range.start), path))
    }

    /// Leaves out so many bytes, and gives how many of them are to be left out after it.
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let left = match self {
            Self::None => 0,
            Self::Bytes(cursor) => cursor.get_ref().len() as u64 - cursor.position(),
            Self::File(file, _) => file.limit(),
            Self::Zeros(zeros) => zeros.limit(),
        };
        if count >= left {
            *self = Self::None;
            return Ok(count - left);
        }
        match self {
            Self::None => {}
            Self::Bytes(cursor) => cursor.set_position(cursor.position() + count),
            Self::File(file, path) => {
                let start = file.get_mut().stream_position();
                let start = start.and_then(|at| file.get_mut().seek(SeekFrom::Start(at + count)));
                start.map_err(|error| of_path(path, error))?;
                file.set_limit(left - count);
            }
            Self::Zeros(zeros) => zeros.set_limit(left - count),
        }
        Ok(0)
    }
}

/// The error with the path that it is about.
#[expect(clippy::needless_pass_by_value, reason = "that is what map_err has")]
pub fn of_path(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(file: &Path) -> impl Iterator<Item = io::Result<Piece>> {
        let pieces = vec![
            Piece::Bytes(b"abc".to_vec()),
            Piece::Zeros(2),
            Piece::File {
                path: file.to_owned(),
                size: 4,
            },
            Piece::Bytes(Vec::new()),
            Piece::Bytes(b"z".to_vec()),
        ];
        pieces.into_iter().map(Ok)
    }

    fn all(offset: u64, file: &Path) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        Joined::from_offset(pieces(file), offset).read_to_end(&mut read)?;
        Ok(read)
    }

    #[test]
    fn from_each_offset_the_rest_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "filed").unwrap();
        let whole = b"abc\0\0filez";
        for offset in 0..=whole.len() {
            assert_eq!(all(offset as u64, file.path()).unwrap(), whole[offset..]);
        }
        assert!(all(99, file.path()).unwrap().is_empty());
    }

    #[test]
    fn from_each_offset_it_goes_on_to_each_later_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "filed").unwrap();
        let whole = b"abc\0\0filez";
        let size = whole.len();
        for start in 0..=size {
            for end in start..=size {
                for next in 0..=size + 1 {
                    let mut joined = Joined::from_offset(pieces(file.path()), start as u64);
                    let mut read = vec![0; end - start];
                    joined.read_exact(&mut read).unwrap();
                    assert_eq!(read, whole[start..end]);
                    assert_eq!(joined.go_on(next as u64).unwrap(), next >= end);
                    let mut rest = Vec::new();
                    joined.read_to_end(&mut rest).unwrap();
                    assert_eq!(rest, whole[next.max(end).min(size)..]);
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_too_short_or_a_link_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let short = folder.path().join("short");
        std::fs::write(&short, "fi").unwrap();
        let error = all(0, &short).unwrap_err().to_string();
        assert!(error.contains("short: 2 bytes are missing"), "{error}");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&short, &link).unwrap();
        let error = all(0, &link).unwrap_err().to_string();
        assert!(error.contains("link: "), "{error}");
        // What is before the offset is not opened.
        assert_eq!(all(9, &link).unwrap(), b"z");
    }
}
