//! The sample images: one for each thing about an image that can keep a sleeping container from running.
//!
//! No sample has a program that could run. Each has a file of pseudo-random bytes, so that a pull takes
//! visible time; the bytes, and so every digest, follow from the sample's name and a salt.

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::image::{self, Config, Digest, Entry, Healthcheck, Image, Layer};
use crate::registry::{self, Registry};

/// Why a sample could not be pushed.
#[derive(Debug, Error)]
pub enum Error {
    /// The image could not be made.
    #[error("sample {name}: the image cannot be made")]
    Image {
        /// The sample.
        name: &'static str,
        /// What is wrong with it.
        source: image::Error,
    },
    /// The registry did not take it.
    #[error("sample {name}: the image cannot be pushed")]
    Registry {
        /// The sample.
        name: &'static str,
        /// What the registry said.
        source: registry::Error,
    },
}

/// An image with one property that matters to the puller.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it shows; also the last part of its repository.
    pub name: &'static str,
    /// The sizes of its pseudo-random files, in KiB; each is a layer.
    filler: &'static [usize],
    /// What else is in its first layer.
    entries: Vec<Entry>,
    config: Config,
}

/// Where samples are pushed to within a registry, and which edition of them.
#[derive(Clone, Copy, Debug)]
pub struct Edition<'a> {
    /// The first part of the repositories: `demo` gives `demo/layers`.
    pub prefix: &'a str,
    /// The tag.
    pub tag: &'a str,
    /// Another salt gives images of which no layer was seen before.
    pub salt: &'a str,
}

/// A sample in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The sample's name.
    pub name: &'static str,
    /// `HOST:PORT/PREFIX/NAME`
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// The bytes that a node pulls.
    pub size: usize,
}

/// Every sample.
pub fn all() -> Vec<Sample> {
    vec![
        Sample::new("layers").filled_with(&[4096, 2048, 1024, 512, 256, 128]),
        Sample::new("scratch").filled_with(&[16]),
        Sample {
            entries: vec![
                Entry::folder("data"),
                Entry::file("data/content", "of the image\n"),
            ],
            config: Config {
                volumes: ["/data".to_owned()].into(),
                ..Config::default()
            },
            ..Sample::new("volume")
        },
        Sample {
            entries: vec![
                Entry::folder("etc"),
                Entry::file(
                    "etc/passwd",
                    "root:x:0:0:::\nsomebody:x:1234:1234::/home/somebody:\n",
                ),
                Entry::folder("home"),
                Entry::folder("home/somebody")
                    .with_mode(0o700)
                    .with_owner(1234),
            ],
            config: Config {
                user: "somebody".to_owned(),
                ..Config::default()
            },
            ..Sample::new("user-by-name")
        },
        Sample::new("user-root").with_config(Config {
            user: "0".to_owned(),
            ..Config::default()
        }),
        Sample {
            entries: vec![Entry::folder("closed").with_mode(0o700)],
            config: Config {
                working_dir: "/closed".to_owned(),
                ..Config::default()
            },
            ..Sample::new("closed-workdir")
        },
        Sample::new("stop-rtmin3").with_config(Config {
            stop_signal: "SIGRTMIN+3".to_owned(),
            ..Config::default()
        }),
        Sample::new("stop-winch").with_config(Config {
            stop_signal: "SIGWINCH".to_owned(),
            ..Config::default()
        }),
        Sample::new("healthcheck").with_config(Config {
            healthcheck: Some(Healthcheck {
                test: vec!["CMD".to_owned(), MISSING_PROGRAM.to_owned()],
                interval: 1_000_000_000,
                retries: 1,
            }),
            ..Config::default()
        }),
        Sample::new("no-entrypoint").with_config(Config {
            entrypoint: vec![MISSING_PROGRAM.to_owned()],
            ..Config::default()
        }),
        Sample::new("env-nvidia").with_config(Config {
            env: vec!["NVIDIA_VISIBLE_DEVICES=all".to_owned()],
            ..Config::default()
        }),
    ]
}

const MISSING_PROGRAM: &str = "/does/not/exist";

/// Pushes every sample.
pub fn push_all(registry: &Registry, edition: Edition<'_>) -> Result<Vec<Pushed>, Error> {
    all()
        .iter()
        .map(|sample| sample.push(registry, edition))
        .collect()
}

// === impl Sample ===

impl Sample {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            filler: &[256],
            entries: Vec::new(),
            config: Config::default(),
        }
    }

    fn filled_with(self, filler: &'static [usize]) -> Self {
        Self { filler, ..self }
    }

    fn with_config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// The image; another `salt` gives one of which no layer is the same.
    pub fn image(&self, salt: &str) -> Result<Image, image::Error> {
        let mut entries = self.entries.clone();
        let mut layers = Vec::new();
        for (number, kibibytes) in self.filler.iter().enumerate() {
            let path = format!("filler-{number}");
            let seed = format!("{}/{path}/{salt}", self.name);
            entries.push(Entry::file(&path, pseudo_random(&seed, kibibytes * 1024)));
            layers.push(Layer::new(&entries)?);
            entries.clear();
        }
        Image::new(layers, &self.config)
    }

    /// Pushes the image.
    pub fn push(&self, registry: &Registry, edition: Edition<'_>) -> Result<Pushed, Error> {
        let name = self.name;
        let image = self
            .image(edition.salt)
            .map_err(|source| Error::Image { name, source })?;
        let repository = format!("{}/{name}", edition.prefix);
        registry
            .push(&repository, edition.tag, &image)
            .map_err(|source| Error::Registry { name, source })?;
        Ok(Pushed {
            name,
            repository: format!("{}/{repository}", registry.address()),
            tag: edition.tag.to_owned(),
            digest: image.digest().clone(),
            size: image.size(),
        })
    }
}

// === impl Pushed ===

impl Pushed {
    /// `HOST:PORT/PREFIX/NAME:TAG`
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// `HOST:PORT/PREFIX/NAME@sha256:…`
    pub fn reference_by_digest(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

/// `SplitMix64` from the hash of `seed`: its bytes are the same everywhere and do not compress.
fn pseudo_random(seed: &str, length: usize) -> Vec<u8> {
    let hash = Sha256::digest(seed);
    let mut state = hash
        .iter()
        .take(8)
        .fold(0_u64, |state, byte| state << 8 | u64::from(*byte));
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
