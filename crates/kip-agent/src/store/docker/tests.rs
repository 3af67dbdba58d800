use super::*;
use crate::protocol::Kept;
use crate::store::testing::{self, Tar, read, write};

/// A store with one image of two layers, which was built in two steps.
struct Fixture {
    folder: tempfile::TempDir,
    tars: Vec<Tar>,
    chain: Vec<String>,
    id: String,
    step: String,
}

const REPO_DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let content: [&[_]; 2] = [&[("etc/a", "one"), ("b", "")], &[("etc/a", "two")]];
        let files = |at: usize| root.join(format!("overlay2/cache{at}/diff"));
        let unpacked = |(at, content): (usize, &&[_])| Tar::unpacked(&files(at), content);
        let tars: Vec<_> = content.iter().enumerate().map(unpacked).collect();
        let diff_ids: Vec<_> = tars.iter().map(Tar::diff_id).collect();
        let chain = chain_ids(&diff_ids);
        let image = root.join("image/overlay2");
        for (at, chain_id) in chain.iter().enumerate() {
            let record = image.join("layerdb/sha256").join(hex(chain_id).unwrap());
            write(&record.join("cache-id"), format!("cache{at}"));
            write(&record.join("size"), "3");
            tars[at].write_split(&record.join("tar-split.json.gz"));
            if at > 0 {
                write(&record.join("parent"), &chain[at - 1]);
            }
        }
        let config = |diff_ids: &[String]| {
            let rootfs = serde_json::json!({"rootfs": {"type": "layers", "diff_ids": diff_ids}});
            let id = sha256(rootfs.to_string().as_bytes());
            let path = image.join("imagedb/content/sha256").join(&id[7..]);
            write(&path, rootfs.to_string());
            id
        };
        let (step, id) = (config(&diff_ids[..1]), config(&diff_ids));
        let parent = image.join(format!("imagedb/metadata/sha256/{}/parent", &id[7..]));
        write(&parent, &step);
        let names = serde_json::json!({"Repositories": {
            "busybox": {"busybox:1": id, format!("busybox@{REPO_DIGEST}"): id},
            "localhost:5000/app": {"localhost:5000/app:latest": id},
        }});
        write(&image.join("repositories.json"), names.to_string());
        Self {
            folder,
            tars,
            chain,
            id,
            step,
        }
    }

    fn listed(&self) -> Listed {
        Listed {
            names: names(),
            digest: Some(REPO_DIGEST.to_owned()),
            id: Some(self.id.clone()),
            size: Some(6),
            store: StoreKind::Docker,
            blobs: Some((0, 2)),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("image/overlay2").join(path)
    }

    fn store(&self) -> Docker {
        Docker::open(self.folder.path()).unwrap().unwrap()
    }

    fn find(&self, digest: Option<&str>, name: Option<&str>) -> Option<Image> {
        let (found, problems) = testing::find(&self.store(), digest, name);
        assert_eq!(problems, [""; 0]);
        found
    }
}

fn names() -> Vec<String> {
    vec![
        "docker.io/library/busybox:1".to_owned(),
        "localhost:5000/app:latest".to_owned(),
        format!("docker.io/library/busybox@{REPO_DIGEST}"),
    ]
}

#[test]
fn where_there_is_no_docker_there_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Docker::open(folder.path()).unwrap().is_none());
    std::fs::create_dir_all(folder.path().join("image/overlay2/imagedb/content/sha256")).unwrap();
    let store = Docker::open(folder.path()).unwrap().unwrap();
    assert!(testing::list(&store).0.is_empty());
}

#[test]
fn images_are_listed_by_whole_names_and_without_the_steps_of_their_builds() {
    let fixture = Fixture::new();
    let listed = testing::list(&fixture.store());
    assert_eq!(listed, (vec![fixture.listed()], vec![]));
}

#[test]
fn an_image_is_found_by_id_repository_digest_and_name() {
    let fixture = Fixture::new();
    let image = fixture.find(Some(&fixture.id), Some("other:1")).unwrap();
    assert_eq!(image.names, names());
    assert_eq!(image.manifest, None);
    assert_eq!(image.config.digest, fixture.id);
    let kept: Vec<_> = image
        .layers
        .iter()
        .map(|layer| layer.kept.clone())
        .collect();
    let size = |tar: &Tar| Kept::TarSplit { size: tar.size() };
    assert_eq!(kept, fixture.tars.iter().map(size).collect::<Vec<_>>());
    let digest = fixture.find(Some(REPO_DIGEST), None);
    assert_eq!(digest.as_ref(), Some(&image));
    for name in [
        "docker.io/library/busybox:1",
        "busybox:1",
        "localhost:5000/app",
        &format!("docker.io/library/busybox:9@{REPO_DIGEST}"),
    ] {
        assert_eq!(fixture.find(None, Some(name)).as_ref(), Some(&image));
    }
    assert!(fixture.find(Some(&fixture.step), None).is_some());
    let other = REPO_DIGEST.replace("aa", "bb");
    assert_eq!(fixture.find(Some(&other), Some("busybox:1")), None);
    assert_eq!(fixture.find(None, Some("busybox:2")), None);
    assert_eq!(fixture.find(None, None), None);
}

#[test]
fn a_layer_is_its_tar_and_has_its_files() {
    let fixture = Fixture::new();
    let store = fixture.store();
    for (chain_id, tar) in fixture.chain.iter().zip(&fixture.tars) {
        let chain_id = chain_id.clone();
        let pieces = store.pieces(&Part::TarSplit { chain_id }).unwrap();
        assert_eq!(read(pieces.unwrap()), tar.bytes);
    }
    let layer = store.layers.get(&fixture.chain[1]).unwrap().unwrap();
    let files = fixture.folder.path().join("overlay2/cache1/diff");
    assert_eq!(layer.files, files);
    let chain_id = REPO_DIGEST.to_owned();
    let unknown = store.pieces(&Part::TarSplit { chain_id }).unwrap();
    assert!(unknown.is_none());
    let chain_id = "sha256:../../x".to_owned();
    assert!(store.pieces(&Part::TarSplit { chain_id }).is_err());
}

#[test]
fn a_damaged_configuration_is_not_taken_and_does_not_hide_other_images() {
    let fixture = Fixture::new();
    let config = |id: &str| fixture.path("imagedb/content/sha256").join(&id[7..]);
    write(&config(&fixture.step), "{}");
    let (found, problems) = testing::find(&fixture.store(), Some(&fixture.step), None);
    assert_eq!((found, problems.len()), (None, 1));
    assert!(problems[0].ends_with("it is damaged"), "{problems:?}");
    let listed = testing::list(&fixture.store());
    assert_eq!(listed, (vec![fixture.listed()], vec![]));
    // One that has a name is listed nevertheless.
    write(&config(&fixture.id), "{}");
    let (listed, problems) = testing::list(&fixture.store());
    let expected = Listed {
        size: None,
        blobs: None,
        ..fixture.listed()
    };
    assert_eq!(listed, [expected]);
    assert!(problems[0].starts_with(&names()[0]), "{problems:?}");
    assert!(problems[0].ends_with("it is damaged"), "{problems:?}");
}

#[test]
fn damaged_records_hide_no_image() {
    let fixture = Fixture::new();
    write(&fixture.path("repositories.json"), "{");
    let parent = format!("imagedb/metadata/sha256/{}/parent", &fixture.step[7..]);
    write(&fixture.path(&parent), "x".repeat(5000));
    let (listed, problems) = testing::list(&fixture.store());
    let ids: Vec<_> = listed.iter().map(|it| it.id.clone().unwrap()).collect();
    assert_eq!(ids, std::slice::from_ref(&fixture.id));
    assert!(problems[0].contains("repositories.json: "), "{problems:?}");
    assert!(problems[1].contains("parent: "), "{problems:?}");
    let (found, problems) = testing::find(&fixture.store(), Some(&fixture.id), None);
    assert_eq!(found.unwrap().config.digest, fixture.id);
    assert!(problems[0].contains("repositories.json: "), "{problems:?}");
}
