//! A stream that is put together from bytes and from files, and that can be read from any offset without reading what is before.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;

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
    /// So many zero bytes.
    Zeros(u64),
}

impl Piece {
    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } | Self::Zeros(size) => *size,
        }
    }
}

/// Reads pieces one after the other, from an offset on.
///
/// A piece that is before the offset is not opened: going on where a transfer was cut costs no reading.
pub struct Joined<I> {
    pieces: I,
    /// How many bytes are still to be left out.
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
            skip: offset,
            current: Current::None,
        }
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
                    let mut file = open(&path).map_err(|error| of_path(&path, error))?;
                    file.seek(SeekFrom::Start(skip))?;
                    Current::File(file.take(size - skip), path)
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
                return Ok(read);
            }
            if !self.advance()? {
                self.current = Current::None;
                return Ok(0);
            }
        }
    }
}

/// Opens a regular file, never through a link and never anything that would block.
fn open(path: &std::path::Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// The error with the path that it is about.
#[expect(clippy::needless_pass_by_value, reason = "that is what map_err has")]
pub fn of_path(path: &std::path::Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(offset: u64, file: &std::path::Path) -> io::Result<Vec<u8>> {
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
        let mut read = Vec::new();
        Joined::from_offset(pieces.into_iter().map(Ok), offset).read_to_end(&mut read)?;
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
