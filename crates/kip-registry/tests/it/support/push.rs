//! Images into registries by other means than the client that is tested.

use http::Method;
use kip_registry::media_type::OCI_INDEX;

use super::image::{Content, Image, bytes, image as make, index};
use super::plain_client;

/// An image and its blobs.
pub(crate) async fn image(host: &str, repository: &str, tag: &str, image: &Image) {
    for blob in &image.blobs {
        let uploads = format!("{repository}/blobs/uploads/");
        let started = send(host, Method::POST, &uploads, None).await;
        let location = started.headers()["location"].to_str().unwrap();
        let base = match location.strip_prefix('/') {
            Some(path) => format!("http://{host}/{path}"),
            None => location.to_owned(),
        };
        let sign = if base.contains('?') { '&' } else { '?' };
        let url = format!("{base}{sign}digest={}", blob.digest);
        let done = plain_client()
            .put(url)
            .body(blob.bytes.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(done.status(), 201, "{blob:?}");
    }
    manifest(host, repository, tag, &image.manifest).await;
}

pub(crate) async fn manifest(host: &str, repository: &str, tag: &str, manifest: &Content) {
    let path = format!("{repository}/manifests/{tag}");
    let done = send(host, Method::PUT, &path, Some(manifest)).await;
    assert_eq!(done.status(), 201, "{}", done.text().await.unwrap());
}

async fn send(
    host: &str,
    method: Method,
    path: &str,
    content: Option<&Content>,
) -> reqwest::Response {
    let mut request = plain_client().request(method, format!("http://{host}/v2/{path}"));
    if let Some(content) = content {
        request = request
            .header("content-type", &content.media_type)
            .body(content.bytes.clone());
    }
    request.send().await.unwrap()
}

/// An index of two platforms, a signature of it, and one of an image in it.
pub(crate) struct Example {
    pub(crate) index: Content,
    pub(crate) signature: Image,
    pub(crate) inner: Image,
    pub(crate) cosign: Image,
    pub(crate) shared: Vec<u8>,
}

/// Who keeps the lists of what refers to a manifest.
#[derive(PartialEq, Eq)]
pub(crate) enum Lists {
    /// The registry.
    Registry,
    /// Whoever writes: they are tags.
    Tags,
}

/// Puts an example into a repository, as `1.0`.
pub(crate) async fn example(host: &str, repository: &str, lists: Lists) -> Example {
    let shared = bytes(1 << 20);
    let one = make(&[&shared, b"one"], "");
    let two = make(&[&shared, b"two"], r#", "annotations": {"a": "b"}"#);
    image(host, repository, "one", &one).await;
    image(host, repository, "two", &two).await;
    let index = index(&[&one, &two]);
    manifest(host, repository, "1.0", &index).await;

    let about = |content: &Content| {
        format!(
            r#","artifactType":"a/b","subject":{}"#,
            content.descriptor("")
        )
    };
    let signature = make(&[b"signature"], &about(&index));
    let inner = make(&[b"attestation"], &about(&two.manifest));
    for (subject, referrer) in [(&index, &signature), (&two.manifest, &inner)] {
        image(host, repository, "referrer", referrer).await;
        if lists == Lists::Tags {
            let list = list(&[referrer.manifest.descriptor(r#","artifactType":"a/b""#)]);
            manifest(
                host,
                repository,
                &format!("sha256-{}", subject.digest.hex()),
                &list,
            )
            .await;
        }
    }
    let cosign = make(&[b"cosign"], "");
    image(
        host,
        repository,
        &format!("sha256-{}.sig", index.digest.hex()),
        &cosign,
    )
    .await;
    Example {
        index,
        signature,
        inner,
        cosign,
        shared,
    }
}

/// A list of what refers to a manifest, of these descriptors.
pub(crate) fn list(descriptors: &[String]) -> Content {
    let all = descriptors.join(",");
    Content::new(
        OCI_INDEX,
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{all}]}}"#),
    )
}
