//! Reads the small files that a runtime writes.

use std::io::{self, Read as _};
use std::path::Path;

use crate::beneath;
use crate::pieces::of_path;

/// The most bytes that a runtime's records have. Some tell of all images or all layers of a node.
pub(super) const MAX_RECORDS: u64 = 64 << 20;

/// The most bytes that a single value has, such as a digest.
const MAX_VALUE: u64 = 4096;

/// A file's content, where it is there.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let result = beneath::regular(rustix::fs::CWD, path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            let what = format!("it has more than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(bytes)
    });
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_path(path, error)),
    }
}

/// A file's JSON, where it is there.
pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let bytes = read(path, MAX_RECORDS)?.filter(|bytes| !bytes.is_empty());
    bytes
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()
        .map_err(|error| of_path(path, error.into()))
}

/// A file's text without the space around it, where it is there.
pub(super) fn text(path: &Path) -> io::Result<Option<String>> {
    let bytes = read(path, MAX_VALUE)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

/// A name that a runtime gave, if it is one part of a path and no more.
///
/// # Errors
/// When it leads somewhere else.
pub(super) fn part(name: &str) -> io::Result<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain) {
        return Ok(name);
    }
    let what = format!("'{name}' is no name of a folder");
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_the_expected_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(text(&path).unwrap().is_none());
        std::fs::write(&path, "12 \n").unwrap();
        assert_eq!(text(&path).unwrap().unwrap(), "12");
        assert_eq!(json::<u8>(&path).unwrap(), Some(12));
        let error = read(&path, 3).unwrap_err().to_string();
        assert!(error.contains("more than 3 bytes"), "{error}");
        assert!(read(folder.path(), 3).is_err());
    }

    #[test]
    fn only_a_plain_name_becomes_a_part_of_a_path() {
        assert_eq!(part("0af-init_1.x").unwrap(), "0af-init_1.x");
        for bad in ["", ".", "..", "a/b", "/", "a\0"] {
            assert!(part(bad).is_err(), "{bad}");
        }
    }
}
