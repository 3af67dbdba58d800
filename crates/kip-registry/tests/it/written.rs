//! Images that are written.

use bytes::Bytes;
use http::Method;
use kip_registry::{Credential, Kind, Manifest};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup, USER};
use crate::support::fake::{Fake, Seen, status};
use crate::support::image::{Image, bytes, image};
use crate::support::{client, reference, sha256};

fn manifest(image: &Image) -> Manifest {
    Manifest {
        bytes: image.manifest.bytes.clone(),
        digest: image.manifest.digest.clone(),
        media_type: image.manifest.media_type.clone(),
    }
}

#[tokio::test]
async fn an_image_is_written_to_a_real_registry_and_its_blobs_are_mounted_elsewhere() {
    let data = TempDir::new().unwrap();
    let registry = Debian::start(
        &data,
        &Setup {
            password: true,
            ..Setup::default()
        },
    );
    let client = client([registry.host()]);
    let credentials = [
        Credential::basic("bob", "wrong"),
        Credential::basic(USER.0, USER.1),
    ];
    let there = image(&[&bytes(2 << 20), b""], "");
    let name = reference(&format!("{}/team/app:1", registry.host()));
    for blob in &there.blobs {
        let size = blob.bytes.len() as u64;
        client
            .upload(&name, &blob.digest, size, &blob.bytes, &credentials)
            .await
            .unwrap();
        assert!(
            client
                .blob_exists(&name, &blob.digest, &credentials)
                .await
                .unwrap()
        );
    }
    let stored = client
        .put_manifest(&name, &manifest(&there), &credentials)
        .await
        .unwrap();
    assert!(!stored.in_referrers);
    assert_eq!(
        client.manifest(&name, &credentials).await.unwrap(),
        manifest(&there)
    );

    let other = reference(&format!("{}/other:1", registry.host()));
    for blob in &there.blobs {
        assert!(
            client
                .mount(&other, &blob.digest, &name, &credentials)
                .await
                .unwrap()
        );
        assert!(
            client
                .blob_exists(&other, &blob.digest, &credentials)
                .await
                .unwrap()
        );
    }
    assert!(
        !client
            .mount(&other, &sha256(b"missing"), &name, &credentials)
            .await
            .unwrap()
    );
    let by_digest = reference(&format!(
        "{}/other@{}",
        registry.host(),
        there.manifest.digest
    ));
    client
        .put_manifest(&by_digest, &manifest(&there), &credentials)
        .await
        .unwrap();
    assert_eq!(
        client.manifest(&by_digest, &credentials).await.unwrap(),
        manifest(&there)
    );
    // There is no such tag, and there are no such credentials.
    let error = client.resolve(&other, &credentials).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::NotFound);
    let error = client
        .put_manifest(&other, &manifest(&there), &[])
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), Kind::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn a_real_registry_takes_neither_a_wrong_blob_nor_a_manifest_without_its_blobs() {
    let data = TempDir::new().unwrap();
    let registry = Debian::start(&data, &Setup::default());
    let client = client([registry.host()]);
    let name = reference(&format!("{}/app:1", registry.host()));
    let error = client
        .upload(
            &name,
            &sha256(b"right"),
            5,
            &Bytes::from_static(b"wrong"),
            &[],
        )
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Rejected { status: 400 });
    assert!(error.to_string().contains("DIGEST_INVALID"), "{error}");
    let error = client
        .put_manifest(&name, &manifest(&image(&[b"x"], "")), &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Rejected { status: 400 });
    assert!(
        error.to_string().contains("MANIFEST_BLOB_UNKNOWN"),
        "{error}"
    );
    // Ours is refused before anything is sent.
    let mut lie = manifest(&image(&[b"x"], ""));
    lie.digest = sha256(b"other");
    let error = client.put_manifest(&name, &lie, &[]).await.unwrap_err();
    assert!(
        matches!(error.kind(), Kind::DigestMismatch { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_tag_that_must_not_change_is_written_if_it_is_the_same() {
    let there = image(&[b"x"], "");
    let digest = there.manifest.digest.to_string();
    for (at_tag, is_same) in [(digest, true), (sha256(b"other").to_string(), false)] {
        let registry = Fake::start(|_| {
            move |seen: &Seen| match seen.method {
                Method::PUT => {
                    status(400).body(r#"{"errors":[{"code":"ImageTagAlreadyExistsException"}]}"#)
                }
                _ => status(200).header("docker-content-digest", &at_tag).empty(),
            }
        })
        .await;
        let name = reference(&format!("{}/a:1", registry.host()));
        let put = client([&*registry.host()])
            .put_manifest(&name, &manifest(&there), &[])
            .await;
        assert_eq!(put.is_ok(), is_same, "{put:?}");
    }
}
