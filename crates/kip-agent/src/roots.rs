//! Which stores a node has, and where.

use std::io;
use std::path::{Path, PathBuf};

use crate::store::Store;
use crate::store::containerd::Containerd;

/// Where distributions have the root of containerd: kubeadm, EKS, GKE, AKS, kind; k3s; RKE2; k0s; microk8s.
const CONTAINERD: &[&str] = &[
    "/var/lib/containerd",
    "/var/lib/rancher/k3s/agent/containerd",
    "/var/lib/rancher/rke2/agent/containerd",
    "/var/lib/k0s/containerd",
    "/var/snap/microk8s/common/var/lib/containerd",
];

/// The folders of a runtime that may be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Roots {
    containerd: Vec<PathBuf>,
}

/// All stores that are on the node, that of this container's own image first.
///
/// `host` is where the node's folders are mounted: its `/var` at `HOST/var`.
///
/// # Errors
/// When there is none, with where it was looked for.
pub fn stores(host: &Path) -> io::Result<Vec<Box<dyn Store>>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = own_roots(&mounts);
    let mut tried = Vec::new();
    let mut found: Vec<Box<dyn Store>> = Vec::new();
    for root in own
        .containerd
        .into_iter()
        .chain(CONTAINERD.iter().map(PathBuf::from))
    {
        let here = below(host, &root);
        if tried.contains(&root) {
            continue;
        }
        if let Some(store) = Containerd::below(&here) {
            found.push(Box::new(store));
        }
        tried.push(root);
    }
    if found.is_empty() {
        let tried: Vec<_> = tried
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        let what = format!("no container runtime's images are at {}", tried.join(", "));
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    Ok(found)
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
        assert_eq!(
            own_roots("1 2 0:1 / / rw - ext4 /dev/sda rw\n"),
            Roots::default()
        );
        assert_eq!(
            below(Path::new("/host"), Path::new("/var/lib/x")),
            Path::new("/host/var/lib/x")
        );
    }
}
