//! Which stores a node has, and where.

use std::io;
use std::path::{Path, PathBuf};

use crate::protocol::{Image, Listed, Part, StoreKind, Wanted};
use crate::store::containerd::Containerd;
use crate::store::containers_storage::ContainersStorage;
use crate::store::docker::Docker;
use crate::store::{Looking, Pieces, Store};

/// Where distributions have the root of containerd: kubeadm, EKS, GKE, AKS, kind; k3s; RKE2; k0s; microk8s.
const CONTAINERD: &[&str] = &[
    "/var/lib/containerd",
    "/var/lib/rancher/k3s/agent/containerd",
    "/var/lib/rancher/rke2/agent/containerd",
    "/var/lib/k0s/containerd",
    "/var/snap/microk8s/common/var/lib/containerd",
];

/// Where Docker has its root.
const DOCKER: &[&str] = &["/var/lib/docker", "/var/snap/docker/common/var-lib-docker"];

/// Where CRI-O and root's podman have theirs.
const CONTAINERS_STORAGE: &[&str] = &["/var/lib/containers/storage"];

/// The roots of runtimes that may be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Roots {
    containerd: Vec<PathBuf>,
    docker: Vec<PathBuf>,
    containers_storage: Vec<PathBuf>,
}

/// All stores that are on the node, that of this container's own image first. One that cannot be opened hides none of the others: it
/// tells so when it is looked at.
///
/// `host` is where the node's folders are mounted: its `/var` at `HOST/var`.
///
/// # Errors
/// When there is none, with where it was looked for, or why those that are there cannot be opened.
pub fn stores(host: &Path) -> io::Result<Vec<Box<dyn Store>>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut search = Search {
        host,
        tried: Vec::new(),
        found: Vec::new(),
        closed: Vec::new(),
    };
    search.all(own_roots(&mounts));
    search.all(Roots {
        containerd: CONTAINERD.iter().map(PathBuf::from).collect(),
        docker: DOCKER.iter().map(PathBuf::from).collect(),
        containers_storage: CONTAINERS_STORAGE.iter().map(PathBuf::from).collect(),
    });
    if search.found.is_empty() {
        if let Some(closed) = search.closed.first() {
            return Err(closed.error());
        }
        let tried = search.tried.iter().map(|root| root.display().to_string());
        let tried = tried.collect::<Vec<_>>().join(", ");
        let what = format!("no container runtime's images are at {tried}");
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    let closed = search.closed.into_iter().map(|it| Box::new(it) as _);
    search.found.extend(closed);
    Ok(search.found)
}

/// A store that cannot be opened.
struct Closed {
    kind: StoreKind,
    why: String,
}

impl Closed {
    fn error(&self) -> io::Error {
        io::Error::other(self.why.clone())
    }
}

impl Store for Closed {
    fn kind(&self) -> StoreKind {
        self.kind
    }

    fn list(&self, _: &mut Looking<'_>) -> io::Result<Vec<Listed>> {
        Err(self.error())
    }

    fn find(&self, _: &Wanted, _: &mut Looking<'_>) -> io::Result<Option<Image>> {
        Err(self.error())
    }

    fn pieces(&self, _: &Part) -> io::Result<Option<Pieces>> {
        Ok(None)
    }
}

/// What was looked at, and what was there.
struct Search<'a> {
    host: &'a Path,
    tried: Vec<PathBuf>,
    found: Vec<Box<dyn Store>>,
    closed: Vec<Closed>,
}

impl Search<'_> {
    fn all(&mut self, roots: Roots) {
        self.each(StoreKind::Containerd, roots.containerd, |root| {
            Ok(Containerd::below(root))
        });
        self.each(StoreKind::Docker, roots.docker, Docker::open);
        let open = |root: &_| ContainersStorage::open(root, &[]);
        self.each(StoreKind::ContainersStorage, roots.containers_storage, open);
    }

    fn each<S: Store + 'static>(
        &mut self,
        kind: StoreKind,
        roots: Vec<PathBuf>,
        open: impl Fn(&Path) -> io::Result<Option<S>>,
    ) {
        for root in roots {
            if self.tried.contains(&root) {
                continue;
            }
            match open(&below(self.host, &root)) {
                Ok(Some(store)) => self.found.push(Box::new(store)),
                Ok(None) => {}
                Err(error) => {
                    let why = error.to_string();
                    self.closed.push(Closed { kind, why });
                }
            }
            self.tried.push(root);
        }
    }
}

/// A path of the node, where it is mounted.
fn below(host: &Path, path: &Path) -> PathBuf {
    host.join(path.strip_prefix("/").unwrap_or(path))
}

/// Where the runtime that made this container has its root: the folders of the container's own root file system tell.
fn own_roots(mountinfo: &str) -> Roots {
    let mut roots = Roots::default();
    for folder in upper_folders(mountinfo) {
        if let Some((root, _)) = folder.split_once("/io.containerd.snapshotter.v1.") {
            roots.containerd.push(root.into());
        } else if let Some((root, _)) = folder.split_once("/overlay2/") {
            roots.docker.push(root.into());
        } else if let Some((root, _)) = folder.split_once("/overlay/") {
            roots.containers_storage.push(root.into());
        }
    }
    roots
}

/// The folders that the overlay at `/` consists of.
fn upper_folders(mountinfo: &str) -> impl Iterator<Item = &str> {
    let root = mountinfo
        .lines()
        .filter(|line| line.split(' ').nth(4) == Some("/"));
    let options = root.filter_map(|line| {
        let (_, of_file_system) = line.split_once(" - ")?;
        let mut fields = of_file_system.split(' ');
        (fields.next() == Some("overlay"))
            .then(|| fields.nth(1))
            .flatten()
    });
    let is_folder =
        |option: &&str| option.starts_with("upperdir=") || option.starts_with("lowerdir");
    let folders = options.flat_map(move |it| it.split(',').filter(is_folder));
    folders.filter_map(|option| option.split_once('=').map(|(_, folder)| folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_ones_own_runtime_is_in_ones_own_mounts() {
        let mounts = "\
            700 600 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/data/c/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs,\
            upperdir=/data/c/io.containerd.snapshotter.v1.overlayfs/snapshots/4/fs,workdir=/data/c/x\n\
            701 700 0:51 / /proc rw - proc proc rw\n";
        let roots = own_roots(mounts);
        assert_eq!(
            roots.containerd,
            [PathBuf::from("/data/c"), PathBuf::from("/data/c")]
        );
        // Both of these give the lower folders as links, and relative to their own.
        let mount = |folder: &str| {
            format!(
                "7 6 0:5 / / rw - overlay overlay rw,lowerdir=l/A:l/B,upperdir={folder}/a/diff,workdir=w\n"
            )
        };
        let docker = own_roots(&mount("/data/docker/overlay2"));
        assert_eq!(docker.docker, [PathBuf::from("/data/docker")]);
        let storage = own_roots(&mount("/data/storage/overlay"));
        let expected = [PathBuf::from("/data/storage")];
        assert_eq!(storage.containers_storage, expected);
        assert_eq!(
            own_roots("1 2 0:1 / / rw - ext4 /dev/sda rw\n"),
            Roots::default()
        );
        assert_eq!(
            below(Path::new("/host"), Path::new("/var/lib/x")),
            Path::new("/host/var/lib/x")
        );
    }

    #[test]
    fn a_store_that_cannot_be_opened_hides_no_other() {
        let host = tempfile::tempdir().unwrap();
        let lib = host.path().join("var/lib");
        std::fs::create_dir_all(&lib).unwrap();
        let error = stores(host.path()).err().unwrap().to_string();
        assert!(error.contains("/var/lib/docker"), "{error}");
        std::os::unix::fs::symlink("docker", lib.join("docker")).unwrap();
        let closed = stores(host.path()).err().unwrap().to_string();
        assert!(closed.contains("/var/lib/docker/image"), "{closed}");
        std::fs::create_dir_all(lib.join("containers/storage/overlay-layers")).unwrap();
        let stores = stores(host.path()).unwrap();
        let kinds: Vec<_> = stores.iter().map(|store| store.kind()).collect();
        assert_eq!(kinds, [StoreKind::ContainersStorage, StoreKind::Docker]);
        let working = &mut || Ok(());
        let mut looking = Looking::new(working);
        assert!(stores[0].list(&mut looking).unwrap().is_empty());
        let error = stores[1].list(&mut looking).unwrap_err();
        assert_eq!(error.to_string(), closed);
    }
}
