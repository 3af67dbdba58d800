//! What it costs to read a layer of many files piece by piece, as clients do, beside reading it at once.
#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test is made of may end it"
)]

use std::fs::{File, create_dir_all, write};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::GzEncoder};
use kip_agent::protocol::{Part, Profile, Request, StoreKind};
use kip_agent::serve::serve;
use kip_agent::store::{Pieces, Store};
use kip_agent::{rebuild, tar_split};

const FILES: usize = 20_000;

/// Of each file: with the headers some 200 MB in all.
const SIZE: usize = 9728;

/// How much clients ask for at a time.
const PIECE: u64 = 8 << 20;

/// A layer's files and its tar-split.
struct Layer {
    files: PathBuf,
    tar_split: PathBuf,
}

impl Layer {
    fn new(folder: &Path) -> Self {
        let (files, tar_split) = (folder.join("files"), folder.join("tar-split.gz"));
        let lines = File::create(&tar_split).unwrap();
        let mut lines = GzEncoder::new(lines, Compression::fast());
        let mut header = [0; 512];
        header[124..135].copy_from_slice(format!("{SIZE:011o}").as_bytes());
        header[156] = b'0';
        let header = STANDARD.encode(header);
        for number in 0..FILES {
            let name = format!("{}/{number}", number / 100);
            let path = files.join(&name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, vec![b'x'; SIZE]).unwrap();
            writeln!(lines, r#"{{"type":2,"payload":"{header}"}}"#).unwrap();
            writeln!(lines, r#"{{"type":1,"name":"{name}","size":{SIZE}}}"#).unwrap();
        }
        lines.finish().unwrap();
        Self { files, tar_split }
    }
}

impl Store for Layer {
    fn kind(&self) -> StoreKind {
        StoreKind::Docker
    }

    fn pieces(&self, part: &Part) -> io::Result<Option<Pieces>> {
        let pieces: Pieces = match part {
            Part::Blob { .. } => return Ok(None),
            Part::TarSplit { .. } => {
                let tar = tar_split::TarSplit::open(&self.tar_split, &self.files)?;
                Box::new(tar)
            }
            Part::Snapshot { profile, .. } => rebuild::pieces(&self.files, profile)?,
        };
        Ok(Some(pieces))
    }
}

/// How many bytes there were.
#[derive(Default)]
struct Count(u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long it takes to answer these requests, one after the other, with so many bytes.
fn time(layer: Layer, requests: &[Request], size: u64) -> (Layer, Duration) {
    let mut input = Vec::new();
    let mut out = Count::default();
    for request in requests {
        serde_json::to_writer(&mut input, request).unwrap();
        input.push(b'\n');
    }
    let files = (layer.files.clone(), layer.tar_split.clone());
    let stores: [Box<dyn Store>; 1] = [Box::new(layer)];
    let started = Instant::now();
    serve(&stores, &mut input.as_slice(), &mut out).unwrap();
    assert!((size..size + size / 50).contains(&out.0), "{} bytes", out.0);
    let (files, tar_split) = files;
    (Layer { files, tar_split }, started.elapsed())
}

#[test]
#[ignore = "prints figures"]
fn a_layer_is_read_piece_by_piece() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut layer = Layer::new(folder.path());
    let profile = Profile {
        name: "containerd".to_owned(),
        whiteout_time: 0,
    };
    let chain_id = String::new();
    for (name, part) in [
        (
            "rebuilt",
            Part::Snapshot {
                chain_id: chain_id.clone(),
                profile,
            },
        ),
        ("tar-split", Part::TarSplit { chain_id }),
    ] {
        let request = |offset, length| Request::Read {
            part: part.clone(),
            offset,
            length,
            compress: false,
        };
        // So many bytes at least.
        let size = (FILES * (SIZE + 512)) as u64;
        let one_by_one: Vec<_> = (0..size / PIECE)
            .map(|at| request(at * PIECE, PIECE))
            .collect();
        // As one of four connections does, among which the pieces are dealt out.
        let each_fourth: Vec<_> = one_by_one.iter().step_by(4).cloned().collect();
        let at_once = vec![request(0, one_by_one.len() as u64 * PIECE)];
        for (what, requests, pieces) in [
            ("at once", &at_once, one_by_one.len()),
            ("piece by piece", &one_by_one, one_by_one.len()),
            ("each fourth piece", &each_fourth, each_fourth.len()),
        ] {
            let took;
            (layer, took) = time(layer, requests, pieces as u64 * PIECE);
            println!("{name}, {what}: {pieces} pieces, {took:.2?}");
        }
    }
}
