//! What a list of images costs a node in bytes. Pure.
//!
//! Layers are counted by their digests, each once for a node, whichever images share it.

use std::collections::HashMap;

use kip_image::Digest;

use crate::architecture::Architecture;
use crate::inspect::Inspected;

/// What an image takes on a node's disk, in hundredths of the bytes that are pulled: containerd keeps the compressed layers
/// as they were pulled, and beside them the files that it unpacked.
///
/// Measured by `hack/bench/footprint.sh` with containerd 2.4 on overlayfs and ext4, gzip layers: 3.1 for a Java runtime, 3.8
/// for a C compiler, 3.9 for the base of Debian, 4.3 for large programs in Go, 4.4 for Python, 5.2 for the Go and 5.6 for the
/// Rust toolchain; 4.4 for all of them together.
const ON_DISK_PERCENT: u64 = 450;

/// A list that takes more of a node's disk than this, in hundredths, leaves too little for what the node is for.
/// kubelet begins to remove images at 85 % (`imageGCHighThresholdPercent`), and cannot remove these.
pub const TOO_MUCH: u8 = 25;

/// What a list costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    nodes: [u64; Architecture::ALL.len()],
    images: Vec<[Share; Architecture::ALL.len()]>,
}

/// What one image of a list costs, in bytes that are pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// All of its layers.
    pub bytes: u64,
    /// Those that no other image of the list has: what a node is spared without this image.
    pub own: u64,
}

/// A layer on a node.
#[derive(Default)]
struct Held {
    size: u64,
    images: usize,
}

impl Footprint {
    /// What these images cost together.
    pub fn of<'i>(images: impl IntoIterator<Item = &'i Inspected>) -> Self {
        let images: Vec<&Inspected> = images.into_iter().collect();
        let [amd64, arm64] = Architecture::ALL.map(|architecture| node(&images, architecture));
        Self {
            nodes: [amd64.0, arm64.0],
            images: std::iter::zip(amd64.1, arm64.1)
                .map(<[Share; 2]>::from)
                .collect(),
        }
    }

    /// The bytes that a node of this architecture pulls for the whole list.
    pub fn node(&self, architecture: Architecture) -> u64 {
        *architecture.own(&self.nodes)
    }

    /// What each image costs a node of this architecture, in the order in which they were given.
    pub fn shares(&self, architecture: Architecture) -> impl Iterator<Item = Share> {
        self.images
            .iter()
            .map(move |shares| *architecture.own(shares))
    }
}

/// What so many pulled bytes take on a node's disk: an estimate.
pub fn on_disk(pulled: u64) -> u64 {
    let percent = u128::from(pulled) * u128::from(ON_DISK_PERCENT);
    u64::try_from(percent.div_ceil(100)).unwrap_or(u64::MAX)
}

/// Whether what takes so many bytes takes too large a part of a disk of so many.
pub fn is_too_much(taken: u64, disk: u64) -> bool {
    u128::from(taken) * 100 > u128::from(disk) * u128::from(TOO_MUCH)
}

/// How many times as large as what is pulled it is on the disk, as a text: `4.5`.
pub fn on_disk_factor() -> String {
    format!("{}.{}", ON_DISK_PERCENT / 100, ON_DISK_PERCENT % 100 / 10)
}

/// A number of bytes for people: rounded up, in tenths of a unit.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut unit = 1_u64;
    let mut name = "";
    for larger in UNITS {
        if bytes / 1024 < unit {
            break;
        }
        unit <<= 10;
        name = larger;
    }
    if name.is_empty() {
        return bytes.to_string();
    }
    let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(unit));
    format!("{}.{}{name}", tenths / 10, tenths % 10)
}

/// The bytes of a whole node, and of each image.
fn node(images: &[&Inspected], architecture: Architecture) -> (u64, Vec<Share>) {
    let mut node: HashMap<&Digest, Held> = HashMap::new();
    let distinct: Vec<HashMap<&Digest, u64>> = images
        .iter()
        .map(|image| {
            let layers = image.fit(architecture).layers().iter();
            layers.map(|layer| (&layer.digest, layer.size)).collect()
        })
        .collect();
    for layers in &distinct {
        for (digest, size) in layers {
            let held = node.entry(digest).or_default();
            // Manifests may lie; a digest has one size.
            held.size = held.size.max(*size);
            held.images += 1;
        }
    }
    let shares = distinct.iter().map(|layers| {
        let held = || layers.keys().filter_map(|digest| node.get(digest));
        Share {
            bytes: sum(held()),
            own: sum(held().filter(|held| held.images == 1)),
        }
    });
    let shares = shares.collect();
    (sum(node.values()), shares)
}

fn sum<'h>(layers: impl Iterator<Item = &'h Held>) -> u64 {
    layers.fold(0, |sum, held| sum.saturating_add(held.size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{Fit, Layer};

    const MOST: u64 = u64::MAX;

    fn digest(letter: char) -> Digest {
        let hex: String = std::iter::repeat_n(letter, 64).collect();
        Digest::parse(&format!("sha256:{hex}")).unwrap()
    }

    fn layers(layers: &[(char, u64)]) -> Fit {
        let layer = |(letter, size): &(char, u64)| Layer {
            digest: digest(*letter),
            size: *size,
        };
        Fit::Runs(layers.iter().map(layer).collect())
    }

    fn image(amd64: Fit, arm64: Fit) -> Inspected {
        Inspected::new(digest('f'), [amd64, arm64], Vec::new())
    }

    fn shares(footprint: &Footprint, architecture: Architecture) -> Vec<(u64, u64)> {
        let shares = footprint.shares(architecture);
        shares.map(|share| (share.bytes, share.own)).collect()
    }

    #[test]
    fn a_layer_counts_once_for_a_node_and_is_nobodys_own_when_it_is_shared() {
        let footprint = Footprint::of(&[
            image(layers(&[('a', 100), ('b', 10)]), layers(&[('c', 7)])),
            image(layers(&[('a', 100), ('d', 1)]), Fit::Absent),
        ]);
        assert_eq!(footprint.node(Architecture::Amd64), 111);
        assert_eq!(footprint.node(Architecture::Arm64), 7);
        let amd64 = shares(&footprint, Architecture::Amd64);
        assert_eq!(amd64, [(110, 10), (101, 1)]);
        let arm64 = shares(&footprint, Architecture::Arm64);
        assert_eq!(arm64, [(7, 7), (0, 0)]);
    }

    #[test]
    fn the_same_layer_twice_in_one_image_is_one_layer_and_its_own() {
        let twice = image(layers(&[('a', 32), ('b', 5), ('a', 32)]), Fit::Absent);
        let footprint = Footprint::of([&twice]);
        assert_eq!(shares(&footprint, Architecture::Amd64), [(37, 37)]);
    }

    #[test]
    fn the_same_image_twice_costs_once_and_neither_spares_anything() {
        let one = image(layers(&[('a', 5)]), layers(&[('a', 5)]));
        let footprint = Footprint::of([&one, &one]);
        for architecture in Architecture::ALL {
            assert_eq!(footprint.node(architecture), 5);
            assert_eq!(shares(&footprint, architecture), [(5, 0), (5, 0)]);
        }
    }

    #[test]
    fn what_nodes_fetch_in_vain_is_counted_too() {
        let Fit::Runs(fetched) = layers(&[('a', 9)]) else {
            unreachable!("they are made so");
        };
        let footprint = Footprint::of([&image(layers(&[('a', 9)]), Fit::Foreign(fetched))]);
        assert_eq!(footprint.node(Architecture::Arm64), 9);
    }

    #[test]
    fn sizes_that_cannot_be_are_no_overflow() {
        let footprint = Footprint::of([&image(layers(&[('a', MOST), ('b', MOST)]), Fit::Absent)]);
        assert_eq!(footprint.node(Architecture::Amd64), MOST);
        assert_eq!(on_disk(MOST), MOST);
    }

    #[test]
    fn no_image_costs_nothing() {
        let footprint = Footprint::of([]);
        assert_eq!(footprint.node(Architecture::Amd64), 0);
        assert_eq!(on_disk(0), 0);
    }

    #[test]
    fn the_estimate_is_rounded_up() {
        assert_eq!(on_disk(100), ON_DISK_PERCENT);
        assert_eq!(on_disk(1), ON_DISK_PERCENT.div_ceil(100));
    }
}
