//! The JSON of images: indexes, manifests, configurations. Only what is needed of them.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kip_image::{Platform, PlatformMatcher};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::protocol::{Blob, Document};

/// The most bytes that a document has. Registries take no larger manifest than 4 MiB.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// Any of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Any {
    /// As it says itself.
    pub media_type: Option<String>,
    /// An index has these.
    pub manifests: Vec<Descriptor>,
    /// A manifest has it.
    pub config: Option<serde_json::Value>,
    /// A manifest has these.
    pub layers: Vec<Descriptor>,
    /// A configuration has it.
    pub rootfs: Option<RootFs>,
}

/// What another document is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// What it is made for.
    pub platform: Option<WirePlatform>,
}

/// A platform, as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WirePlatform {
    os: String,
    architecture: String,
    variant: String,
}

/// The layers of a configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// The digests of their uncompressed tars, the lowest first.
    pub diff_ids: Vec<String>,
}

impl Any {
    /// Reads it. What is no such document has none of its parts.
    pub fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The descriptor of a manifest's configuration.
    pub fn config(&self) -> Option<Descriptor> {
        // By its text: to read it from the value would be code of its own, and the agent is small.
        let config = serde_json::to_vec(self.config.as_ref()?).ok()?;
        let config: Descriptor = serde_json::from_slice(&config).ok()?;
        (!config.digest.is_empty()).then_some(config)
    }

    /// The layers of a configuration.
    pub fn diff_ids(&self) -> Option<&[String]> {
        self.rootfs
            .as_ref()
            .map(|rootfs| rootfs.diff_ids.as_slice())
    }

    /// The manifests of an index that this machine may run, best first, and then all the others: an image for another platform
    /// may have been pulled as well.
    pub fn manifests_for(&self, machine: &Platform) -> Vec<Descriptor> {
        let platforms: Vec<_> = self.manifests.iter().map(Descriptor::platform).collect();
        let mut order = PlatformMatcher::new(machine).candidates(&platforms);
        let others: Vec<_> = (0..platforms.len())
            .filter(|at| !order.contains(at))
            .collect();
        order.extend(others);
        order
            .into_iter()
            .map(|at| self.manifests[at].clone())
            .collect()
    }
}

impl Descriptor {
    fn platform(&self) -> Option<Platform> {
        let platform = self.platform.as_ref()?;
        let known = Platform::new(&platform.os, &platform.architecture);
        Some(known.with_variant(&platform.variant))
    }

    /// For the protocol.
    pub fn to_blob(&self) -> Blob {
        Blob {
            digest: self.digest.clone(),
            size: self.size,
            media_type: self.media_type.clone(),
        }
    }
}

/// This machine's platform.
pub fn machine() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Platform::new("linux", architecture)
}

/// For the protocol.
pub fn document(bytes: &[u8], digest: &str, media_type: Option<String>) -> Document {
    Document {
        media_type,
        digest: digest.to_owned(),
        bytes: STANDARD.encode(bytes),
    }
}

/// The digest of these bytes.
pub fn sha256(bytes: &[u8]) -> String {
    of_hash(Sha256::digest(bytes).as_slice())
}

/// The digest with this hash.
pub fn of_hash(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in hash {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The chain IDs of layers with these diff IDs: each is the name of a layer together with all below it.
pub fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::new();
    for diff_id in diff_ids {
        chain.push(match chain.last() {
            None => diff_id.clone(),
            Some(below) => sha256(format!("{below} {diff_id}").as_bytes()),
        });
    }
    chain
}

/// The hexadecimal digits of a digest that may be part of a path.
///
/// # Errors
/// When it is no digest: it comes from a client or an image.
pub fn hex(digest: &str) -> io::Result<&str> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() == 64 && hex.bytes().all(is_hex) {
        return Ok(hex);
    }
    let what = format!("'{digest}' is no digest that is known here, such as sha256: and 64 digits");
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_those_of_the_image_specification() {
        let diff_ids: Vec<String> = ["sha256:a", "sha256:b", "sha256:c"]
            .map(String::from)
            .into();
        let chain = chain_ids(&diff_ids);
        assert_eq!(chain[0], "sha256:a");
        assert_eq!(chain[1], sha256(b"sha256:a sha256:b"));
        assert_eq!(
            chain[2],
            sha256(format!("{} sha256:c", chain[1]).as_bytes())
        );
    }

    #[test]
    fn only_a_digest_becomes_a_path() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(hex(&good).unwrap(), "0a".repeat(32));
        for bad in [
            "",
            "sha256:",
            "sha256:../../etc",
            &good.to_uppercase(),
            &good[..70],
        ] {
            assert!(hex(bad).unwrap_err().to_string().contains(bad), "{bad}");
        }
    }
}
