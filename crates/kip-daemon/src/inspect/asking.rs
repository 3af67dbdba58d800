//! What is asked of a registry, and what its answers mean.

use futures::future::try_join;
use kip_image::{Platform, PlatformMatcher, Reference};
use kip_registry::{Client, Content, Credential, Descriptor, Image, Index, Kind, Manifest};
use serde::Deserialize;

use super::{Error, Fit, Inspected, Layer};
use crate::architecture::Architecture;

/// So much of a configuration is read. It holds a line for each step of a build; the largest have some 100 kB.
const CONFIG_MAX: usize = 4 << 20;

/// More layers than this no runtime puts on top of each other.
const LAYERS_MAX: usize = 1000;

/// So long is the name of a platform that a message shows.
const PLATFORM_MAX: usize = 40;

/// One image that is asked for.
struct Asking<'a> {
    client: &'a Client,
    reference: &'a Reference,
    credentials: &'a [Credential],
}

/// What the configuration of an image says of its platform.
#[derive(Deserialize)]
struct Config {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
    #[serde(rename = "os.features")]
    os_features: Option<Vec<String>>,
}

/// Asks the registry what an image is: one request for the manifest, one more for its configuration, or of an index one
/// for each architecture.
///
/// # Errors
/// The registry does not tell, or what it has is no image.
pub async fn inspect(
    client: &Client,
    reference: &Reference,
    credentials: &[Credential],
) -> Result<Inspected, Error> {
    let asking = Asking {
        client,
        reference,
        credentials,
    };
    let root = client.manifest(reference, credentials).await?;
    let (fits, others) = match asking.parse(&root)? {
        Content::Index(index) => {
            // Each takes kilobytes.
            let [amd64, arm64] = Architecture::ALL.map(|one| Box::pin(asking.pick(&index, one)));
            let (amd64, arm64) = try_join(amd64, arm64).await?;
            ([amd64, arm64], others(&index))
        }
        Content::Image(image) => Box::pin(asking.alone(&image)).await?,
    };
    Ok(Inspected {
        digest: root.digest,
        fits,
        others,
    })
}

impl Asking<'_> {
    fn parse(&self, manifest: &Manifest) -> Result<Content, Error> {
        manifest.parse().map_err(|source| Error::Manifest {
            reference: self.reference.clone(),
            source,
        })
    }

    fn no_image(&self, what: impl Into<String>) -> Error {
        Error::NoImage {
            reference: self.reference.clone(),
            what: what.into(),
        }
    }

    /// A manifest that no index names.
    async fn alone(&self, image: &Image) -> Result<(Fits, Vec<String>), Error> {
        let layers = self.layers(image)?;
        let platform = self.platform_of(image).await?;
        let tells = !platform.architecture.is_empty();
        let fits = Architecture::ALL.map(|architecture| {
            if !tells || matcher(architecture).matches(&platform) {
                Fit::Runs(layers.clone())
            } else {
                Fit::Foreign(layers.clone())
            }
        });
        let is_ours = fits.iter().any(|fit| matches!(fit, Fit::Runs(_)));
        let others = if is_ours {
            Vec::new()
        } else {
            named(&platform).into_iter().collect()
        };
        Ok((fits, others))
    }

    /// What a node of this architecture takes of an index.
    async fn pick(&self, index: &Index, architecture: Architecture) -> Result<Fit, Error> {
        let limits = &self.client.settings().limits;
        let matcher = matcher(architecture);
        let mut inner: Index;
        let mut index = index;
        for _ in 0..limits.depth {
            if index.manifests.len() > limits.index_entries {
                let most = limits.index_entries;
                return Err(self.no_image(format!("an index of more than {most} manifests")));
            }
            let platforms: Vec<_> = index.manifests.iter().map(platform).collect();
            let Some(at) = matcher.choose(&platforms) else {
                return Ok(Fit::Absent);
            };
            let entry = &index.manifests[at];
            let reference = self.reference.clone().with_digest(entry.digest.clone());
            let manifest = match self.client.manifest(&reference, self.credentials).await {
                // Mirrors may have only some of the manifests that an index names.
                Err(error) if *error.kind() == Kind::NotFound => return Ok(Fit::Absent),
                manifest => manifest?,
            };
            match self.parse(&manifest)? {
                Content::Image(image) => {
                    let layers = self.layers(&image)?;
                    let runs = platforms[at].is_some()
                        || matcher.matches(&self.platform_of(&image).await?);
                    return Ok(if runs { Fit::Runs(layers) } else { Fit::Absent });
                }
                Content::Index(deeper) => {
                    inner = deeper;
                    index = &inner;
                }
            }
        }
        Err(self.no_image(format!(
            "indexes in indexes, more than {} deep",
            limits.depth
        )))
    }

    /// The layers of an image; other artifacts have none that could be unpacked.
    fn layers(&self, image: &Image) -> Result<Vec<Layer>, Error> {
        let config = image.config.media_type.as_str();
        if !is_config(config) {
            let kind = image.artifact_type.as_deref().unwrap_or(config);
            return Err(self.no_image(format!("an artifact of type {}", quoted(kind))));
        }
        let layers = &image.layers;
        if layers.len() > LAYERS_MAX {
            return Err(self.no_image(format!("it has more than {LAYERS_MAX} layers")));
        }
        if let [first, ..] = layers.as_slice()
            && !layers.iter().any(|layer| is_layer(&layer.media_type))
        {
            let kind = quoted(&first.media_type);
            return Err(self.no_image(format!("its content is of type {kind}")));
        }
        Ok(layers
            .iter()
            .map(|layer| Layer {
                digest: layer.digest.clone(),
                size: layer.size,
            })
            .collect())
    }

    async fn platform_of(&self, image: &Image) -> Result<Platform, Error> {
        let digest = &image.config.digest;
        let blob = self
            .client
            .blob(self.reference, digest, .., self.credentials);
        let bytes = blob.await?.bytes(CONFIG_MAX).await?;
        let config: Config = serde_json::from_slice(&bytes).map_err(|error| {
            self.no_image(format!(
                "its configuration is none, from column {} of line {} on",
                error.column(),
                error.line()
            ))
        })?;
        Ok(Platform {
            os: config.os.unwrap_or_default(),
            architecture: config.architecture.unwrap_or_default(),
            variant: config.variant.unwrap_or_default(),
            os_version: config.os_version.unwrap_or_default(),
            os_features: config.os_features.unwrap_or_default(),
        })
    }
}

/// What a node of this architecture chooses by.
fn matcher(architecture: Architecture) -> PlatformMatcher {
    PlatformMatcher::new(&Platform::new("linux", architecture.as_str()))
}

type Fits = [Fit; Architecture::ALL.len()];

fn platform(entry: &Descriptor) -> Option<Platform> {
    let platform = entry.platform.clone()?;
    Some(Platform {
        os: platform.os,
        architecture: platform.architecture,
        variant: platform.variant.unwrap_or_default(),
        os_version: platform.os_version.unwrap_or_default(),
        os_features: platform.os_features,
    })
}

/// The platforms that neither of our architectures runs. Attestations call themselves `unknown/unknown`.
fn others(index: &Index) -> Vec<String> {
    let matchers = Architecture::ALL.map(matcher);
    let is_other = |platform: &Platform| !matchers.iter().any(|own| own.matches(platform));
    let platforms = index.manifests.iter().filter_map(platform);
    let mut names: Vec<String> = platforms
        .filter(is_other)
        .filter_map(|platform| named(&platform))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The platform's name, if there is one to show.
fn named(platform: &Platform) -> Option<String> {
    let name = Platform::new(&*platform.os, &*platform.architecture)
        .with_variant(&*platform.variant)
        .normalized()
        .to_string();
    let can_be_shown =
        name.len() <= PLATFORM_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
    let is_known = !platform.os.is_empty() && platform.os != "unknown";
    (can_be_shown && is_known).then_some(name)
}

/// What containerd takes for a configuration of an image.
fn is_config(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
    )
}

/// What containerd unpacks.
fn is_layer(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.")
}

/// A media type for a message: a registry can say anything.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
