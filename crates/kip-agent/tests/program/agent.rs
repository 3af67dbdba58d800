//! A running agent, and what else tests are made of.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kip_agent::documents::sha256;
use kip_agent::protocol::{
    HEADER, Header, Image, Kind, Layer, Part, Rebuilt, Request, Wanted, check,
};
use serde::de::DeserializeOwned;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kip-agent");

/// A running agent.
pub(crate) struct Agent(pub(crate) Child);

impl Agent {
    pub(crate) fn start(command: &mut Command) -> Self {
        let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(streams.stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Over the folder.
    pub(crate) fn flat(folder: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        Self::start(command.arg("flat").arg(folder).arg("60").args(options))
    }

    /// The bytes that it answers with, or what it says went wrong.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Vec<u8>, String> {
        let mut line = serde_json::to_vec(request).unwrap();
        line.push(b'\n');
        self.0.stdin.as_mut().unwrap().write_all(&line).unwrap();
        let mut all = Vec::new();
        loop {
            let out = self.0.stdout.as_mut().unwrap();
            let mut header = [0; HEADER];
            out.read_exact(&mut header).unwrap();
            let header = Header::parse(header).unwrap();
            let mut bytes = vec![0; header.wire_size as usize];
            out.read_exact(&mut bytes).unwrap();
            check(&header, &bytes).unwrap();
            match header.kind {
                Kind::Working => {}
                Kind::Data => all.extend(bytes),
                Kind::Answer => return Ok([all, bytes].concat()),
                Kind::End => return Ok(all),
                Kind::Error => return Err(String::from_utf8(bytes).unwrap()),
            }
        }
    }

    pub(crate) fn get<T: DeserializeOwned>(&mut self, request: &Request) -> T {
        serde_json::from_slice(&self.ask(request).unwrap()).unwrap()
    }

    pub(crate) fn image(&mut self) -> Image {
        let wanted = Wanted {
            digest: None,
            name: Some("any:1".to_owned()),
        };
        self.get(&Request::Find { wanted })
    }

    pub(crate) fn rebuild(&mut self) -> Result<(Layer, Rebuilt), String> {
        let layer = self.image().layers.remove(0);
        let request = Request::Rebuild {
            layer: layer.clone(),
            created: vec![1],
        };
        let answer = self.ask(&request)?;
        Ok((layer, serde_json::from_slice(&answer).unwrap()))
    }

    /// The tar from an offset on.
    pub(crate) fn read(
        &mut self,
        layer: &Layer,
        rebuilt: &Rebuilt,
        offset: u64,
    ) -> Result<Vec<u8>, String> {
        self.ask(&Request::Read {
            part: Part::Snapshot {
                chain_id: layer.chain_id.clone(),
                profile: rebuilt.profile.clone(),
            },
            offset,
            length: u64::MAX,
            compress: false,
        })
    }

    /// What was said of the tar, and its bytes.
    pub(crate) fn tar(&mut self) -> (Rebuilt, Vec<u8>) {
        let (layer, rebuilt) = self.rebuild().unwrap();
        let tar = self.read(&layer, &rebuilt, 0).unwrap();
        assert_eq!(
            (sha256(&tar), tar.len() as u64),
            (rebuilt.digest.clone(), rebuilt.size)
        );
        for offset in [1, 511, 700, 2048, 5000, tar.len() + 9] {
            let rest = self.read(&layer, &rebuilt, offset as u64).unwrap();
            assert!(rest == tar[offset.min(tar.len())..], "from {offset} on");
        }
        (rebuilt, tar)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn shell(folder: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn is_root() -> bool {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        println!("left out: root is needed to become another user, and to make what only root can");
    }
    is_root
}
