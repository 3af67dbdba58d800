//! What a name stands for, and registries that lie about it.

use http::Method;
use kip_registry::{Kind, RateLimit, media_type};
use std::time::Duration;

use crate::support::fake::{Fake, Reply, Seen, status};
use crate::support::image::{image, serve};
use crate::support::{client, reference, sha256};

#[tokio::test]
async fn no_tag_means_latest_and_a_digest_is_preferred_to_a_tag() {
    let there = image(&[b"x"], "").manifest;
    let digest = there.digest.clone();
    let registry = Fake::start(|_| move |seen: &Seen| serve(seen, &there)).await;
    let client = client([&*registry.host()]);
    let name = reference(&format!("{}/a/b", registry.host()));
    client.resolve(&name, &[]).await.unwrap();
    let both = reference(&format!("{name}:1@{digest}"));
    client.resolve(&both, &[]).await.unwrap();
    client.manifest(&both, &[]).await.unwrap();
    let by_digest = format!("/v2/a/b/manifests/{digest}");
    assert_eq!(
        registry.lines(),
        [
            "HEAD /v2/a/b/manifests/latest".to_owned(),
            format!("HEAD {by_digest}"),
            format!("GET {by_digest}")
        ]
    );
    for seen in registry.seen() {
        let accept = seen.header("accept").unwrap();
        for kind in [
            media_type::OCI_INDEX,
            media_type::OCI_MANIFEST,
            media_type::DOCKER_INDEX,
            media_type::DOCKER_MANIFEST,
        ] {
            assert!(accept.split(", ").any(|one| one == kind), "{accept}");
        }
        assert!(
            seen.header("user-agent")
                .unwrap()
                .starts_with("kip-registry/")
        );
    }
}

#[tokio::test]
async fn the_manifest_is_fetched_where_head_is_not_served_or_says_no_digest() {
    for head in [405, 501, 400, 200] {
        let there = image(&[b"x"], "").manifest;
        let expected = there.clone();
        let registry = Fake::start(|_| {
            move |seen: &Seen| match seen.method {
                Method::HEAD => status(head).empty(),
                // No digest here either: it is computed.
                _ => status(200)
                    .header("content-type", &there.media_type)
                    .body(there.bytes.clone()),
            }
        })
        .await;
        let name = reference(&format!("{}/a:1", registry.host()));
        let resolved = client([&*registry.host()])
            .resolve(&name, &[])
            .await
            .unwrap();
        assert_eq!(resolved.digest, expected.digest, "HEAD answers {head}");
        assert_eq!(resolved.media_type, expected.media_type);
        assert_eq!(resolved.size, Some(expected.bytes.len() as u64));
        assert_eq!(
            registry.lines(),
            ["HEAD /v2/a/manifests/1", "GET /v2/a/manifests/1"]
        );
    }
}

#[tokio::test]
async fn a_manifest_that_is_missing_is_not_asked_for_twice() {
    let registry = Fake::start(|_| |_: &Seen| status(404).empty()).await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let error = client([&*registry.host()])
        .resolve(&name, &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::NotFound);
    assert_eq!(registry.lines(), ["HEAD /v2/a/manifests/1"]);
}

#[tokio::test]
async fn a_lie_about_the_digest_is_found_out() {
    let there = image(&[b"x"], "").manifest;
    let other = sha256(b"other");
    let (content, lie) = (there.clone(), other.clone());
    let registry = Fake::start(|_| {
        move |_: &Seen| {
            status(200)
                .header("content-type", &content.media_type)
                .header("docker-content-digest", &lie.to_string())
                .body(content.bytes.clone())
        }
    })
    .await;
    let client = client([&*registry.host()]);
    // Beside a tag, the header is all there is to compare with.
    let by_tag = reference(&format!("{}/a:1", registry.host()));
    let error = client.manifest(&by_tag, &[]).await.unwrap_err();
    let lied = Kind::DigestMismatch {
        expected: other.clone(),
        found: there.digest.clone(),
    };
    assert_eq!(*error.kind(), lied);
    // The bytes are right here, and the header is not.
    let by_digest = by_tag.clone().with_digest(there.digest.clone());
    let error = client.manifest(&by_digest, &[]).await.unwrap_err();
    assert_eq!(*error.kind(), lied);
    let error = client.resolve(&by_digest, &[]).await.unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::DigestMismatch {
            expected: there.digest.clone(),
            found: other.clone()
        }
    );
    // And here the header is right, and the bytes are not.
    let error = client
        .manifest(&by_tag.with_digest(other), &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), lied);
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_malformed() {
    let answers: [fn() -> Reply; 3] = [
        || {
            status(200)
                .header("docker-content-digest", "sha256:short")
                .empty()
        },
        || status(204).empty(),
        || status(304).empty(),
    ];
    for answer in answers {
        let registry = Fake::start(|_| move |_: &Seen| answer()).await;
        let name = reference(&format!("{}/a:1", registry.host()));
        let error = client([&*registry.host()])
            .resolve(&name, &[])
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), Kind::Malformed, "{error}");
    }
}

#[tokio::test]
async fn what_is_no_manifest_is_told() {
    let index = media_type::OCI_INDEX;
    let image = media_type::OCI_MANIFEST;
    let cases = [
        (index, "<html>", Kind::Malformed),
        (
            index,
            r#"{"manifests":[{"digest":"sha256:f","size":1}]}"#,
            Kind::Malformed,
        ),
        (index, r#"{"manifests":[],"layers":[]}"#, Kind::Malformed),
        (image, r#"{"layers":[]}"#, Kind::Malformed),
        (
            image,
            r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
            Kind::Malformed,
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "{}",
            Kind::Unsupported,
        ),
    ];
    for (media_type, body, kind) in cases {
        let registry = Fake::start(|_| {
            move |_: &Seen| status(200).header("content-type", media_type).body(body)
        })
        .await;
        let name = reference(&format!("{}/a:1", registry.host()));
        // As bytes it is what it is.
        let manifest = client([&*registry.host()])
            .manifest(&name, &[])
            .await
            .unwrap();
        assert_eq!(manifest.bytes, body);
        let error = manifest.parse().unwrap_err();
        assert_eq!(*error.kind(), kind, "{body}: {error}");
    }
}

#[tokio::test]
async fn a_page_for_people_is_no_image() {
    let registry = Fake::start(|_| {
        |_: &Seen| {
            status(200)
                .header("content-type", "text/html; charset=utf-8")
                .body("<html>Sign in</html>")
        }
    })
    .await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let error = client([&*registry.host()])
        .resolve(&name, &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Malformed, "{error}");
    assert!(
        error
            .to_string()
            .contains("check that the host is a registry"),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_is_shared_between_tasks() {
    let there = image(&[b"x"], "").manifest;
    let registry = Fake::start(|_| move |seen: &Seen| serve(seen, &there)).await;
    let client = client([&*registry.host()]);
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let client = client.clone();
            let name = reference(&format!("{}/a{n}:1", registry.host()));
            tokio::spawn(async move { client.resolve(&name, &[]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(registry.seen().len(), 20);
}

#[tokio::test]
async fn a_media_type_that_says_nothing_is_read_from_the_manifest() {
    for (said, body, media_type) in [
        (
            "application/json",
            r#"{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#,
            media_type::DOCKER_INDEX,
        ),
        (
            "text/plain; charset=utf-8",
            r#"{"manifests":[]}"#,
            media_type::OCI_INDEX,
        ),
        (
            "Application/Vnd.OCI.Image.Index.V1+JSON; x=y",
            r#"{"manifests":[]}"#,
            media_type::OCI_INDEX,
        ),
    ] {
        let registry =
            Fake::start(|_| move |_: &Seen| status(200).header("content-type", said).body(body))
                .await;
        let name = reference(&format!("{}/a:1", registry.host()));
        let manifest = client([&*registry.host()])
            .manifest(&name, &[])
            .await
            .unwrap();
        assert_eq!(manifest.media_type, media_type);
        manifest.parse().unwrap();
    }
}

#[tokio::test]
async fn how_many_more_images_may_be_pulled_is_heard() {
    let there = image(&[b"x"], "").manifest;
    let registry = Fake::start(|_| {
        move |_: &Seen| {
            status(200)
                .header("docker-content-digest", &there.digest.to_string())
                .header("ratelimit-limit", "100;w=21600")
                .header("ratelimit-remaining", "76;w=21600")
                .empty()
        }
    })
    .await;
    let client = client([&*registry.host()]);
    assert_eq!(client.rate_limit(&registry.host()), None);
    let name = reference(&format!("{}/a:1", registry.host()));
    let limit = RateLimit {
        remaining: 76,
        limit: Some(100),
        window: Some(Duration::from_secs(6 * 60 * 60)),
    };
    assert_eq!(
        client.resolve(&name, &[]).await.unwrap().rate_limit,
        Some(limit)
    );
    assert_eq!(client.rate_limit(&registry.host()), Some(limit));
}
