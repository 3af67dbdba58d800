//! An OCI layout: a folder with content by digest and an index. Other images in it stay.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use kip_image::Digest;
use serde_json::Value;

use crate::archive;
use crate::cache::{Cache, hash};
use crate::image::Image;
use crate::interrupt::Interrupt;
use crate::whole_file;

pub(super) fn write(
    folder: &Path,
    images: &[Image],
    cache: &Cache,
    interrupt: &Interrupt,
) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).with_context(|| folder.display().to_string())?;
    let bytes = |path: &Path, bytes: &[u8]| {
        whole_file::write(path, interrupt, |file| Ok(file.write_all(bytes)?))
    };
    for image in images {
        for layer in &image.layers {
            let digest = &layer.descriptor.digest;
            let to = folder.join(archive::blob(digest));
            give(digest, &cache.path(digest), &to, interrupt)?;
        }
        for (digest, document) in image.documents() {
            bytes(&folder.join(archive::blob(digest)), document)?;
        }
    }
    bytes(&folder.join("oci-layout"), archive::LAYOUT)?;
    // Last: until then nobody looks for the new content.
    let index = folder.join("index.json");
    whole_file::write(&index, interrupt, |file| {
        let merged = merged(&index, images)?;
        Ok(file.write_all(&serde_json::to_vec(&merged)?)?)
    })
}

/// Copies content of the cache. It is no link: who changes the folder should not change the cache.
fn give(digest: &Digest, from: &Path, to: &Path, interrupt: &Interrupt) -> Result<()> {
    if hash(to).is_ok_and(|(found, _)| found == *digest) {
        return Ok(());
    }
    whole_file::write(to, interrupt, |file| {
        let from = std::fs::File::open(from)?;
        let mut from = std::io::BufReader::with_capacity(1 << 20, from);
        std::io::copy(&mut from, file)?;
        Ok(())
    })
}

/// The old index, with the new images instead of those of the same name.
fn merged(path: &Path, images: &[Image]) -> Result<Value> {
    let mut index = match std::fs::read(path) {
        Ok(old) => serde_json::from_slice(&old).context("the index that is there")?,
        Err(error) if error.kind() == ErrorKind::NotFound => archive::index(&[]),
        Err(error) => return Err(error).context("the index that is there"),
    };
    let index_of = index.as_object_mut();
    let index_of = index_of.context("the index that is there is none")?;
    let mut manifests = archive::manifests(images);
    let old = match index_of.get_mut("manifests") {
        Some(Value::Array(old)) => std::mem::take(old),
        _ => Vec::new(),
    };
    let is_replaced = |old: &Value| {
        let name = archive::name(old);
        manifests
            .iter()
            .any(|new| new == old || (name.is_some() && archive::name(new) == name))
    };
    let kept: Vec<_> = old.into_iter().filter(|it| !is_replaced(it)).collect();
    manifests.splice(..0, kept);
    archive::tell_apart(&mut manifests);
    index_of.insert("manifests".to_owned(), Value::Array(manifests));
    Ok(index)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::digest;
    use crate::image::Descriptor;

    fn image(name: &str, text: &str) -> Image {
        let document = |text: &str| {
            let descriptor = Descriptor {
                media_type: "m".to_owned(),
                digest: digest::of(text.as_bytes()),
                size: 1,
                annotations: std::collections::BTreeMap::new(),
            };
            (descriptor, text.as_bytes().to_vec())
        };
        Image {
            manifest: document(text),
            config: document("config"),
            layers: Vec::new(),
            names: vec![name.to_owned()],
        }
    }

    #[test]
    fn other_images_stay_and_each_can_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.json");
        let put = |images: &[Image]| {
            let index = merged(&path, images).unwrap();
            std::fs::write(&path, index.to_string()).unwrap();
            index
        };
        let index = put(&[image("x.example/a:1", "a")]);
        assert_eq!(index["schemaVersion"], 2);
        let mut own = index;
        own["annotations"] = json!({"kept": "yes"});
        std::fs::write(&path, own.to_string()).unwrap();
        let index = put(&[image("x.example/b:1", "b")]);
        let refs = |index: &Value| {
            let all = index["manifests"].as_array().unwrap().iter();
            let refs = all.map(|it| it["annotations"][archive::REF].as_str().unwrap().to_owned());
            refs.collect::<Vec<_>>()
        };
        // One tag means one image.
        assert_eq!(refs(&index), ["1", "x.example/b:1"]);
        assert_eq!(index["annotations"]["kept"], "yes");
        let index = put(&[image("x.example/a:1", "newer")]);
        assert_eq!(refs(&index), ["x.example/b:1", "1"]);
        assert_eq!(put(&[image("x.example/a:1", "newer")]), index);
        std::fs::write(&path, "no JSON").unwrap();
        assert!(merged(&path, &[image("x.example/c:1", "c")]).is_err());
        let unreadable = folder.path().to_owned();
        assert!(
            merged(&unreadable, &[]).is_err(),
            "what cannot be read is not nothing"
        );
    }
}
