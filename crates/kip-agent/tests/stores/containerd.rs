//! containerd, which keeps the blobs of layers, or throws them away when it has unpacked them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kip_agent::documents::sha256;
use kip_agent::protocol::{Image, Kept, Part};
use kip_agent::store::Store;
use kip_agent::store::containerd::Containerd;
use serde_json::Value;

use crate::registry::Registry;
use crate::tools::{Daemon, Storage, run, succeeds};
use crate::{build, check_names, find, list, read_whole};

/// It neither serves kubelet nor touches what another containerd has outside its root.
const DISABLED: &str = r#"["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]"#;

/// A containerd with folders and a socket of its own.
struct Runtime {
    root: PathBuf,
    ctr: String,
    socket: String,
    /// What makes `ctr` unpack by itself, where it would leave that to the daemon, which does so with one snapshotter only.
    local: Option<&'static str>,
    _daemon: Daemon,
}

impl Runtime {
    /// `ctr` is beside it.
    fn start(folder: &Path, program: &str) -> Self {
        std::fs::create_dir(folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (root, state, socket) = (path("root"), path("state"), path("socket"));
        let configuration = format!(
            "version = 2\nroot = \"{root}\"\nstate = \"{state}\"\ndisabled_plugins = {DISABLED}\n\
             [grpc]\naddress = \"{socket}\"\n"
        );
        std::fs::write(folder.join("config.toml"), configuration).unwrap();
        let ctr = Path::new(program).with_file_name("ctr");
        let ctr = ctr.to_str().unwrap().to_owned();
        let serves = || succeeds(&ctr, &["--address", &socket, "version"]);
        let daemon = Daemon::start(folder, program, &["--config", &path("config.toml")], serves);
        let help = run(&ctr, &["images", "import", "--help"]);
        Self {
            root: root.into(),
            ctr,
            socket,
            local: help.contains("--local").then_some("--local"),
            _daemon: daemon,
        }
    }

    fn ctr(&self, arguments: &[&str]) -> String {
        let own = ["--address", &self.socket, "--namespace", "k8s.io"];
        run(&self.ctr, &[&own, arguments].concat())
    }

    fn import(&self, snapshotter: &str, repository: &str, archive: &Path) {
        let of_image = ["--snapshotter", snapshotter, "--base-name", repository];
        let command: Vec<_> = ["images", "import"].into_iter().chain(self.local).collect();
        self.ctr(&[&command, &of_image[..], &[archive.to_str().unwrap()]].concat());
    }

    fn pull(&self, snapshotter: &str, name: &str) {
        let options = ["--plain-http", "--snapshotter", snapshotter, name];
        let command: Vec<_> = ["images", "pull"].into_iter().chain(self.local).collect();
        self.ctr(&[&command[..], &options].concat());
    }

    /// Gives an image the other names that kubelet's have.
    fn name_as_kubelet_does(&self, name: &str, digest: &str, id: &str) {
        let (repository, _) = name.rsplit_once(':').unwrap();
        let by_digest = format!("{repository}@{digest}");
        for other in [by_digest.as_str(), id] {
            self.ctr(&["images", "tag", name, other]);
        }
    }

    /// Does with the layers' blobs what containerd does with `discard_unpacked_layers`: the manifest refers to them no more, and what
    /// nothing refers to is removed.
    fn discard(&self, name: &str, image: &Image) {
        let manifest = &image.manifest.as_ref().unwrap().digest;
        let layers = 0..image.layers.len();
        let labels: Vec<_> = layers
            .map(|at| format!("containerd.io/gc.ref.content.l.{at}="))
            .collect();
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        self.ctr(&[&["content", "label", manifest], &labels[..]].concat());
        self.ctr(&["images", "tag", name, "localhost/garbage:1"]);
        self.remove("localhost/garbage:1");
    }

    /// The garbage is collected when this returns.
    fn remove(&self, name: &str) {
        self.ctr(&["images", "rm", "--sync", name]);
    }
}

/// Every blob of the image is the one of its digest.
fn check_blobs(store: &dyn Store, image: &Image) {
    for layer in &image.layers {
        assert_eq!(layer.kept, Kept::Blob);
        let digest = layer.blob.as_ref().unwrap().digest.clone();
        let bytes = read_whole(store, &Part::Blob { digest });
        assert_eq!(sha256(&bytes), layer.blob.as_ref().unwrap().digest);
    }
}

/// Of all layers as they are in a registry.
fn size(image: &Image) -> u64 {
    let blobs = image.layers.iter().filter_map(|layer| layer.blob.as_ref());
    blobs.map(|blob| blob.size).sum()
}

/// None of them is there.
fn check_discarded(store: &dyn Store, image: &Image) {
    for layer in &image.layers {
        let digest = layer.blob.as_ref().unwrap().digest.clone();
        assert!(store.pieces(&Part::Blob { digest }).unwrap().is_none());
    }
}

/// Each layer is made again from its snapshot, byte for byte.
fn check_rebuilt(store: &dyn Store, image: &Image) {
    let created = created(image);
    for (at, layer) in image.layers.iter().enumerate() {
        assert_eq!(layer.kept, Kept::Snapshot);
        let rebuilt = store.rebuild(layer, &created, &mut || Ok(()));
        let rebuilt = rebuilt.unwrap().unwrap();
        println!("layer {at}: {}, of {}", rebuilt.profile.name, rebuilt.tried);
        assert!(rebuilt.is_proven, "layer {at}");
        let part = Part::Snapshot {
            chain_id: layer.chain_id.clone(),
            profile: rebuilt.profile,
        };
        let whole = read_whole(store, &part);
        assert_eq!(sha256(&whole), layer.diff_id);
        assert_eq!(rebuilt.size, whole.len() as u64);
    }
}

/// When the history says that the layers were made.
fn created(image: &Image) -> Vec<i64> {
    let configuration = STANDARD.decode(&image.config.bytes).unwrap();
    let configuration: Value = serde_json::from_slice(&configuration).unwrap();
    let history = configuration["history"].as_array().unwrap();
    let created = history.iter().map(|it| it["created"].as_str().unwrap());
    let in_seconds = |time: &str| run("date", &["--date", time, "+%s"]).parse().unwrap();
    created.map(in_seconds).collect()
}

/// The agent finds the image while containerd writes to its databases.
fn check_beside_writing(runtime: &Runtime, store: &dyn Store, image: &Image, name: &str) {
    let mut asked = 0;
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for number in 0..10 {
                let other = format!("localhost/other:{number}");
                runtime.ctr(&["images", "tag", name, &other]);
                runtime.ctr(&["images", "rm", &other]);
            }
        });
        while !writing.is_finished() {
            let found = find(store, None, Some(name)).unwrap();
            assert_eq!(found.layers, image.layers);
            // All of its names mean one image.
            let listed = list(store);
            assert!(listed.len() == 1 && listed[0].names.iter().any(|it| it == name));
            asked += 1;
        }
    });
    println!("found {asked} times beside 20 writes");
}

#[test]
#[ignore = "needs root and buildah, skopeo, containerd"]
fn containerd_has_blobs_or_the_files_to_make_them_again() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let folder = folder.path();
    let built = Storage::new(&folder.join("built"));
    let name = build(&built);
    let (repository, tag) = name.rsplit_once(':').unwrap();
    let (archive, layout) = (folder.join("archive"), folder.join("layout"));
    for to in [
        format!("oci-archive:{}:{tag}", archive.display()),
        format!("oci:{}:{tag}", layout.display()),
    ] {
        built.skopeo(&name, &to, &[]);
    }
    let registry = Registry::serve(&layout);
    let remote = format!("{}/team/app:1", registry.address);

    // Beside the one that is installed, one that is given.
    let given = std::env::var("KIP_CONTAINERD")
        .ok()
        .filter(|it| !it.is_empty());
    let programs = ["containerd".to_owned()].into_iter().chain(given);
    for (at, program) in programs.enumerate() {
        println!("{}", run(&program, &["--version"]));
        let runtime = Runtime::start(&folder.join(at.to_string()), &program);
        let store = Containerd::below(&runtime.root).unwrap();

        // From an archive, unpacked by a snapshotter whose snapshots are copies of all that is below.
        runtime.import("native", repository, &archive);
        let image = find(&store, None, Some(&name)).unwrap();
        assert_eq!(image.layers.len(), 3);
        let digest = image.manifest.as_ref().unwrap().digest.clone();
        assert_eq!(digest, registry.manifest);
        runtime.name_as_kubelet_does(&name, &digest, &image.config.digest);
        let image = find(&store, None, Some(&name)).unwrap();
        check_blobs(&store, &image);
        assert_eq!(check_names(&store, &image, &name, &digest, 3), size(&image));
        runtime.discard(&name, &image);
        let image = find(&store, None, Some(&name)).unwrap();
        check_discarded(&store, &image);
        let lost = |kept: &Kept| matches!(kept, Kept::Nothing { why } if why.contains("'native'"));
        assert!(image.layers.iter().all(|layer| lost(&layer.kept)));
        for name in image.names.iter().chain([&image.config.digest]) {
            runtime.remove(name);
        }
        assert!(find(&store, None, Some(&name)).is_none());
        assert!(list(&store).is_empty());

        // Pulled by an index, unpacked by the snapshotter that nodes have.
        runtime.pull("overlayfs", &remote);
        runtime.name_as_kubelet_does(&remote, &registry.index, &image.config.digest);
        let pulled = find(&store, None, Some(&remote)).unwrap();
        assert_eq!(pulled.config, image.config);
        assert_eq!(pulled.index.as_ref().unwrap().digest, registry.index);
        check_blobs(&store, &pulled);
        assert_eq!(
            check_names(&store, &pulled, &remote, &registry.index, 3),
            size(&pulled)
        );
        check_beside_writing(&runtime, &store, &pulled, &remote);
        runtime.discard(&remote, &pulled);
        let discarded = find(&store, None, Some(&remote)).unwrap();
        check_discarded(&store, &discarded);
        assert_eq!(
            check_names(&store, &discarded, &remote, &registry.index, 0),
            size(&discarded)
        );
        check_rebuilt(&store, &discarded);

        // What it left when it ended is the same.
        let root = runtime.root.clone();
        drop(runtime);
        let store = Containerd::below(&root).unwrap();
        let left = find(&store, None, Some(&remote)).unwrap();
        assert_eq!(left, discarded);
        check_rebuilt(&store, &left);
    }
}
