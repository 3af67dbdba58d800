//! The stores of real runtimes, which unpacked images that are hard to put together again.
#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test is made of may end it"
)]

mod containerd;
mod content;
mod registry;
mod tools;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use kip_agent::documents::sha256;
use kip_agent::pieces::Joined;
use kip_agent::protocol::{Image, Kept, Listed, Part, Wanted};
use kip_agent::store::containers_storage::ContainersStorage;
use kip_agent::store::docker::Docker;
use kip_agent::store::{Looking, Store};
use tools::{Dockerd, Storage, run};

fn find(store: &dyn Store, digest: Option<&str>, name: Option<&str>) -> Option<Image> {
    let wanted = Wanted {
        digest: digest.map(str::to_owned),
        name: name.map(str::to_owned),
    };
    let working = &mut || Ok(());
    let mut looking = Looking::new(working);
    let found = store.find(&wanted, &mut looking).unwrap();
    assert_eq!(looking.into_problems(), [""; 0]);
    found
}

/// All of its images, none of which is damaged.
fn list(store: &dyn Store) -> Vec<Listed> {
    let working = &mut || Ok(());
    let mut looking = Looking::new(working);
    let listed = store.list(&mut looking).unwrap();
    assert_eq!(looking.into_problems(), [""; 0]);
    listed
}

/// The part's bytes from an offset on, `most` of them.
fn read(store: &dyn Store, part: &Part, offset: u64, most: u64) -> Vec<u8> {
    let pieces = store.pieces(part).unwrap().unwrap();
    let mut bytes = Vec::new();
    let joined = Joined::from_offset(pieces, offset);
    joined.take(most).read_to_end(&mut bytes).unwrap();
    bytes
}

/// All of the part's bytes, which are the same wherever reading begins.
fn read_whole(store: &dyn Store, part: &Part) -> Vec<u8> {
    let whole = read(store, part, 0, u64::MAX);
    let size = whole.len() as u64;
    // Numbers without a pattern, but the same ones each time.
    let mut random = 1_u64;
    for _ in 0..50 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let offset = (random >> 33) % (size + 1);
        let bytes = read(store, part, offset, 1000);
        let start = usize::try_from(offset).unwrap();
        let end = whole.len().min(start + 1000);
        assert!(bytes == whole[start..end], "at {offset} of {size}");
    }
    whole
}

/// Each layer is the one that the configuration speaks of. Gives their tars by digest.
fn check_layers(store: &dyn Store, image: &Image) -> BTreeMap<String, Vec<u8>> {
    let mut tars = BTreeMap::new();
    for layer in &image.layers {
        let chain_id = layer.chain_id.clone();
        let whole = read_whole(store, &Part::TarSplit { chain_id });
        assert_eq!(sha256(&whole), layer.diff_id);
        let size = whole.len() as u64;
        assert_eq!(layer.kept, Kept::TarSplit { size });
        tars.insert(layer.diff_id.clone(), whole);
    }
    tars
}

/// The image is listed once under its name, with so many blobs, and is the same by each of its names. Gives the size that is listed.
fn check_names(store: &dyn Store, image: &Image, name: &str, digest: &str, blobs: usize) -> u64 {
    let id = &image.config.digest;
    let listed = list(store);
    let named = |it: &&_| {
        let listed: &Listed = it;
        listed.names.iter().any(|it| it == name)
    };
    let of_name: Vec<_> = listed.iter().filter(named).collect();
    assert_eq!(of_name.len(), 1, "{listed:#?}");
    assert_eq!(of_name[0].id.as_ref(), Some(id));
    assert_eq!(of_name[0].digest.as_deref(), Some(digest));
    assert_eq!(of_name[0].blobs, Some((blobs, image.layers.len())));
    let repository = name.rsplit_once(':').unwrap().0;
    let by_digest = format!("{repository}@{digest}");
    for (digest, name) in [
        (None, Some(name)),
        (None, Some(by_digest.as_str())),
        (Some(id.as_str()), None),
        (Some(digest), None),
    ] {
        let found = find(store, digest, name);
        assert_eq!(found.as_ref(), Some(image), "{digest:?} {name:?}");
    }
    of_name[0].size.unwrap()
}

/// An image of three layers, built with buildah in a mounted root, so that overlay makes the whiteouts.
fn build(storage: &Storage) -> String {
    let mut base = "scratch".to_owned();
    for (step, change) in content::STEPS.iter().enumerate() {
        let container = storage.buildah(&["from", &base]);
        change(Path::new(&storage.buildah(&["mount", &container])));
        storage.buildah(&["umount", &container]);
        base = format!("localhost/step:{step}");
        storage.buildah(&["commit", "--rm", &container, &base]);
    }
    base
}

#[test]
#[ignore = "needs root and buildah, podman, dockerd"]
fn layers_of_each_runtime_are_put_together_again() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let folder = folder.path();

    // As buildah commits it: what it keeps is what it made.
    let built = Storage::new(&folder.join("built"));
    let name = build(&built);
    let store = ContainersStorage::open(&built.root, &[]).unwrap().unwrap();
    let image = find(&store, None, Some(&name)).unwrap();
    assert_eq!(image.layers.len(), 3);
    let tars = check_layers(&store, &image);
    content::check(
        &tars[&image.layers[0].diff_id],
        &tars[&image.layers[1].diff_id],
    );
    let digest = image.manifest.as_ref().unwrap().digest.clone();
    assert!(check_names(&store, &image, &name, &digest, 0) > 3_000_000);
    let copy = folder.join("copy");
    built.skopeo(
        &name,
        &format!("dir:{}", copy.display()),
        &["--dest-decompress"],
    );
    for diff_id in tars.keys() {
        let same = std::fs::read(copy.join(&diff_id[7..])).unwrap();
        assert!(same == tars[diff_id], "skopeo's {diff_id}");
    }

    // As podman pulls it: compressed blobs, which are not kept.
    let pushed = folder.join("pushed");
    built.skopeo(&name, &format!("oci:{}:1", pushed.display()), &[]);
    let registry = registry::Registry::serve(&pushed);
    let remote = format!("{}/team/app:1", registry.address);
    let pulled = Storage::new(&folder.join("pulled"));
    pulled.podman(&["pull", "--quiet", "--tls-verify=false", &remote]);
    let store = ContainersStorage::open(&pulled.root, &[]).unwrap().unwrap();
    let by_podman = find(&store, None, Some(&remote)).unwrap();
    assert_eq!(check_layers(&store, &by_podman), tars);
    let manifest = by_podman.manifest.as_ref().unwrap();
    assert_eq!(manifest.digest, registry.manifest);
    assert_eq!(by_podman.index.as_ref().unwrap().digest, registry.index);
    assert!(check_names(&store, &by_podman, &remote, &registry.index, 0) > 3_000_000);
    let by_manifest = find(&store, Some(&registry.manifest), None);
    assert_eq!(by_manifest.as_ref(), Some(&by_podman));

    // As Docker pulls it.
    let dockerd = Dockerd::start(&folder.join("docker"));
    dockerd.docker(&["pull", "--quiet", &remote]);
    let store = Docker::open(&dockerd.root).unwrap().unwrap();
    let by_docker = find(&store, None, Some(&remote)).unwrap();
    assert_eq!(by_docker.config, by_podman.config);
    assert_eq!(check_layers(&store, &by_docker), tars);
    assert!(check_names(&store, &by_docker, &remote, &registry.index, 0) > 3_000_000);
    let saved = folder.join("saved");
    let archive = folder.join("saved.tar");
    std::fs::create_dir(&saved).unwrap();
    dockerd.docker(&["save", "--output", archive.to_str().unwrap(), &remote]);
    run(
        "tar",
        &[
            "-xf",
            archive.to_str().unwrap(),
            "-C",
            saved.to_str().unwrap(),
        ],
    );
    let mut layers = 0;
    for entry in std::fs::read_dir(&saved).unwrap() {
        if let Ok(tar) = std::fs::read(entry.unwrap().path().join("layer.tar")) {
            assert!(tars.contains_key(&sha256(&tar)));
            layers += 1;
        }
    }
    assert_eq!(layers, tars.len());

    // As Docker loads and names it.
    dockerd.docker(&["rmi", &remote]);
    assert!(find(&store, Some(&by_docker.config.digest), None).is_none());
    dockerd.docker(&["load", "--input", archive.to_str().unwrap()]);
    dockerd.docker(&["tag", &remote, "busybox:9"]);
    let loaded = find(&store, None, Some("docker.io/library/busybox:9")).unwrap();
    assert!(
        loaded
            .names
            .contains(&"docker.io/library/busybox:9".to_owned())
    );
    assert_eq!(check_layers(&store, &loaded), tars);
}

#[test]
#[ignore = "needs root and buildah, podman, dockerd"]
fn no_layer_makes_the_agent_read_a_file_of_the_node() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let folder = folder.path();
    let node = folder.join("node");
    std::fs::create_dir(&node).unwrap();
    std::fs::write(node.join("shadow"), "THE NODE'S SECRET").unwrap();
    let tar = folder.join("hostile.tar");
    std::fs::write(&tar, content::hostile(&node)).unwrap();
    let tar = tar.to_str().unwrap();

    let storage = Storage::new(&folder.join("podman"));
    storage.podman(&["import", "--quiet", tar, "localhost/hostile:1"]);
    let dockerd = Dockerd::start(&folder.join("docker"));
    dockerd.docker(&["import", tar, "localhost/hostile:1"]);
    let stores: [Box<dyn Store>; 2] = [
        Box::new(
            ContainersStorage::open(&storage.root, &[])
                .unwrap()
                .unwrap(),
        ),
        Box::new(Docker::open(&dockerd.root).unwrap().unwrap()),
    ];
    for store in stores {
        let image = find(&*store, None, Some("localhost/hostile:1")).unwrap();
        let chain_id = image.layers[0].chain_id.clone();
        let pieces = store.pieces(&Part::TarSplit { chain_id }).unwrap().unwrap();
        let (mut text, mut errors) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut joined = Joined::from_offset(std::iter::once(piece), 0);
            let read = joined.read_to_end(&mut text);
            errors.extend(read.err().map(|error| error.to_string()));
        }
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("SECRET"));
        // What a link inside the layer leads to is read.
        assert!(text.contains("of the layer through a link"));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("link/shadow: "), "{errors:?}");
    }
}

#[test]
#[ignore = "needs root and buildah, podman, dockerd"]
fn a_tar_with_holes_or_odd_links_is_made_right_or_said_to_be_lost() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let folder = folder.path();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (holes, links) = (path("holes.tar"), path("links.tar"));
    // tar-split keeps such a file without its holes: Docker itself cannot save the image.
    std::fs::create_dir(folder.join("files")).unwrap();
    let sparse = std::fs::File::create(folder.join("files/sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    let options = [
        "--format=pax",
        "--sparse",
        "-C",
        &path("files"),
        "-cf",
        &holes,
        ".",
    ];
    run("tar", &options);
    std::fs::write(&links, content::odd_links()).unwrap();

    let storage = Storage::new(&folder.join("podman"));
    let dockerd = Dockerd::start(&folder.join("docker"));
    for (tar, name) in [(&holes, "localhost/holes:1"), (&links, "localhost/links:1")] {
        storage.podman(&["import", "--quiet", tar, name]);
        dockerd.docker(&["import", tar, name]);
    }
    let stores: [Box<dyn Store>; 2] = [
        Box::new(
            ContainersStorage::open(&storage.root, &[])
                .unwrap()
                .unwrap(),
        ),
        Box::new(Docker::open(&dockerd.root).unwrap().unwrap()),
    ];
    for store in stores {
        let image = find(&*store, None, Some("localhost/holes:1")).unwrap();
        assert_eq!(image.layers[0].kept, Kept::Snapshot);
        let image = find(&*store, None, Some("localhost/links:1")).unwrap();
        let tars = check_layers(&*store, &image);
        assert!(tars.contains_key(&sha256(&content::odd_links())));
    }
}
