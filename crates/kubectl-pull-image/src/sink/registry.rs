//! A registry: only what it does not have is sent.

use std::io::{SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use kip_image::{Digest, Reference};
use kip_registry::{Client, Credential, DockerConfig, Error, Manifest, Proxies, Settings, Source};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::cache::Cache;
use crate::failure::{Status, failure};
use crate::image::Image;

/// How much of a file is sent at once, in bytes.
const CHUNK: usize = 256 << 10;

/// A registry and a name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// The name that the image gets.
    pub name: Reference,
    /// Hosts that are spoken to without TLS.
    pub plain_http: Vec<String>,
}

impl Registry {
    /// Sends the image.
    ///
    /// # Errors
    /// The registry's.
    pub async fn push(&self, image: &Image, cache: &Cache) -> Result<()> {
        let sent = self.send(image, cache).await;
        sent.map_err(|error| failure(Status::Sink, format!("registry://{}: {error:#}", self.name)))
    }

    async fn send(&self, image: &Image, cache: &Cache) -> Result<()> {
        let client = Client::new(Settings {
            plain_http: self.plain_http.iter().cloned().collect(),
            proxies: Proxies::from_env(),
            ..Settings::default()
        })?;
        let credentials = credentials(&self.name).await?;
        for layer in &image.layers {
            let digest = &layer.descriptor.digest;
            let source = Content::File(cache.path(digest));
            self.blob(
                &client,
                digest,
                layer.descriptor.size,
                &source,
                &credentials,
            )
            .await?;
        }
        let (config, bytes) = &image.config;
        let source = Content::Bytes(bytes.clone().into());
        self.blob(&client, &config.digest, config.size, &source, &credentials)
            .await?;
        let (manifest, bytes) = &image.manifest;
        let manifest = Manifest {
            bytes: bytes.clone().into(),
            digest: manifest.digest.clone(),
            media_type: manifest.media_type.clone(),
        };
        client
            .put_manifest(&self.name, &manifest, &credentials)
            .await?;
        Ok(())
    }

    async fn blob(
        &self,
        client: &Client,
        digest: &Digest,
        size: u64,
        source: &Content,
        credentials: &[Credential],
    ) -> Result<()> {
        if client.blob_exists(&self.name, digest, credentials).await? {
            return Ok(());
        }
        Ok(client
            .upload(&self.name, digest, size, source, credentials)
            .await?)
    }
}

/// What is sent.
enum Content {
    File(PathBuf),
    Bytes(bytes::Bytes),
}

type Parts = BoxStream<'static, Result<bytes::Bytes, Error>>;

impl Source for Content {
    fn open(&self, from: u64, length: u64) -> BoxFuture<'_, Result<Parts, Error>> {
        match self {
            Self::Bytes(bytes) => bytes.open(from, length),
            Self::File(path) => Box::pin(async move {
                let opened = parts(path, from, length).await;
                opened.map_err(Error::input)
            }),
        }
    }
}

/// A file's bytes. They are read as they are sent.
async fn parts(path: &Path, from: u64, length: u64) -> std::io::Result<Parts> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(SeekFrom::Start(from)).await?;
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK);
    Ok(stream.map_err(Error::input).boxed())
}

/// What `docker login` has kept for the registry, in its file or by its helper program.
async fn credentials(name: &Reference) -> Result<Vec<Credential>> {
    let config = DockerConfig::read_default(|name| std::env::var_os(name))?;
    let registry = match name.registry() {
        "docker.io" => "https://index.docker.io/v1/",
        other => other,
    };
    if let Some(helper) = config.helper(registry) {
        let (helper, registry) = (helper.to_owned(), registry.to_owned());
        let kept = tokio::task::spawn_blocking(move || ask(&helper, &registry)).await??;
        if let Some(kept) = kept {
            return Ok(vec![kept]);
        }
    }
    Ok(config.credentials(name))
}

/// A helper's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// Asks `docker-credential-HELPER get`. It fails where it has nothing for the registry.
fn ask(helper: &str, registry: &str) -> Result<Option<Credential>> {
    let program = format!("docker-credential-{helper}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| program.clone())?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(registry.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Ok(None);
    }
    let Ok(kept) = serde_json::from_slice::<Kept>(&output.stdout) else {
        bail!("{program}: what it says about {registry} is no credential");
    };
    // By convention, the secret is an identity token then.
    Ok(Some(if kept.username == "<token>" {
        Credential::identity_token(kept.secret)
    } else {
        Credential::basic(kept.username, kept.secret)
    }))
}
