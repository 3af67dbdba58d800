//! Images and containers that do nothing but sleep.

use serde_json::{Value, json};

use super::cluster::repository;
use crate::image::{Config, Entry, Image, Layer, architecture};

/// The program in it.
///
/// # Panics
/// When it was not built.
pub fn program() -> Entry {
    let program = std::fs::read(repository().join("bin/kip-sleep"));
    let program = program.expect("make build makes bin/kip-sleep");
    Entry::file("sleep", program).with_mode(0o555)
}

/// An image of these layers, one of which has the program.
///
/// # Panics
/// Never: such an image can be made.
pub fn image(layers: Vec<Layer>) -> Image {
    let config = Config {
        entrypoint: vec!["/sleep".to_owned(), "24h".to_owned()],
        ..Config::default()
    };
    Image::of(architecture(), layers, &config).expect("an image can be made")
}

/// A container that the Pod Security level `restricted` admits.
pub fn container(name: &str, image: &str) -> Value {
    json!({
        "name": name, "image": image,
        "resources": {"requests": {"cpu": "1m", "memory": "4Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        },
    })
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
