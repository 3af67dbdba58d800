//! One image, mounted as a whole: what an image volume of Kubernetes gives to a pod without any right on the node.
//!
//! There are neither its layers nor its documents. The configuration is made from what this process has, whose container is of the
//! same image: its environment and its folder.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Looking, Pieces, Store};
use crate::documents::{document, machine, sha256};
use crate::pieces::of_path;
use crate::protocol::{Image, Kept, Layer, Part, Rebuilt, StoreKind, Wanted};
use crate::rebuild;

/// What stands where a tar's digest will: nobody knows it before the tar is made.
pub const PLACEHOLDER: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// The media type of a configuration.
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";

/// What Kubernetes and container runtimes add to an image's environment.
const ADDED: [&str; 6] = [
    "HOSTNAME",
    "TERM",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "KUBERNETES_SERVICE_PORT_HTTPS",
    "KUBERNETES_PORT",
];

/// Several more of them begin with this.
const ADDED_PORT: &str = "KUBERNETES_PORT_443_TCP";

/// An image's merged root file system.
pub struct Flat {
    folder: PathBuf,
    skips: bool,
}

impl Flat {
    /// That in this folder. Where `skips`, files that cannot be read are left out of the tar.
    ///
    /// # Errors
    /// When it is no folder.
    pub fn open(folder: &Path, skips: bool) -> io::Result<Self> {
        let metadata = std::fs::metadata(folder).map_err(|error| of_path(folder, error))?;
        if !metadata.is_dir() {
            let error = io::Error::new(io::ErrorKind::NotADirectory, "it is no folder");
            return Err(of_path(folder, error));
        }
        Ok(Self {
            folder: folder.to_owned(),
            skips,
        })
    }
}

impl Store for Flat {
    fn kind(&self) -> StoreKind {
        StoreKind::Flat
    }

    /// There is one image, whatever it is called.
    fn find(&self, _: &Wanted, _: &mut Looking<'_>) -> io::Result<Option<Image>> {
        let config = config(std::env::vars_os(), &std::env::current_dir()?)?;
        Ok(Some(Image {
            names: Vec::new(),
            store: self.kind(),
            manifest: None,
            index: None,
            config: document(&config, &sha256(&config), Some(CONFIGURATION.to_owned())),
            layers: vec![Layer {
                diff_id: PLACEHOLDER.to_owned(),
                chain_id: PLACEHOLDER.to_owned(),
                blob: None,
                kept: Kept::Snapshot,
            }],
        }))
    }

    fn pieces(&self, part: &Part) -> io::Result<Option<Pieces>> {
        let Part::Snapshot { profile, .. } = part else {
            return Ok(None);
        };
        rebuild::merged_pieces(&self.folder, profile, self.skips).map(Some)
    }

    fn rebuild(
        &self,
        _: &Layer,
        _: &[i64],
        working: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Option<Rebuilt>> {
        rebuild::merged(&self.folder, self.skips, working).map(Some)
    }
}

#[derive(Serialize)]
struct Configuration {
    os: String,
    architecture: String,
    config: Defaults,
    rootfs: RootFs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Defaults {
    env: Vec<String>,
    working_dir: String,
}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: [&'static str; 1],
}

/// An image's configuration, from what a process in its container has.
fn config(
    environment: impl Iterator<Item = (OsString, OsString)>,
    folder: &Path,
) -> io::Result<Vec<u8>> {
    // A configuration has no other text than UTF-8.
    let environment = environment.filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        is_the_images(&name, &value).then(|| format!("{name}={value}"))
    });
    let mut env: Vec<_> = environment.collect();
    env.sort();
    let machine = machine();
    let configuration = Configuration {
        os: machine.os,
        architecture: machine.architecture,
        config: Defaults {
            env,
            working_dir: folder.to_string_lossy().into_owned(),
        },
        rootfs: RootFs {
            r#type: "layers",
            diff_ids: [PLACEHOLDER],
        },
    };
    Ok(serde_json::to_vec(&configuration)?)
}

fn is_the_images(name: &str, value: &str) -> bool {
    match name {
        // A runtime gives it to a process that has none, from the image's list of users.
        "HOME" => !["/", "/root"].contains(&value),
        _ => !ADDED.contains(&name) && !name.starts_with(ADDED_PORT),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use serde_json::{Value, json};

    use super::*;

    fn made(environment: &[(&str, &str)], folder: &str) -> Value {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let bad = ("BAD".into(), OsString::from_vec(vec![b'a', 0xff]));
        let made = config(environment.chain([bad]), Path::new(folder));
        serde_json::from_slice(&made.unwrap()).unwrap()
    }

    #[test]
    fn the_configuration_has_what_the_image_gave_and_not_what_others_added() {
        let environment = [
            ("PATH", "/bin:/x=y"),
            ("HOSTNAME", "pod-1"),
            ("TERM", "xterm"),
            ("HOME", "/root"),
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("KUBERNETES_SERVICE_PORT", "443"),
            ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
            ("KUBERNETES_PORT", "tcp://10.0.0.1:443"),
            ("KUBERNETES_PORT_443_TCP", "tcp://10.0.0.1:443"),
            ("KUBERNETES_PORT_443_TCP_ADDR", "10.0.0.1"),
            ("KUBERNETES_VERSION", "the image's"),
            ("EMPTY", ""),
        ];
        let made = made(&environment, "/srv/app");
        let expected = json!({
            "os": "linux",
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "config": {
                "Env": ["EMPTY=", "KUBERNETES_VERSION=the image's", "PATH=/bin:/x=y"],
                "WorkingDir": "/srv/app",
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", "0".repeat(64))]},
        });
        assert_eq!(made, expected);
    }

    #[test]
    fn a_home_that_no_runtime_gives_by_itself_stays() {
        for (home, expected) in [("/", json!([])), ("/home/app", json!(["HOME=/home/app"]))] {
            let made = made(&[("HOME", home)], "/");
            assert_eq!(made["config"]["Env"], expected);
        }
    }
}
