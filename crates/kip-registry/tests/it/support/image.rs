//! Images for tests.

use bytes::Bytes;
use kip_image::Digest;
use kip_registry::media_type::{OCI_INDEX, OCI_MANIFEST};

use super::fake::{Reply, Seen, status};
use super::sha256;

/// A manifest or a blob.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
}

impl Content {
    pub(crate) fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            media_type: media_type.to_owned(),
            digest: sha256(&bytes),
            bytes,
        }
    }

    pub(crate) fn descriptor(&self, more: &str) -> String {
        let Self {
            media_type,
            bytes,
            digest,
        } = self;
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}{more}}}"#,
            bytes.len()
        )
    }
}

/// An image: its manifest, configuration and layers.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) manifest: Content,
    pub(crate) blobs: Vec<Content>,
}

/// An image with layers of these bytes. The spaces show whether it is kept byte for byte.
pub(crate) fn image(layers: &[&[u8]], more: &str) -> Image {
    let config = Content::new(
        "application/vnd.oci.image.config.v1+json",
        format!(
            r#"{{"architecture":"amd64","os":"linux","layers":{}}}"#,
            layers.len()
        ),
    );
    let layers: Vec<Content> = layers
        .iter()
        .map(|layer| Content::new("application/vnd.oci.image.layer.v1.tar", layer.to_vec()))
        .collect();
    let list: Vec<String> = layers.iter().map(|layer| layer.descriptor("")).collect();
    let manifest = Content::new(
        OCI_MANIFEST,
        format!(
            "{{ \"schemaVersion\": 2,\n\t\"mediaType\": \"{OCI_MANIFEST}\", \"config\":{}, \"layers\":[{}]{more} }}\n",
            config.descriptor(""),
            list.join(", ")
        ),
    );
    Image {
        manifest,
        blobs: layers.into_iter().chain([config]).collect(),
    }
}

/// An index of images for `linux/amd64`, `linux/arm64` and so on.
pub(crate) fn index(images: &[&Image]) -> Content {
    let list: Vec<String> = images
        .iter()
        .zip(["amd64", "arm64", "s390x"])
        .map(|(image, architecture)| {
            image.manifest.descriptor(&format!(
                r#","platform":{{"os":"linux","architecture":"{architecture}"}}"#
            ))
        })
        .collect();
    Content::new(
        OCI_INDEX,
        format!(
            "{{\"schemaVersion\": 2,\n \"mediaType\":\"{OCI_INDEX}\", \"manifests\": [{}]}}",
            list.join(",\n")
        ),
    )
}

/// The answer of a registry that has it.
pub(crate) fn serve(seen: &Seen, content: &Content) -> Reply {
    let head = status(200)
        .header("content-type", &content.media_type)
        .header("docker-content-digest", &content.digest.to_string());
    if seen.method == http::Method::HEAD {
        head.header("content-length", &content.bytes.len().to_string())
            .empty()
    } else {
        head.body(content.bytes.clone())
    }
}

/// So many bytes that do not repeat, the same each time.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(count as u64);
    let mut bytes = vec![0; count];
    random.fill(&mut bytes);
    bytes
}
