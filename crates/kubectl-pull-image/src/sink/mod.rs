//! Where an image is delivered.

mod folder;
mod load;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::archive;
use crate::cache::{Cache, write_whole};
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
}

/// Programs that take an archive with `load`, in the order in which they are looked for.
const LOADERS: &[&str] = &["docker", "podman", "nerdctl"];

impl Sink {
    /// Reads it, or finds one of this machine.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: Option<&str>) -> Result<Self> {
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
    pub fn deliver(&self, images: &[Image], cache: &Cache) -> Result<()> {
        match self {
            Self::Load(program) => load::load(program, images, cache),
            Self::Archive(path) => write_whole(path, |file| {
                archive::write(
                    std::io::BufWriter::with_capacity(1 << 20, file),
                    images,
                    cache,
                )
            }),
            Self::Folder(path) => folder::write(path, images, cache),
            Self::Output => archive::write(std::io::stdout().lock(), images, cache),
        }
    }

    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Load(program) => program.clone(),
            Self::Archive(path) | Self::Folder(path) => path.display().to_string(),
            Self::Output => "standard output".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        let parse = |text: &str| Sink::parse(Some(text));
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
        for bad in ["", "oci:", "containerd", "tar:x"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(
                error.contains(&format!("'{bad}'")) && error.contains("oci-archive:FILE"),
                "{error}"
            );
        }
    }
}
