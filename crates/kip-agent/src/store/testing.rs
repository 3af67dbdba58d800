//! Small layers for the tests of stores.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::GzEncoder};

use crate::documents::sha256;
use crate::pieces::Joined;

use super::Pieces;

/// A layer's tar.
pub(super) struct Tar {
    pub(super) bytes: Vec<u8>,
    split: String,
}

impl Tar {
    /// Of files with this content, which are written below the folder.
    pub(super) fn unpacked(folder: &Path, content: &[(&str, &str)]) -> Self {
        let mut bytes = Vec::new();
        let mut split = String::new();
        let mut padding = 0;
        for (name, text) in content {
            let mut header = vec![0; padding + 512];
            header[padding..padding + name.len()].copy_from_slice(name.as_bytes());
            let size = format!("{:011o}", text.len());
            header[padding + 124..padding + 135].copy_from_slice(size.as_bytes());
            header[padding + 156] = b'0';
            segment(&mut split, &header);
            bytes.extend(header);
            bytes.extend(text.as_bytes());
            let entry =
                serde_json::json!({"type": 1, "name": name, "size": text.len(), "payload": "AA=="});
            split.push_str(&entry.to_string());
            split.push('\n');
            padding = (512 - text.len() % 512) % 512;
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let end = vec![0; padding + 1024];
        segment(&mut split, &end);
        bytes.extend(end);
        std::fs::create_dir_all(folder).unwrap();
        Self { bytes, split }
    }

    pub(super) fn diff_id(&self) -> String {
        sha256(&self.bytes)
    }

    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Writes its tar-split.
    pub(super) fn write_split(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let out = File::create(path).unwrap();
        let mut out = GzEncoder::new(out, Compression::fast());
        out.write_all(self.split.as_bytes()).unwrap();
        out.finish().unwrap();
    }
}

fn segment(split: &mut String, bytes: &[u8]) {
    let payload = STANDARD.encode(bytes);
    let entry = serde_json::json!({"type": 2, "payload": payload});
    split.push_str(&entry.to_string());
    split.push('\n');
}

/// Writes a file with its folder.
pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// All bytes of the pieces.
pub(super) fn read(pieces: Pieces) -> Vec<u8> {
    let mut bytes = Vec::new();
    Joined::from_offset(pieces, 0)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}
