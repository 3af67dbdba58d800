//! The configuration and the manifest of an image: files beside its record, each named by a key.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::documents::{Any, MAX_DOCUMENT, document, sha256};
use crate::protocol::Document;
use crate::store::files;

use super::records::ImageRecord;

/// The start of the keys of manifests.
const MANIFEST: &str = "manifest";

/// What is kept of an image.
pub(super) struct Documents {
    /// The index that the manifest was found in.
    pub(super) index: Option<Document>,
    /// The manifest's digest, bytes, and meaning.
    pub(super) manifest: Option<(String, Vec<u8>, Any)>,
    /// The configuration's digest, bytes, and meaning.
    pub(super) config: (String, Vec<u8>, Any),
}

impl Documents {
    /// Those of an image. Of several manifests, the one with the wanted digest, or that an index with this digest speaks of.
    ///
    /// # Errors
    /// When there is no configuration, or something cannot be read.
    pub(super) fn read(
        roots: &[PathBuf],
        image: &ImageRecord,
        wanted: Option<&str>,
    ) -> io::Result<Self> {
        let folder = roots[image.root].join("overlay-images");
        let folder = folder.join(files::part(&image.id)?);
        let mut manifests = Vec::new();
        for digest in manifest_digests(image, wanted) {
            for key in [format!("{MANIFEST}-{digest}"), MANIFEST.to_owned()] {
                let read = files::read(&folder.join(file_name(&key)), MAX_DOCUMENT)?;
                if let Some(bytes) = read.filter(|bytes| sha256(bytes) == digest) {
                    let any = Any::parse(&bytes);
                    manifests.push((digest.to_owned(), bytes, any));
                    break;
                }
            }
        }
        let is_index = |any: &Any| !any.manifests.is_empty();
        let is_index_first = manifests.first().is_some_and(|it| is_index(&it.2));
        let (indexes, mut manifests): (Vec<_>, Vec<_>) =
            manifests.into_iter().partition(|it| is_index(&it.2));
        let is_in =
            |index: &Any, digest: &str| index.manifests.iter().any(|it| it.digest == digest);
        if let Some((_, _, index)) = indexes.first().filter(|_| is_index_first) {
            manifests.sort_by_key(|(digest, _, _)| !is_in(index, digest));
        }
        let manifest = manifests.into_iter().next();
        let index = manifest.as_ref().and_then(|(digest, _, _)| {
            let mut indexes = indexes.iter();
            indexes.find(|(_, _, index)| is_in(index, digest))
        });
        Ok(Self {
            index: index
                .map(|(digest, bytes, any)| document(bytes, digest, any.media_type.clone())),
            config: config(&folder, image, manifest.as_ref().map(|it| &it.2))?,
            manifest,
        })
    }
}

/// The digest of the image's configuration, as far as its record tells.
pub(super) fn config_digest(image: &ImageRecord) -> Option<String> {
    let digest = format!("sha256:{}", image.id);
    image
        .big_data_digests
        .contains_key(&digest)
        .then_some(digest)
}

/// The digests of the image's manifests and indexes, the best first.
pub(super) fn manifest_digests<'a>(image: &'a ImageRecord, wanted: Option<&str>) -> Vec<&'a str> {
    let all = image.big_data_digests.iter();
    let of_manifests = all.filter(|(key, _)| key.starts_with(MANIFEST));
    let mut digests: Vec<_> = of_manifests.map(|(_, digest)| digest.as_str()).collect();
    digests.extend(image.digest.as_deref());
    digests.sort_by_key(|digest| {
        let is_main = image.digest.as_deref() == Some(digest);
        (Some(*digest) != wanted, !is_main, *digest)
    });
    digests.dedup();
    digests
}

fn config(
    folder: &Path,
    image: &ImageRecord,
    manifest: Option<&Any>,
) -> io::Result<(String, Vec<u8>, Any)> {
    let of_manifest = manifest.and_then(Any::config).map(|config| config.digest);
    for digest in of_manifest.into_iter().chain(config_digest(image)) {
        let read = files::read(&folder.join(file_name(&digest)), MAX_DOCUMENT)?;
        if let Some(bytes) = read.filter(|bytes| sha256(bytes) == digest) {
            let any = Any::parse(&bytes);
            return Ok((digest, bytes, any));
        }
    }
    let what = format!("{}: its configuration is missing", folder.display());
    Err(io::Error::new(io::ErrorKind::NotFound, what))
}

/// The name of the file of a key.
fn file_name(key: &str) -> String {
    let is_plain = |byte: u8| byte == b'.' || byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if key.bytes().all(is_plain) {
        return key.to_owned();
    }
    // The keys are an image's: no `/` may be in the name of a file.
    format!("={}", STANDARD.encode(key).replace('/', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_a_files_name() {
        assert_eq!(file_name("manifest"), "manifest");
        assert_eq!(file_name("sha256:0a"), "=c2hhMjU2OjBh");
        assert!(!file_name("manifest-\u{7f}\u{7f}\u{7f}/../..").contains('/'));
    }
}
