//! Where an image is delivered.

mod folder;
mod load;
mod registry;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use crate::archive;
use crate::cache::{Cache, partial, write_whole};
use crate::failure::{Status, failure};
use crate::image::Image;

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

/// Programs that take an archive with `load`, in the order in which they are looked for.
const LOADERS: &[&str] = &["docker", "podman", "nerdctl"];

impl Sink {
    /// Reads it, or finds one of this machine.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: Option<&str>, plain_http: &[String]) -> Result<Self> {
        let Some(text) = text else {
            let found = LOADERS.iter().find(|name| load::is_here(name));
            return found.map(|name| Self::Load((*name).to_owned())).ok_or_else(|| {
                let text = "there is no docker, podman or nerdctl on this machine: say where to with --to, for example \
                            --to oci-archive:image.tar";
                failure(Status::Sink, text)
            });
        };
        Ok(match text.split_once(':') {
            None if text == "-" => Self::Output,
            None if LOADERS.contains(&text) => Self::Load(text.to_owned()),
            Some(("oci-archive" | "docker-archive", path)) if !path.is_empty() => {
                Self::Archive(path.into())
            }
            Some(("oci", path)) if !path.is_empty() => Self::Folder(path.into()),
            Some(("registry", name)) if name.starts_with("//") => {
                let name = kip_image::Reference::parse(&name[2..])
                    .with_context(|| format!("--to '{text}'"))?;
                Self::Registry(registry::Registry {
                    name: name.with_default_tag(),
                    plain_http: plain_http.to_vec(),
                })
            }
            _ => bail!(
                "--to '{text}': it is one of docker, podman, nerdctl, oci-archive:FILE, docker-archive:FILE, oci:FOLDER, \
                 registry://NAME, -"
            ),
        })
    }

    /// Delivers the images.
    ///
    /// # Errors
    /// When it cannot take them.
    pub async fn deliver(&self, images: Vec<Image>, cache: &Arc<Cache>) -> Result<()> {
        if let Self::Registry(registry) = self {
            return registry::deliver(registry, &images, cache).await;
        }
        let (sink, cache) = (self.clone(), cache.clone());
        tokio::task::spawn_blocking(move || sink.write(&images, &cache)).await?
    }

    fn write(&self, images: &[Image], cache: &Cache) -> Result<()> {
        match self {
            Self::Load(program) => load::load(program, images, cache),
            Self::Archive(path) => write_whole(path, |file| {
                let out = std::io::BufWriter::with_capacity(1 << 20, file);
                archive::write(out, images, cache)
            }),
            Self::Folder(path) => folder::write(path, images, cache),
            Self::Output => archive::write(std::io::stdout().lock(), images, cache),
            Self::Registry(_) => bail!("a registry is no file"),
        }
    }

    /// Removes what an interrupted delivery would leave.
    pub fn give_up(&self) {
        if let Self::Archive(path) = self {
            // It may not have begun.
            let _ = std::fs::remove_file(partial(path));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        let parse = |text: &str| Sink::parse(Some(text), &[]);
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
