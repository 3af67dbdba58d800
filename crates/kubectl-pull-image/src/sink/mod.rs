//! Where an image is delivered.

mod folder;
mod load;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kip_image::{Digest, Reference};

use crate::archive;
use crate::cache::Cache;
use crate::failure::{Failure, Status, failure, usage};
use crate::image::{Image, Origin};
use crate::interrupt::Interrupt;
use crate::progress::Voice;
use crate::whole_file::{self, Interruptible};

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A program that reads an archive: `docker load`.
    Load(String),
    /// An archive in a file. One form is for all.
    Archive(PathBuf),
    /// An OCI layout.
    Folder(PathBuf),
    /// An archive on standard output.
    Output,
    /// Straight into a registry.
    Registry(registry::Registry),
}

/// How long is waited for what is interrupted to clean up.
const END: Duration = Duration::from_secs(2);

/// Programs that take an archive with `load`, in the order in which they are looked for.
const LOADERS: &[&str] = &["docker", "podman", "nerdctl"];

impl Sink {
    /// The first program of this machine that takes an archive.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_machine() -> Result<Self> {
        let found = LOADERS.iter().find(|name| load::is_here(name));
        found.map(|name| Self::Load((*name).to_owned())).ok_or_else(|| {
            let text = "there is no docker, podman or nerdctl on this machine: say where to with --to, for example \
                        --to oci-archive:image.tar";
            failure(Status::Sink, text)
        })
    }

    /// Reads what the command line says.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str, plain_http: &[String]) -> Result<Self> {
        Ok(match text.split_once(':') {
            None if text == "-" => Self::Output,
            None if LOADERS.contains(&text) => Self::Load(text.to_owned()),
            Some(("oci-archive" | "docker-archive", path)) if !path.is_empty() => {
                Self::Archive(path.into())
            }
            Some(("oci", path)) if !path.is_empty() => Self::Folder(path.into()),
            Some(("registry", name)) if name.starts_with("//") => {
                let name = Reference::parse(&name[2..]);
                let name = name.map_err(|error| usage(format!("--to '{text}': {error}")))?;
                Self::Registry(registry::Registry {
                    name: name.with_default_tag(),
                    plain_http: plain_http.to_vec(),
                })
            }
            _ => {
                let text = format!(
                    "--to '{text}': it is one of docker, podman, nerdctl, oci-archive:FILE, docker-archive:FILE, oci:FOLDER, \
                     registry://NAME, -"
                );
                return Err(usage(text));
            }
        })
    }

    /// Finds out whether it can take images, as far as that is known before there are any.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> Result<()> {
        let checked = match self {
            Self::Load(program) if !load::is_here(program) => {
                Err(anyhow::anyhow!("there is no program {program} on the PATH"))
            }
            Self::Archive(path) => whole_file::check(path),
            Self::Folder(path) if path.exists() && !path.is_dir() => {
                Err(anyhow::anyhow!("{} is no folder", path.display()))
            }
            Self::Load(_) | Self::Folder(_) | Self::Output | Self::Registry(_) => Ok(()),
        };
        checked.map_err(|error| failure(Status::Sink, format!("--to: {error:#}")))
    }

    /// Finds out whether it takes so many images.
    ///
    /// # Errors
    /// When it does not.
    pub fn takes(&self, count: usize) -> Result<()> {
        match self {
            Self::Registry(registry) if count > 1 => {
                let text = format!(
                    "registry://{}: {count} images cannot have one name; name a container with -c",
                    registry.name
                );
                Err(failure(Status::Sink, text))
            }
            _ => Ok(()),
        }
    }

    /// The images as they are best delivered there: a registry gets compressed layers.
    ///
    /// # Errors
    /// When they cannot be compressed; when it is interrupted.
    pub async fn prepare(
        &self,
        images: Vec<Image>,
        cache: &Arc<Cache>,
        interrupt: &Interrupt,
        voice: Voice,
    ) -> Result<Vec<Image>> {
        if !matches!(self, Self::Registry(_)) {
            return Ok(images);
        }
        let layers = images.iter().flat_map(|image| &image.layers);
        let tars = layers.filter(|layer| layer.origin != Origin::Blob);
        let tars: BTreeSet<_> = tars.map(|layer| layer.descriptor.digest.clone()).collect();
        if !tars.is_empty() {
            voice.say(&format!(
                "compressing {} layers for the registry",
                tars.len()
            ));
        }
        let pack = |tar: Digest| {
            let (cache, own) = (cache.clone(), interrupt.clone());
            tokio::task::spawn_blocking(move || Ok((tar.clone(), cache.pack(&tar, &own)?)))
        };
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let packing = stream::iter(tars).map(pack).buffer_unordered(at_once);
        let packed: Vec<Result<_>> = packing.try_collect().await?;
        let packed: Result<BTreeMap<_, _>> = packed.into_iter().collect();
        let packed = as_interrupted(packed, interrupt)?;
        let of = |tar: &Digest| {
            packed
                .get(tar)
                .cloned()
                .context("a tar that was not compressed")
        };
        images.into_iter().map(|image| image.packed(of)).collect()
    }

    /// Delivers the images.
    ///
    /// # Errors
    /// When it cannot take them; when it is interrupted.
    pub async fn deliver(
        &self,
        images: Vec<Image>,
        cache: &Arc<Cache>,
        interrupt: &Interrupt,
    ) -> Result<()> {
        if let Self::Registry(registry) = self {
            let push = async {
                for image in &images {
                    registry.push(image, cache).await?;
                }
                Ok(())
            };
            return interrupt.or(push).await;
        }
        let (sink, cache, own) = (self.clone(), cache.clone(), interrupt.clone());
        let mut writing = tokio::task::spawn_blocking(move || sink.write(&images, &cache, &own));
        let written = tokio::select! {
            written = &mut writing => written?,
            error = interrupt.wait() => {
                // Who reads a pipe may have stopped: then the writing does not end before this program does.
                let _ = tokio::time::timeout(END, writing).await;
                return Err(error);
            }
        };
        as_interrupted(written, interrupt)
    }

    fn write(&self, images: &[Image], cache: &Cache, interrupt: &Interrupt) -> Result<()> {
        match self {
            Self::Load(program) => load::load(program, images, cache, interrupt),
            Self::Archive(path) => whole_file::write(path, interrupt, |file| {
                let out = std::io::BufWriter::with_capacity(1 << 20, file);
                archive::write(out, images, cache)
            }),
            Self::Folder(path) => folder::write(path, images, cache, interrupt),
            Self::Output => {
                let out = Interruptible::new(std::io::stdout().lock(), interrupt);
                archive::write(out, images, cache).context("standard output")
            }
            Self::Registry(_) => bail!("a registry is no file"),
        }
    }

    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Load(program) => program.clone(),
            Self::Archive(path) | Self::Folder(path) => path.display().to_string(),
            Self::Output => "standard output".to_owned(),
            Self::Registry(registry) => registry.name.to_string(),
        }
    }
}

/// What became of the delivery: whatever fails after an interruption fails because of it.
fn as_interrupted<T>(done: Result<T>, interrupt: &Interrupt) -> Result<T> {
    done.map_err(|error| {
        if interrupt.is_set() {
            interrupt.error()
        } else if error.is::<Failure>() {
            error
        } else {
            failure(Status::Sink, format!("{error:#}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_take_images_is_found_before_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let checked = |to: String| Sink::parse(&to, &[]).unwrap().check();
        for good in [
            "oci-archive:{}/a.tar",
            "oci:{}/new",
            "oci:{}",
            "oci-archive:{}/file",
        ] {
            checked(good.replace("{}", &path.to_string())).unwrap();
        }
        for bad in ["oci-archive:{}", "oci-archive:{}/none/a.tar", "oci:{}/file"] {
            let error = checked(bad.replace("{}", &path.to_string())).unwrap_err();
            assert_eq!(crate::failure::status(&error), Status::Sink, "{bad}");
        }
        assert!(Sink::Load("no-such-engine".to_owned()).check().is_err());
    }

    #[test]
    fn each_form_is_read() {
        let parse = |text: &str| Sink::parse(text, &[]);
        assert_eq!(parse("docker").unwrap(), Sink::Load("docker".to_owned()));
        assert_eq!(parse("-").unwrap(), Sink::Output);
        assert_eq!(
            parse("oci-archive:a:b.tar").unwrap(),
            Sink::Archive("a:b.tar".into())
        );
        assert_eq!(
            parse("docker-archive:/a").unwrap(),
            Sink::Archive("/a".into())
        );
        assert_eq!(parse("oci:folder").unwrap(), Sink::Folder("folder".into()));
        let Sink::Registry(registry) = parse("registry://r.example/a").unwrap() else {
            panic!("no registry");
        };
        assert_eq!(registry.name.to_string(), "r.example/a:latest");
        let sink = parse("registry://r.example/a").unwrap();
        assert!(sink.takes(1).is_ok() && parse("-").unwrap().takes(2).is_ok());
        assert!(sink.takes(2).unwrap_err().to_string().contains("-c"));
        assert!(parse("registry://UPPER").is_err());
        for bad in ["", "oci:", "containerd", "tar:x"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(
                error.contains(&format!("'{bad}'")) && error.contains("oci-archive:FILE"),
                "{error}"
            );
        }
    }
}
