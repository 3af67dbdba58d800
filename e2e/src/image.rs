//! Container images in memory: layers from entries, a config, a manifest.
//!
//! No clock, no file system: the same entries and config give the same bytes, so the same digests.

mod digest;
mod index;

use std::collections::BTreeSet;
use std::{env, io};

use flate2::{Compression, GzBuilder};
use serde::Serialize;
use serde::ser::Serializer;
use thiserror::Error;

pub use self::digest::Digest;
pub use self::index::Index;

/// Why an image could not be made.
#[derive(Debug, Error)]
pub enum Error {
    /// A path that tar refuses.
    #[error("entry {path:?} cannot be written to a layer (a path like \"etc/passwd\" is needed)")]
    Entry {
        /// The path as it was given.
        path: String,
        /// What tar says.
        source: io::Error,
    },
    /// The layer as a whole.
    #[error("a layer cannot be compressed")]
    Compress(#[source] io::Error),
    /// The config or the manifest.
    #[error("the image's config or manifest cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// A file or folder of a layer. Paths are relative to the image's root.
#[derive(Clone, Debug)]
pub struct Entry {
    path: String,
    mode: u32,
    owner: u64,
    content: Option<Vec<u8>>,
}

/// One gzip-compressed layer.
#[derive(Clone, Debug)]
pub struct Layer {
    compressed: Vec<u8>,
    diff_id: Digest,
}

/// What a container of the image starts with; the fields are those of a Dockerfile.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// `USER`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `WORKDIR`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// `ENTRYPOINT`, in its exec form
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// `CMD`, in its exec form
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// `ENV`, each as `NAME=value`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `VOLUME`
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        serialize_with = "as_keys_of_empty_objects"
    )]
    pub volumes: BTreeSet<String>,
    /// `STOPSIGNAL`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// `HEALTHCHECK`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
}

/// `HEALTHCHECK` of a Dockerfile.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `CMD` and the program with its arguments, or `CMD-SHELL` and a line for the shell
    pub test: Vec<String>,
    /// Nanoseconds between two checks
    pub interval: u64,
    /// Failed checks until the container is unhealthy
    pub retries: u32,
}

/// Bytes as a registry keeps them.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// What the registry is to hold.
    pub bytes: Vec<u8>,
}

/// An image of one platform, ready for a registry.
#[derive(Clone, Debug)]
pub struct Image {
    /// The processor that it is for, as Go calls it.
    pub architecture: &'static str,
    /// The compressed layers, lowest first.
    pub layers: Vec<Blob>,
    /// The config.
    pub config: Blob,
    /// The manifest.
    pub manifest: Blob,
    /// The manifest's media type.
    pub media_type: &'static str,
}

// === impl Entry ===

impl Entry {
    /// A file of root's that everybody may read.
    pub fn file(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o644,
            owner: 0,
            content: Some(content.into()),
        }
    }

    /// A folder of root's that everybody may enter.
    pub fn folder(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o755,
            owner: 0,
            content: None,
        }
    }

    /// With these permission bits.
    #[must_use]
    pub fn with_mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// Owned by this user and the group of the same number.
    #[must_use]
    pub fn with_owner(self, owner: u64) -> Self {
        Self { owner, ..self }
    }

    /// As builders write it that are made in Go: a folder's name ends with a slash, and the sum has six digits.
    fn append_to(&self, archive: &mut tar::Builder<Vec<u8>>) -> Result<(), Error> {
        let content = self.content.as_deref().unwrap_or_default();
        let (kind, slash) = match self.content {
            Some(_) => (tar::EntryType::Regular, ""),
            None => (tar::EntryType::Directory, "/"),
        };
        let mut header = tar::Header::new_ustar();
        let mut write = || {
            header.set_path(format!("{}{slash}", self.path))?;
            header.set_entry_type(kind);
            header.set_mode(self.mode);
            header.set_uid(self.owner);
            header.set_gid(self.owner);
            header.set_mtime(0);
            header.set_size(content.len() as u64);
            header.set_device_major(0)?;
            header.set_device_minor(0)?;
            header.set_cksum();
            let sum = format!("{:06o}\0 ", header.cksum()?);
            if let Some(ustar) = header.as_ustar_mut() {
                ustar.cksum.copy_from_slice(sum.as_bytes());
            }
            archive.append(&header, content)
        };
        write().map_err(|source| Error::Entry {
            path: self.path.clone(),
            source,
        })
    }
}

// === impl Layer ===

impl Layer {
    /// A layer of these entries, in this order: a folder comes before what is in it.
    pub fn new(entries: &[Entry]) -> Result<Self, Error> {
        let mut archive = tar::Builder::new(Vec::new());
        for entry in entries {
            entry.append_to(&mut archive)?;
        }
        let archive = archive.into_inner().map_err(Error::Compress)?;
        Ok(Self {
            compressed: compress(&archive).map_err(Error::Compress)?,
            diff_id: Digest::of(&archive),
        })
    }
}

fn compress(archive: &[u8]) -> io::Result<Vec<u8>> {
    // The content is mostly random: searching for repetitions would cost seconds and gain nothing.
    let mut encoder = GzBuilder::new().mtime(0).read(archive, Compression::none());
    let mut compressed = Vec::with_capacity(archive.len() + archive.len() / 256);
    io::copy(&mut encoder, &mut compressed)?;
    Ok(compressed)
}

// === impl Config ===

fn as_keys_of_empty_objects<S: Serializer>(
    paths: &BTreeSet<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Empty {}
    serializer.collect_map(paths.iter().map(|path| (path, Empty {})))
}

// === impl Blob ===

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    fn json(document: &impl Serialize) -> Result<Self, Error> {
        serde_json::to_vec(document)
            .map(Self::new)
            .map_err(Error::Json)
    }

    fn descriptor(&self, media_type: &'static str) -> Descriptor<'_> {
        Descriptor {
            media_type,
            size: self.bytes.len(),
            digest: &self.digest,
        }
    }
}

// === impl Image ===

/// The names that a format gives to its parts.
struct Format {
    manifest: &'static str,
    config: &'static str,
    layer: &'static str,
}

const OCI: Format = Format {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
};

const DOCKER: Format = Format {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

/// Every manifest that an [`Image`] can have, and an [`Index`].
pub const MANIFEST_TYPES: [&str; 3] = [OCI.manifest, DOCKER.manifest, index::MEDIA_TYPE];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'static str,
    size: usize,
    digest: &'a Digest,
}

#[derive(Serialize)]
struct ConfigFile<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    config: &'a Config,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'static str,
    diff_ids: Vec<&'a Digest>,
}

impl Image {
    /// An image in OCI's format; in Docker's where it has a health check, which OCI's does not know.
    pub fn new(layers: Vec<Layer>, config: &Config) -> Result<Self, Error> {
        Self::of(architecture(), layers, config)
    }

    /// An image for another processor, as Go calls it.
    pub fn of(
        architecture: &'static str,
        layers: Vec<Layer>,
        config: &Config,
    ) -> Result<Self, Error> {
        let format = match config.healthcheck {
            Some(_) => DOCKER,
            None => OCI,
        };
        let config = Blob::json(&ConfigFile {
            created: "1970-01-01T00:00:00Z",
            architecture,
            os: "linux",
            config,
            rootfs: RootFs {
                r#type: "layers",
                diff_ids: layers.iter().map(|layer| &layer.diff_id).collect(),
            },
        })?;
        let layers: Vec<_> = layers
            .into_iter()
            .map(|layer| Blob::new(layer.compressed))
            .collect();
        let manifest = Blob::json(&Manifest {
            schema_version: 2,
            media_type: format.manifest,
            config: config.descriptor(format.config),
            layers: layers
                .iter()
                .map(|layer| layer.descriptor(format.layer))
                .collect(),
        })?;
        Ok(Self {
            architecture,
            layers,
            config,
            manifest,
            media_type: format.manifest,
        })
    }

    /// The digest that a reference to this image names.
    pub fn digest(&self) -> &Digest {
        &self.manifest.digest
    }

    /// The bytes that a node pulls: layers and config.
    pub fn size(&self) -> usize {
        let blobs = self.layers.iter().chain([&self.config]);
        blobs.map(|blob| blob.bytes.len()).sum()
    }
}

/// This host's processor as Go, and so every image, calls it.
pub fn architecture() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
