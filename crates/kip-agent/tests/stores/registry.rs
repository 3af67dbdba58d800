//! As much of a registry as a pull needs, for one image in an OCI layout.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use kip_agent::documents::sha256;
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// It answers until the test ends.
pub(crate) struct Registry {
    /// Host and port.
    pub(crate) address: String,
    /// The digest of the image's index: what a tag means.
    pub(crate) index: String,
    /// The digest of the manifest in it.
    pub(crate) manifest: String,
}

impl Registry {
    pub(crate) fn serve(layout: &Path) -> Self {
        let blobs = layout.join("blobs/sha256");
        let read = |path: &Path| -> Value {
            let bytes = std::fs::read(path).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        let blob = |of: &Value| read(&blobs.join(&of["digest"].as_str().unwrap()[7..]));
        let mut manifest = read(&layout.join("index.json"))["manifests"][0].clone();
        let architecture = blob(&blob(&manifest)["config"])["architecture"].clone();
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
        let index = index.to_string();
        let digest = sha256(index.as_bytes());
        std::fs::write(blobs.join(&digest[7..]), index).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let of_tag = digest.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (blobs, of_tag) = (blobs.clone(), of_tag.clone());
                // A client that goes away is no failure.
                std::thread::spawn(move || answer(stream?, &blobs, &of_tag));
            }
        });
        Self {
            address,
            index: digest,
            manifest: manifest["digest"].as_str().unwrap().to_owned(),
        }
    }
}

fn answer(mut stream: TcpStream, blobs: &Path, of_tag: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while !lines.next().transpose()?.unwrap_or_default().is_empty() {}
    let mut words = request.split(' ');
    let (method, path) = (words.next(), words.next().unwrap_or_default());
    let last = path.rsplit('/').next().unwrap_or_default();
    let digest = if last.starts_with("sha256:") {
        last
    } else {
        of_tag
    };
    let blob = || std::fs::read(blobs.join(&digest[7..]));
    let (kind, body) = match path.split('/').rev().nth(1) {
        Some("manifests") if digest == of_tag => (INDEX, blob()),
        Some("manifests") => (MANIFEST, blob()),
        Some("blobs") => ("application/octet-stream", blob()),
        _ => ("application/json", Ok(b"{}".to_vec())),
    };
    let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {digest}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != Some("HEAD") {
        stream.write_all(&body)?;
    }
    Ok(())
}
