//! Layers by real builders, unpacked as a node unpacks them, are made again from their files.
//!
//! It needs root (devices, attributes, overlay mounts) and `go`, `buildah`, `umoci`, GNU tar, `bsdtar`, `python3`, `setcap`,
//! `setfattr`.

#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "what a test is made of may end it"
)]

mod cases;
mod lab;

use std::io::Read as _;
use std::path::Path;

use kip_agent::pieces::Joined;
use kip_agent::protocol::{Profile, Rebuilt};
use kip_agent::rebuild::{pieces, prove};

use cases::{CASES, Case, Expected};
use lab::{Lab, Layer, digest};

#[test]
#[ignore = "needs root, Go, buildah, umoci, bsdtar"]
fn layers_of_real_builders_are_made_again() {
    let lab = Lab::new();
    let mut wrong = Vec::new();
    println!("{:<44} {:<8} {:>5}  form", "layer", "", "tried");
    for case in CASES {
        let layer = lab.make(case);
        let rebuilt = prove_it(&layer);
        let outcome = if rebuilt.is_proven {
            "proven"
        } else {
            "rebuilt"
        };
        let (name, profile) = (case.name, &rebuilt.profile);
        let why = match case.expected {
            Expected::Lost(why) => format!("({why})"),
            Expected::Proven => format!("{}, {}", profile.name, profile.whiteout_time),
        };
        println!("{name:<44} {outcome:<8} {:>5}  {why}", rebuilt.tried);
        if let Err(what) = check(&lab, case, &layer, &rebuilt) {
            wrong.push(format!("{name}: {what}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn prove_it(layer: &Layer) -> Rebuilt {
    let mut beats = 0;
    let working = &mut || {
        beats += 1;
        Ok(())
    };
    prove(&layer.top, &layer.diff_id, &layer.created, working).unwrap()
}

fn check(lab: &Lab, case: &Case, layer: &Layer, rebuilt: &Rebuilt) -> Result<(), String> {
    let tar = read(&layer.top, &rebuilt.profile, 0);
    if digest(&tar) != rebuilt.digest || tar.len() as u64 != rebuilt.size {
        return Err("what is read is not what was said".to_owned());
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..24 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let offset = usize::try_from(state).unwrap() % (tar.len() + 2);
        let rest = read(&layer.top, &rebuilt.profile, offset as u64);
        if rest != tar[offset.min(tar.len())..] {
            return Err(format!("from {offset} on it is another tar"));
        }
    }
    match (case.expected, rebuilt.is_proven) {
        (Expected::Proven, true) if tar == layer.tar => Ok(()),
        (Expected::Proven, true) => Err("proven, and not the same".to_owned()),
        (Expected::Proven, false) => Err(format!("not proven: {}", layer.diff_id)),
        (Expected::Lost(_), true) => Err("proven, which was held to be impossible".to_owned()),
        (Expected::Lost(_), false) => lab.compare(layer, &tar),
    }
}

fn read(top: &Path, profile: &Profile, offset: u64) -> Vec<u8> {
    let pieces = pieces(top, profile).unwrap();
    let mut bytes = Vec::new();
    Joined::from_offset(pieces, offset)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}
