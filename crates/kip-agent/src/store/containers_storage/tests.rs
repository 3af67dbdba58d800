use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::documents::sha256;
use crate::store::testing::{self, Tar, read, write};

/// A store with one image of two layers and two manifests, one of them in an index.
struct Fixture {
    folder: tempfile::TempDir,
    tars: Vec<Tar>,
    diff_ids: Vec<String>,
    id: String,
    manifest: String,
    other_manifest: String,
    index: String,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let content: [&[_]; 2] = [&[("etc/a", "one"), ("b", "")], &[("etc/a", "two")]];
        let files = |at: usize| root.join(format!("overlay/layer{at}/diff"));
        let unpacked = |(at, content): (usize, &&[_])| Tar::unpacked(&files(at), content);
        let tars: Vec<_> = content.iter().enumerate().map(unpacked).collect();
        let diff_ids: Vec<_> = tars.iter().map(Tar::diff_id).collect();
        let config = json!({"rootfs": {"diff_ids": diff_ids}}).to_string();
        let id = sha256(config.as_bytes());
        let manifest = |note: &str| {
            let layer = |tar: &Tar| json!({"digest": tar.diff_id(), "size": tar.size(), "mediaType": "tar"});
            let layers: Vec<_> = tars.iter().map(layer).collect();
            json!({"config": {"digest": id}, "layers": layers, "note": note}).to_string()
        };
        let (manifest, other) = (manifest("main"), manifest("other"));
        let index = json!({"manifests": [{"digest": sha256(other.as_bytes())}]}).to_string();
        let mut digests = serde_json::Map::new();
        let mut keep = |key: &str, bytes: &str| {
            digests.insert(key.to_owned(), Value::String(sha256(bytes.as_bytes())));
            let name = match key {
                "manifest" => key.to_owned(),
                _ => format!("={}", STANDARD.encode(key)),
            };
            write(
                &root.join("overlay-images").join(&id[7..]).join(name),
                bytes,
            );
        };
        keep(&id, &config);
        keep("manifest", &manifest);
        for bytes in [&other, &index] {
            keep(&format!("manifest-{}", sha256(bytes.as_bytes())), bytes);
        }
        let images = json!([{
            "id": id[7..],
            "digest": sha256(manifest.as_bytes()),
            "names": ["docker.io/library/busybox:1"],
            "layer": "layer1",
            "big-data-digests": digests,
        }]);
        write(&root.join("overlay-images/images.json"), images.to_string());
        let fixture = Self {
            manifest: sha256(manifest.as_bytes()),
            other_manifest: sha256(other.as_bytes()),
            index: sha256(index.as_bytes()),
            folder,
            tars,
            diff_ids,
            id,
        };
        for (at, tar) in fixture.tars.iter().enumerate() {
            tar.write_split(&fixture.tar_split(at));
        }
        fixture.write_layers(&json!({}));
        fixture
    }

    fn tar_split(&self, at: usize) -> PathBuf {
        let name = format!("overlay-layers/layer{at}.tar-split.gz");
        self.folder.path().join(name)
    }

    fn files(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("overlay/layer{at}/diff"))
    }

    /// Writes the records of the layers, the highest one with these changes.
    fn write_layers(&self, changes: &Value) {
        let record = |(at, tar): (usize, &Tar)| {
            let parent = if at == 0 { "" } else { "layer0" };
            json!({"id": format!("layer{at}"), "parent": parent, "diff-digest": tar.diff_id(), "diff-size": tar.size()})
        };
        let mut layers: Vec<_> = self.tars.iter().enumerate().map(record).collect();
        for (key, value) in changes.as_object().unwrap() {
            layers[1][key] = value.clone();
        }
        let path = self.folder.path().join("overlay-layers/layers.json");
        write(&path, Value::Array(layers).to_string());
    }

    fn store(&self) -> ContainersStorage {
        ContainersStorage::open(self.folder.path(), &[])
            .unwrap()
            .unwrap()
    }

    fn find(&self, digest: Option<&str>, name: Option<&str>) -> Option<Image> {
        let (found, problems) = testing::find(&self.store(), digest, name);
        assert_eq!(problems, [""; 0]);
        found
    }

    fn kept(&self) -> Kept {
        let image = self.find(Some(&self.id), None).unwrap();
        image.layers[1].kept.clone()
    }

    fn tar(&self, at: usize) -> Vec<u8> {
        let chain_id = chain_ids(&self.diff_ids)[at].clone();
        let pieces = self.store().pieces(&Part::TarSplit { chain_id }).unwrap();
        read(pieces.unwrap())
    }
}

#[test]
fn images_are_listed() {
    let fixture = Fixture::new();
    let size = fixture.tars.iter().map(Tar::size).sum();
    let expected = Listed {
        names: vec!["docker.io/library/busybox:1".to_owned()],
        digest: Some(fixture.manifest.clone()),
        id: Some(fixture.id.clone()),
        size: Some(size),
        store: StoreKind::ContainersStorage,
        blobs: Some((0, 2)),
    };
    let listed = testing::list(&fixture.store());
    assert_eq!(listed, (vec![expected], vec![]));
    let folder = tempfile::tempdir().unwrap();
    let none = ContainersStorage::open(folder.path(), &[]).unwrap();
    assert!(none.is_none());
}

#[test]
fn an_image_is_found_with_the_manifest_that_was_asked_for() {
    let fixture = Fixture::new();
    let found = |digest: Option<&str>, name: Option<&str>| {
        let image = fixture.find(digest, name).unwrap();
        assert_eq!(image.config.digest, fixture.id);
        (
            image.manifest.unwrap().digest,
            image.index.map(|it| it.digest),
        )
    };
    let main = (fixture.manifest.clone(), None);
    let other = (fixture.other_manifest.clone(), Some(fixture.index.clone()));
    assert_eq!(found(Some(&fixture.id), Some("x:1")), main);
    assert_eq!(found(Some(&fixture.manifest), None), main);
    assert_eq!(found(None, Some("docker.io/library/busybox:1")), main);
    assert_eq!(found(None, Some("busybox:1")), main);
    assert_eq!(found(Some(&fixture.other_manifest), None), other);
    assert_eq!(found(Some(&fixture.index), None), other);
    let by_digest = |repository: &str, digest: &str| format!("{repository}@{digest}");
    let name = by_digest("busybox:9", &fixture.index);
    assert_eq!(found(None, Some(&name)), other);
    let name = by_digest("elsewhere/busybox", &fixture.index);
    assert!(fixture.find(None, Some(&name)).is_none());
    assert!(fixture.find(None, Some("busybox:2")).is_none());
    let unknown = fixture.diff_ids[0].as_str();
    assert!(fixture.find(Some(unknown), Some("busybox:1")).is_none());
}

#[test]
fn a_layer_is_its_tar_and_has_its_files() {
    let fixture = Fixture::new();
    let image = fixture.find(Some(&fixture.id), None).unwrap();
    for (at, (layer, tar)) in image.layers.iter().zip(&fixture.tars).enumerate() {
        assert_eq!(layer.kept, Kept::TarSplit { size: tar.size() });
        assert_eq!(layer.blob.as_ref().unwrap().digest, fixture.diff_ids[at]);
        assert_eq!(fixture.tar(at), tar.bytes);
    }
    let chain_id = &image.layers[1].chain_id;
    let layer = fixture.store().layer(chain_id).unwrap().unwrap();
    assert_eq!(layer.files, fixture.files(1));
}

#[test]
fn what_is_kept_of_a_layer_is_told() {
    let fixture = Fixture::new();
    let nothing = |changes: Value| {
        fixture.write_layers(&changes);
        match fixture.kept() {
            Kept::Nothing { why } => why,
            other => panic!("{other:?}"),
        }
    };
    assert!(nothing(json!({"flags": {"incomplete": true}})).contains("to its end"));
    let other = fixture.diff_ids[0].as_str();
    assert!(nothing(json!({"diff-digest": other})).contains("another"));
    assert!(nothing(json!({"diff-digest": null})).contains("another"));
    assert!(nothing(json!({"parent": ""})).contains("not those of the image"));
    // A partial pull: the tar's digest is known from the image alone.
    let partial = json!({"diff-digest": null, "diff-size": -1, "toc-digest": "sha256:a"});
    fixture.write_layers(&partial);
    let size = fixture.tars[1].size();
    assert_eq!(fixture.kept(), Kept::TarSplit { size });
    assert_eq!(fixture.tar(1), fixture.tars[1].bytes);
    fixture.write_layers(&json!({"diff-size": 1}));
    assert_eq!(fixture.kept(), Kept::Snapshot);
    std::fs::remove_file(fixture.tar_split(1)).unwrap();
    fixture.write_layers(&json!({}));
    assert_eq!(fixture.kept(), Kept::Snapshot);
    let composefs = fixture.folder.path().join("overlay/layer1/composefs-data");
    std::fs::create_dir(composefs).unwrap();
    assert!(nothing(json!({})).contains("composefs"));
}

#[test]
fn parts_in_several_roots_are_found() {
    let fixture = Fixture::new();
    let other = tempfile::tempdir().unwrap();
    for path in ["overlay", "overlay-images"] {
        let (from, to) = (fixture.folder.path().join(path), other.path().join(path));
        std::fs::rename(from, to).unwrap();
    }
    let others = [other.path().to_owned(), other.path().join("missing")];
    std::fs::create_dir(other.path().join("overlay-layers")).unwrap();
    let store = ContainersStorage::open(fixture.folder.path(), &others);
    let store = store.unwrap().unwrap();
    let (image, _) = testing::find(&store, Some(&fixture.id), None);
    let image = image.unwrap();
    let part = Part::TarSplit {
        chain_id: image.layers[1].chain_id.clone(),
    };
    let pieces = store.pieces(&part).unwrap().unwrap();
    assert_eq!(read(pieces), fixture.tars[1].bytes);
}

#[test]
fn a_damaged_record_or_document_hides_no_other_image() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("overlay-images/images.json");
    let mut records: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    // One that is damaged, and one with the same name whose documents are.
    let bad = json!({"id": "bad", "names": 5});
    let empty = json!({"id": "empty", "names": ["docker.io/library/busybox:1"]});
    let records = records.as_array_mut().unwrap();
    records.splice(0..0, [bad, empty]);
    write(&path, json!(records).to_string());
    let (listed, problems) = testing::list(&fixture.store());
    let ids: Vec<_> = listed.iter().map(|it| it.id.clone()).collect();
    assert_eq!(ids, [None, Some(fixture.id.clone())]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("the record of bad: "), "{problems:?}");
    let (found, problems) = testing::find(&fixture.store(), None, Some("busybox:1"));
    assert_eq!(found.unwrap().config.digest, fixture.id);
    assert!(problems[1].starts_with("docker.io/library/busybox:1: "));
    assert!(problems[1].ends_with("its configuration is missing"));
}

#[test]
fn without_the_records_of_layers_images_are_listed_and_layers_are_said_to_be_unreadable() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("overlay-layers/layers.json");
    write(&path, "[{");
    let (listed, problems) = testing::list(&fixture.store());
    assert_eq!(listed[0].id.as_ref(), Some(&fixture.id));
    assert_eq!((listed[0].size, listed[0].blobs), (None, None));
    assert!(problems[0].contains("layers.json: "), "{problems:?}");
    let chain_id = fixture.diff_ids[0].clone();
    let pieces = fixture.store().pieces(&Part::TarSplit { chain_id });
    let error = pieces.err().unwrap().to_string();
    assert!(error.contains("layers.json: "), "{error}");
}
