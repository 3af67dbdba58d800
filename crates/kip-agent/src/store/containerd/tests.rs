use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::documents::sha256;
use crate::store::testing::{self, bolt, write};

const LAYER: &str = "sha256:1";

/// A store with images of one layer. Two snapshotters are said to have it.
struct Fixture {
    folder: tempfile::TempDir,
    names: serde_json::Map<String, Value>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            names: serde_json::Map::new(),
        }
    }

    fn blob(&self, digest: &str) -> PathBuf {
        let blobs = "io.containerd.content.v1.content/blobs/sha256";
        self.folder.path().join(blobs).join(&digest[7..])
    }

    fn keep(&self, bytes: &str) -> String {
        let digest = sha256(bytes.as_bytes());
        write(&self.blob(&digest), bytes);
        digest
    }

    /// The digests of the image's configuration and manifest.
    fn add(&mut self, name: &str) -> (String, String) {
        let config = json!({"rootfs": {"diff_ids": [LAYER]}, "note": name});
        let config = self.keep(&config.to_string());
        let layer = self.keep(name);
        let layer = json!({"digest": layer, "size": name.len(), "mediaType": "tar"});
        let manifest = json!({"config": {"digest": config}, "layers": [layer]});
        let manifest = self.keep(&manifest.to_string());
        self.name(name, &manifest);
        (config, manifest)
    }

    fn name(&mut self, name: &str, digest: &str) {
        let target = json!({"target": {"digest": digest}});
        self.names.insert(name.to_owned(), target);
    }

    fn store(&self) -> Containerd {
        let snapshot = json!({LAYER: {"name": "key"}});
        let snapshots = json!({"bad": snapshot, "good": snapshot});
        let all = json!({"v1": {"k8s.io": {"images": self.names, "snapshots": snapshots}}});
        let root = self.folder.path();
        let database = root.join("io.containerd.metadata.v1.bolt/meta.db");
        write(&database, bolt(all.as_object().unwrap()));
        Containerd::below(root).unwrap()
    }
}

#[test]
fn a_damaged_image_is_listed_by_its_name_and_hides_no_other() {
    let mut fixture = Fixture::new();
    let (config, manifest) = fixture.add("a:1");
    let (lost, damaged) = fixture.add("b:1");
    fixture.name("b:2", &damaged);
    fixture.name("c:1", "md5:0");
    write(&fixture.blob(&lost), "{}");
    let store = fixture.store();
    let (mut listed, mut problems) = testing::list(&store);
    listed.sort();
    let expected = |names: &[&str], digest: &str, id: Option<&String>| Listed {
        names: names.iter().map(|it| (*it).to_owned()).collect(),
        digest: Some(digest.to_owned()),
        id: id.cloned(),
        size: id.map(|_| 3),
        store: StoreKind::Containerd,
        blobs: id.map(|_| (1, 1)),
    };
    let images = [
        expected(&["a:1"], &manifest, Some(&config)),
        expected(&["b:1", "b:2"], &damaged, None),
        expected(&["c:1"], "md5:0", None),
    ];
    assert_eq!(listed, images);
    problems.sort();
    assert!(problems[0].starts_with("b:1: ") && problems[0].ends_with("it is damaged"));
    assert!(problems[1].starts_with("c:1: 'md5:0' is no digest"));
    assert_eq!(problems.len(), 2);

    let found = |digest: Option<&str>, name| testing::find(&store, digest, name);
    for (image, _) in [
        found(Some(&config), None),
        found(Some(&manifest), None),
        found(None, Some("a:1")),
    ] {
        assert_eq!(image.unwrap().config.digest, config);
    }
    for (image, problems) in [found(Some(&lost), None), found(None, Some("b:1"))] {
        assert!(image.is_none());
        assert!(problems.iter().any(|it| it.ends_with("it is damaged")));
    }
}

#[test]
fn of_an_index_the_first_whole_manifest_is_taken_and_damage_is_told_where_there_is_none() {
    let mut fixture = Fixture::new();
    let (lost, damaged) = fixture.add("b:1");
    let (config, manifest) = fixture.add("a:1");
    let index = |fixture: &Fixture, digests: &[&String]| {
        let digests: Vec<_> = digests.iter().map(|it| json!({"digest": it})).collect();
        fixture.keep(&json!({"manifests": digests}).to_string())
    };
    let both = index(&fixture, &[&damaged, &manifest]);
    let one = index(&fixture, &[&damaged]);
    write(&fixture.blob(&lost), "{}");
    let store = fixture.store();
    let (image, problems) = testing::find(&store, Some(&both), None);
    assert_eq!(image.unwrap().config.digest, config);
    assert!(problems.is_empty(), "{problems:?}");
    let (image, problems) = testing::find(&store, Some(&one), None);
    assert!(image.is_none());
    assert!(problems[0].ends_with("it is damaged"), "{problems:?}");
}

#[test]
fn it_is_at_work_with_each_image() {
    let mut fixture = Fixture::new();
    for name in ["a:1", "b:1", "c:1"] {
        fixture.add(name);
    }
    let store = fixture.store();
    let mut beats = 0;
    let working = &mut || {
        beats += 1;
        Ok(())
    };
    let mut looking = Looking::new(working);
    assert_eq!(store.list(&mut looking).unwrap().len(), 3);
    let wanted = Wanted {
        digest: Some(sha256(b"no image")),
        name: None,
    };
    assert!(store.find(&wanted, &mut looking).unwrap().is_none());
    assert_eq!(looking.into_problems(), [""; 0]);
    assert_eq!(beats, 6);
}

#[test]
fn a_damaged_snapshotter_is_told_where_no_other_has_the_layer() {
    let mut fixture = Fixture::new();
    fixture.add("a:1");
    fixture.add("b:1");
    // Each has the name for its layer.
    let discarded = fixture.blob(&sha256(b"a:1"));
    std::fs::remove_file(discarded).unwrap();
    let snapshotter = |name: &str| {
        let root = fixture.folder.path();
        root.join(format!("io.containerd.snapshotter.v1.{name}"))
    };
    write(&snapshotter("bad").join("metadata.db"), "no database");
    let store = fixture.store();
    let (image, problems) = testing::find(&store, None, Some("b:1"));
    assert!(image.is_some() && problems.is_empty(), "{problems:?}");
    let find = || {
        let wanted = Wanted {
            digest: None,
            name: Some("a:1".to_owned()),
        };
        let working = &mut || Ok(());
        store.find(&wanted, &mut Looking::new(working))
    };
    let error = find().unwrap_err().to_string();
    assert!(error.contains("bad/metadata.db"), "{error}");
    let good = json!({"v1": {"snapshots": {"key": {"id": "\u{5}"}}}});
    let database = bolt(good.as_object().unwrap());
    write(&snapshotter("good").join("metadata.db"), database);
    std::fs::create_dir_all(snapshotter("good").join("snapshots/5/fs")).unwrap();
    let image = find().unwrap().unwrap();
    assert_eq!(image.layers[0].kept, Kept::Snapshot);
}
