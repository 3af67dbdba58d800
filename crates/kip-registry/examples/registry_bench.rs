//! What `hack/bench/registry.sh` measures with: makes an image, copies one, and is a registry that discards.
//!
//! ```text
//! registry_bench seed HOST/NAME:TAG LAYERS BYTES   an image of so many layers of so many bytes
//! registry_bench copy SOURCE TARGET                both over plain HTTP
//! registry_bench resolve HOST/NAME:TAG COUNT       so often, eight at a time; prints how many in a second
//! registry_bench discard                           prints its address, and takes everything
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "it ends where it cannot measure"
)]

use std::io::Write;
use std::time::Instant;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{TryStreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kip_image::{Digest, Reference};
use kip_registry::{Client, Manifest, Options, Place, Progress, Settings, copy, media_type};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["seed", name, layers, bytes] => {
            seed(&Reference::parse(name)?, layers.parse()?, bytes.parse()?).await
        }
        ["copy", source, target] => {
            transfer(&Reference::parse(source)?, &Reference::parse(target)?).await
        }
        ["resolve", name, count] => resolve(&Reference::parse(name)?, count.parse()?).await,
        ["discard"] => discard().await,
        _ => Err("see the head of examples/registry_bench.rs".into()),
    }
}

fn client(references: &[&Reference]) -> Result<Client, Failure> {
    let plain_http = references
        .iter()
        .map(|reference| reference.registry().to_owned())
        .collect();
    Ok(Client::new(Settings {
        plain_http,
        ..Settings::default()
    })?)
}

/// The image of `copy`, whatever it has.
async fn transfer(source: &Reference, target: &Reference) -> Result<(), Failure> {
    let client = client(&[source, target])?;
    let place = |reference| Place {
        reference,
        credentials: &[],
    };
    copy(
        &client,
        place(source),
        place(target),
        &Options::default(),
        &Progress::none(),
    )
    .await?;
    Ok(())
}

/// As the puller asks what its tags stand for.
async fn resolve(name: &Reference, count: u32) -> Result<(), Failure> {
    let client = client(&[name])?;
    let began = Instant::now();
    stream::iter((0..count).map(Ok))
        .try_for_each_concurrent(8, |_| async { client.resolve(name, &[]).await.map(drop) })
        .await?;
    println!("{:.0}", f64::from(count) / began.elapsed().as_secs_f64());
    Ok(())
}

/// Layers are compressed, as those of real images are, and cannot be made smaller.
async fn seed(name: &Reference, layers: u64, bytes: usize) -> Result<(), Failure> {
    let client = client(&[name])?;
    let mut descriptors = Vec::new();
    for seed in 0..layers {
        let mut content = vec![0; bytes];
        fastrand::Rng::with_seed(seed).fill(&mut content);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(&content)?;
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        descriptors.push(store(&client, name, layer, gzip.finish()?.into()).await?);
    }
    let config =
        r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = store(
        &client,
        name,
        "application/vnd.oci.image.config.v1+json",
        config.into(),
    )
    .await?;
    let kind = media_type::OCI_MANIFEST;
    let bytes = Bytes::from(format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{config},"layers":[{}]}}"#,
        descriptors.join(",")
    ));
    let manifest = Manifest {
        digest: digest(&bytes)?,
        bytes,
        media_type: kind.to_owned(),
    };
    client.put_manifest(name, &manifest, &[]).await?;
    Ok(())
}

/// Uploads a blob, and returns its descriptor.
async fn store(
    client: &Client,
    name: &Reference,
    media_type: &str,
    bytes: Bytes,
) -> Result<String, Failure> {
    let (digest, size) = (digest(&bytes)?, bytes.len());
    client
        .upload(name, &digest, size as u64, &bytes, &[])
        .await?;
    Ok(format!(
        r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#
    ))
}

fn digest(bytes: &[u8]) -> Result<Digest, Failure> {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex = hash
        .as_ref()
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    Ok(Digest::parse(&format!("sha256:{hex}"))?)
}

/// A registry that has nothing, takes everything, and looks at none of it.
async fn discard() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client may go at any time.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(take))
                .await;
        });
    }
}

async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let mut read: u64 = 0;
    while let Some(frame) = body.frame().await {
        read += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    let path = head.uri.path();
    let status = match head.method {
        Method::POST | Method::PATCH => StatusCode::ACCEPTED,
        Method::PUT => StatusCode::CREATED,
        _ if path == "/v2/" => StatusCode::OK,
        _ => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let upload = path.split("/blobs/uploads/").next().unwrap_or_default();
    let headers = [
        ("location", format!("{upload}/blobs/uploads/1")),
        ("range", format!("0-{}", read.saturating_sub(1))),
        ("docker-distribution-api-version", "registry/2.0".to_owned()),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a header of plain text"));
    }
    Ok(response)
}
