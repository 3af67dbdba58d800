//! What a node says that it has of an image, checked: it may be damaged, or a node that nobody should trust.
//!
//! Each document must have its digest, and one of them the digest that is wanted. What layers there are is read from the documents, not
//! from what else the node says; of that only remains where each can be had.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kip_agent::protocol::{self, Kept, Rebuilt, Wanted};
use kip_image::{Digest, Reference};
use kip_registry::{Content, Descriptor, Manifest};
use serde::Deserialize;

use crate::digest;

/// The most bytes that a layer has: 1 TiB. More is no layer, and its pieces alone would fill the memory.
const MAX_LAYER: u64 = 1 << 40;

/// An image on a node.
#[derive(Debug, Clone)]
pub struct OnNode {
    /// Its names there.
    pub names: Vec<String>,
    /// The manifest for the node's platform, where it keeps one.
    pub manifest: Option<Manifest>,
    /// The configuration's digest: the image ID.
    pub id: Digest,
    /// The configuration.
    pub config: Vec<u8>,
    /// From the lowest to the highest.
    pub layers: Vec<Layer>,
    /// Whether its documents show that it is the image that was wanted. Docker's own store keeps no manifest, only a name with its digest:
    /// a claim of the node.
    pub is_shown: bool,
}

/// A layer on a node.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The digest of its uncompressed tar, from the configuration.
    pub diff_id: Digest,
    /// What the manifest says of it.
    pub blob: Option<Descriptor>,
    /// How it can be had.
    pub kept: Kept,
    /// As the agent knows it.
    pub told: protocol::Layer,
}

/// A tar that can be made again.
#[derive(Debug, Clone)]
pub struct Tar {
    /// Its digest.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// What is read of a configuration.
#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

impl OnNode {
    /// Checks what the agent says.
    ///
    /// # Errors
    /// When it contradicts itself, or is not what is wanted.
    pub fn check(told: protocol::Image, wanted: &Wanted) -> Result<Self> {
        let id = digest::parse(&told.config.digest)?;
        let config = bytes(&told.config)?;
        ensure!(
            digest::of(&config) == id,
            "the node's configuration {id} is damaged: it has another digest"
        );
        let manifest = told.manifest.as_ref().map(read_manifest).transpose()?;
        let blobs = manifest.as_ref().map(|it| blobs(it, &id)).transpose()?;
        let is_shown = is_wanted(&told, wanted, &id, manifest.as_ref())?;
        Ok(Self {
            is_shown,
            layers: layers(told.layers, &config, blobs)?,
            names: told.names,
            manifest,
            id,
            config,
        })
    }
}

fn bytes(document: &protocol::Document) -> Result<Vec<u8>> {
    STANDARD
        .decode(&document.bytes)
        .context("a document that is no base64")
}

fn read_manifest(told: &protocol::Document) -> Result<Manifest> {
    let digest = digest::parse(&told.digest)?;
    let manifest = Manifest::kept(bytes(told)?.into(), told.media_type.clone(), &digest);
    manifest.with_context(|| format!("the node's manifest {digest} is damaged"))
}

/// The layers of a manifest that has this configuration.
fn blobs(manifest: &Manifest, id: &Digest) -> Result<Vec<Descriptor>> {
    let of_manifest = || format!("the node's manifest {}", manifest.digest);
    match manifest.parse().with_context(of_manifest)? {
        Content::Image(image) if image.config.digest == *id => Ok(image.layers),
        Content::Image(image) => bail!(
            "{} has the configuration {}, not {id}",
            of_manifest(),
            image.config.digest
        ),
        Content::Index(_) => bail!("{} is an index", of_manifest()),
    }
}

/// Whether the digest that is wanted is one of the image's own, or of an index that has it. If it is only in a name, nothing shows it.
fn is_wanted(
    told: &protocol::Image,
    wanted: &Wanted,
    id: &Digest,
    manifest: Option<&Manifest>,
) -> Result<bool> {
    let Some(wanted) = &wanted.digest else {
        return Ok(true);
    };
    let wanted = digest::parse(wanted)?;
    let is_named = |name: &String| {
        Reference::parse(name).is_ok_and(|name| name.digest().is_some_and(|it| *it == wanted))
    };
    let is_shown = wanted == *id
        || manifest.is_some_and(|it| it.digest == wanted)
        || of_index(told, manifest)?.is_some_and(|it| it == wanted);
    let is_claimed = manifest.is_none() && told.names.iter().any(is_named);
    ensure!(
        is_shown || is_claimed,
        "the node gave the image {id} for {wanted}"
    );
    Ok(is_shown)
}

/// The digest of the index that has the manifest.
fn of_index(told: &protocol::Image, manifest: Option<&Manifest>) -> Result<Option<Digest>> {
    let (Some(index), Some(manifest)) = (&told.index, manifest) else {
        return Ok(None);
    };
    let index = read_manifest(index)?;
    let of_index = || format!("the node's index {}", index.digest);
    let Content::Index(content) = index.parse().with_context(of_index)? else {
        bail!("{} is none", of_index());
    };
    let has_it = content
        .manifests
        .iter()
        .any(|it| it.digest == manifest.digest);
    ensure!(has_it, "{} has no manifest {}", of_index(), manifest.digest);
    Ok(Some(index.digest))
}

fn layers(
    told: Vec<protocol::Layer>,
    config: &[u8],
    blobs: Option<Vec<Descriptor>>,
) -> Result<Vec<Layer>> {
    let config: Config = serde_json::from_slice(config).context("the image's configuration")?;
    let diff_ids = config.rootfs.diff_ids;
    let count = diff_ids.len();
    let fits = told.len() == count && blobs.as_ref().is_none_or(|it| it.len() == count);
    ensure!(
        fits,
        "the image's configuration has {count} layers, its manifest or its node another number"
    );
    let blobs = blobs.map_or_else(
        || vec![None; count],
        |it| it.into_iter().map(Some).collect(),
    );
    let each = diff_ids.into_iter().zip(blobs).zip(told);
    each.map(|((diff_id, blob), told)| layer(&diff_id, blob, told))
        .collect()
}

fn layer(diff_id: &str, blob: Option<Descriptor>, told: protocol::Layer) -> Result<Layer> {
    let diff_id = digest::parse(diff_id)?;
    ensure!(
        told.diff_id == diff_id.to_string(),
        "the node speaks of a layer {}, and the image has {diff_id}",
        told.diff_id
    );
    match &told.kept {
        Kept::Blob => {
            let blob = blob.as_ref().context("a blob that no manifest names")?;
            digest::parse(&blob.digest.to_string())?;
            check_size(blob.size)?;
        }
        Kept::TarSplit { size } => check_size(*size)?,
        Kept::Snapshot | Kept::Nothing { .. } => {}
    }
    Ok(Layer {
        diff_id,
        blob,
        kept: told.kept.clone(),
        told,
    })
}

/// The tar that an agent can make of a layer.
///
/// # Errors
/// When that is none.
pub fn tar(rebuilt: &Rebuilt) -> Result<Tar> {
    check_size(rebuilt.size)?;
    Ok(Tar {
        digest: digest::parse(&rebuilt.digest)?,
        size: rebuilt.size,
    })
}

fn check_size(size: u64) -> Result<()> {
    ensure!(
        size <= MAX_LAYER,
        "a layer of {size} bytes: more than {MAX_LAYER} are not believed"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use kip_agent::protocol::{Blob, Document, Image, StoreKind};
    use serde_json::{Value, json};

    use super::*;

    fn document(value: &Value) -> Document {
        let bytes = value.to_string();
        Document {
            media_type: None,
            digest: digest::of(bytes.as_bytes()).to_string(),
            bytes: STANDARD.encode(bytes),
        }
    }

    fn digest_of(text: &str) -> String {
        digest::of(text.as_bytes()).to_string()
    }

    /// An image with one layer.
    fn told() -> Image {
        let config = document(&json!({"rootfs": {"diff_ids": [digest_of("tar")]}}));
        let manifest = document(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "c", "digest": config.digest, "size": 1},
            "layers": [{"mediaType": "l", "digest": digest_of("blob"), "size": 4}],
        }));
        let layer = protocol::Layer {
            diff_id: digest_of("tar"),
            chain_id: digest_of("tar"),
            blob: Some(Blob {
                digest: digest_of("blob"),
                size: 4,
                media_type: "l".to_owned(),
            }),
            kept: Kept::Blob,
        };
        Image {
            names: vec!["docker.io/library/a:1".to_owned()],
            store: StoreKind::Containerd,
            manifest: Some(manifest),
            index: None,
            config,
            layers: vec![layer],
        }
    }

    fn wanted(digest: impl Into<String>) -> Wanted {
        Wanted {
            digest: Some(digest.into()),
            name: None,
        }
    }

    fn check(change: impl FnOnce(&mut Image)) -> Result<OnNode> {
        let mut image = told();
        let wanted = wanted(&image.config.digest);
        change(&mut image);
        OnNode::check(image, &wanted)
    }

    #[test]
    fn what_fits_is_believed() {
        let found = check(|_| ()).unwrap();
        let blob = found.layers[0].blob.as_ref().unwrap();
        assert_eq!((blob.digest.to_string(), blob.size), (digest_of("blob"), 4));
        assert_eq!(found.layers[0].diff_id.to_string(), digest_of("tar"));
        assert!(
            check(|it| it.manifest = None).is_err(),
            "a blob of no manifest"
        );
        let without = |it: &mut Image| {
            it.manifest = None;
            it.layers[0].kept = Kept::Snapshot;
        };
        assert!(check(without).unwrap().layers[0].blob.is_none());
    }

    #[test]
    fn what_contradicts_itself_is_not() {
        let refused = |what: &str, change: &dyn Fn(&mut Image)| {
            let error = check(change).map(|_| ()).unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains(what), "{what}: {text}");
        };
        refused("is damaged", &|it| it.config.bytes = STANDARD.encode("{}"));
        refused("is damaged", &|it| {
            it.manifest.as_mut().unwrap().bytes = STANDARD.encode("{}");
        });
        refused("base64", &|it| it.config.bytes = "?".to_owned());
        refused("1 layers", &|it| it.layers.clear());
        refused("speaks of a layer", &|it| {
            it.layers[0].diff_id = digest_of("other");
        });
        refused("not believed", &|it| {
            it.layers[0].kept = Kept::TarSplit { size: u64::MAX };
        });
        for bad in ["", "sha256:../../etc", "sha256:0a", "sha512:00"] {
            let wrong = |it: &mut Image| it.config.digest = bad.to_owned();
            assert!(check(wrong).is_err(), "{bad}");
        }
        refused("has the configuration", &|it| {
            it.config = document(&json!({"rootfs": {"diff_ids": [digest_of("tar")]}, "os": "x"}));
        });
    }

    #[test]
    fn another_image_than_the_wanted_one_is_not_taken() {
        let is_taken = |digest: String| OnNode::check(told(), &wanted(digest)).is_ok();
        let image = told();
        assert!(is_taken(image.config.digest) && is_taken(image.manifest.unwrap().digest));
        assert!(!is_taken(digest_of("another")));
        // A name with the digest shows nothing, and counts only where there is no manifest that could.
        let mut named = told();
        let digest = digest_of("gone");
        named.names.push(format!("docker.io/library/a@{digest}"));
        assert!(OnNode::check(named.clone(), &wanted(&digest)).is_err());
        named.manifest = None;
        named.layers[0].kept = Kept::Snapshot;
        assert!(
            !OnNode::check(named.clone(), &wanted(&digest))
                .unwrap()
                .is_shown
        );
        let id = named.config.digest.clone();
        assert!(OnNode::check(named, &wanted(id)).unwrap().is_shown);
    }

    #[test]
    fn an_index_counts_if_it_has_the_manifest() {
        let of = |digest: &str| {
            let mut image = told();
            let index = document(&json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [{"mediaType": "m", "digest": digest, "size": 1}],
            }));
            let wanted = wanted(&index.digest);
            image.index = Some(index);
            OnNode::check(image, &wanted)
        };
        assert!(of(&told().manifest.unwrap().digest).is_ok());
        let error = of(&digest_of("other")).unwrap_err().to_string();
        assert!(error.contains("has no manifest"), "{error}");
    }

    #[test]
    fn a_tar_of_any_size_is_not_believed() {
        let rebuilt = |digest: &str, size| Rebuilt {
            profile: protocol::Profile {
                name: "go".to_owned(),
                whiteout_time: 0,
            },
            digest: digest.to_owned(),
            size,
            is_proven: true,
            tried: 1,
            left_out: 0,
            examples: Vec::new(),
        };
        assert!(tar(&rebuilt(&digest_of("a"), 1)).is_ok());
        assert!(tar(&rebuilt("../a", 1)).is_err());
        assert!(tar(&rebuilt(&digest_of("a"), u64::MAX)).is_err());
    }
}
