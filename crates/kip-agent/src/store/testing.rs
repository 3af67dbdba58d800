//! Small layers for the tests of stores.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value};

use crate::documents::sha256;
use crate::pieces::Joined;
use crate::protocol::{Image, Listed, Wanted};

use super::{Looking, Pieces, Store};

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

/// The image in the store, and what could not be read.
pub(super) fn find(
    store: &dyn Store,
    digest: Option<&str>,
    name: Option<&str>,
) -> (Option<Image>, Vec<String>) {
    let wanted = Wanted {
        digest: digest.map(str::to_owned),
        name: name.map(str::to_owned),
    };
    let working = &mut || Ok(());
    let mut looking = Looking::new(working);
    let found = store.find(&wanted, &mut looking).unwrap();
    (found, looking.into_problems())
}

/// The images in the store, and what could not be read.
pub(super) fn list(store: &dyn Store) -> (Vec<Listed>, Vec<String>) {
    let mut beats = 0;
    let working = &mut || {
        beats += 1;
        Ok(())
    };
    let mut looking = Looking::new(working);
    let listed = store.list(&mut looking).unwrap();
    let problems = looking.into_problems();
    assert!(listed.is_empty() || beats > 0, "it says that it works");
    (listed, problems)
}

/// All bytes of the pieces.
pub(super) fn read(pieces: Pieces) -> Vec<u8> {
    let mut bytes = Vec::new();
    Joined::from_offset(pieces, 0)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// A bolt database of one page with these buckets and values.
pub(super) fn bolt(top: &Map<String, Value>) -> Vec<u8> {
    const PAGE: usize = 1 << 16;
    let mut bytes = Vec::new();
    for number in 0..2_u64 {
        let mut meta = Vec::new();
        for word in [0xED0C_DAED_u32, 2, 1 << 16, 0] {
            meta.extend(word.to_ne_bytes());
        }
        // The root's page, its sequence, the pages that are free and that there are, the transaction.
        for word in [3, 0, 2, 4, number] {
            meta.extend(word.to_ne_bytes());
        }
        let check = crate::bolt::fnv(&meta);
        meta.extend(check.to_ne_bytes());
        bytes.extend([0; 16]);
        bytes.extend(meta);
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    }
    bytes.resize(3 * PAGE, 0);
    bytes.extend(leaf(3, top));
    assert!(bytes.len() <= 4 * PAGE);
    bytes.resize(4 * PAGE, 0);
    bytes
}

fn leaf(number: u64, bucket: &Map<String, Value>) -> Vec<u8> {
    let count = u16::try_from(bucket.len()).unwrap();
    let mut page = number.to_ne_bytes().to_vec();
    page.extend(2_u16.to_ne_bytes());
    page.extend(count.to_ne_bytes());
    page.extend([0; 4]);
    let mut content = Vec::new();
    for (at, (key, value)) in bucket.iter().enumerate() {
        let (flags, value) = match value {
            Value::Object(below) => (1, [vec![0; 16], leaf(0, below)].concat()),
            other => (0, other.as_str().unwrap().as_bytes().to_vec()),
        };
        let start = (bucket.len() - at) * 16 + content.len();
        for word in [flags, start, key.len(), value.len()] {
            page.extend(u32::try_from(word).unwrap().to_ne_bytes());
        }
        content.extend(key.as_bytes());
        content.extend(value);
    }
    [page, content].concat()
}
