//! Beside Debian's `docker-registry`.

use kip_registry::{Client, Content, Credential, Kind};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup, USER};
use crate::support::image::{image, index};
use crate::support::tls::Authority;
use crate::support::{client, reference, settings, sha256};

#[tokio::test]
async fn a_tag_is_resolved_and_its_index_is_fetched_byte_for_byte() {
    let data = TempDir::new().unwrap();
    let registry = Debian::start(&data, &Setup::default());
    let (one, two) = (image(&[b"one", b"more"], ""), image(&[b"two"], ""));
    registry.push("team/app", "one", &one).await;
    registry.push("team/app", "two", &two).await;
    let both = index(&[&one, &two]);
    registry.put("team/app", "1.0", &both).await;

    let client = client([registry.host()]);
    let name = reference(&format!("{}/team/app:1.0", registry.host()));
    let resolved = client.resolve(&name, &[]).await.unwrap();
    assert_eq!(resolved.digest, both.digest);
    assert_eq!(resolved.media_type, both.media_type);
    assert_eq!(resolved.size, Some(both.bytes.len() as u64));
    assert_eq!(resolved.rate_limit, None);

    let manifest = client.manifest(&name, &[]).await.unwrap();
    assert_eq!(manifest.bytes, both.bytes);
    assert_eq!(manifest.digest, both.digest);
    let Content::Index(index) = manifest.parse().unwrap() else {
        panic!("an index");
    };
    let arm = &index.manifests[1];
    assert_eq!(arm.platform.as_ref().unwrap().architecture, "arm64");

    let by_digest = name.with_digest(arm.digest.clone());
    let Content::Image(image) = client
        .manifest(&by_digest, &[])
        .await
        .unwrap()
        .parse()
        .unwrap()
    else {
        panic!("an image");
    };
    assert_eq!(image.layers[0].digest, sha256(b"two"));
    assert_eq!(image.layers_size(), 3);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let data = TempDir::new().unwrap();
    let registry = Debian::start(&data, &Setup::default());
    registry.push("app", "1", &image(&[b"x"], "")).await;
    let client = client([registry.host()]);
    for name in ["app:2", "missing", &format!("app@{}", sha256(b"other"))] {
        let name = reference(&format!("{}/{name}", registry.host()));
        for error in [
            client.resolve(&name, &[]).await.unwrap_err(),
            client.manifest(&name, &[]).await.unwrap_err(),
        ] {
            assert_eq!(*error.kind(), Kind::NotFound, "{error}");
            let told = error.to_string();
            assert!(told.starts_with(&format!("{}/", registry.host())), "{told}");
        }
    }
}

#[tokio::test]
async fn a_password_is_tried_after_a_wrong_one_and_remembered() {
    let data = TempDir::new().unwrap();
    let open = Debian::start(&data, &Setup::default());
    let both = image(&[b"x"], "");
    open.push("app", "1", &both).await;
    let registry = Debian::start(
        &data,
        &Setup {
            password: true,
            ..Setup::default()
        },
    );
    let client = client([registry.host()]);
    let name = reference(&format!("{}/app:1", registry.host()));

    let error = client.resolve(&name, &[]).await.unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Unauthorized {
            tried: vec!["anonymous".into()]
        }
    );

    let wrong = [
        Credential::basic("bob", "wrong secret"),
        Credential::identity_token("not for here"),
    ];
    let error = client.resolve(&name, &wrong).await.unwrap_err();
    let tried = vec!["user \"bob\"".to_owned(), "identity token".to_owned()];
    assert_eq!(*error.kind(), Kind::Unauthorized { tried });

    let [first, second] = wrong;
    let right = Credential::basic(USER.0, USER.1);
    let all = [first, second, right];
    let resolved = client.resolve(&name, &all).await.unwrap();
    assert_eq!(resolved.digest, both.manifest.digest);
    client.manifest(&name, &all).await.unwrap();
}

#[tokio::test]
async fn a_registry_with_a_certificate_of_a_named_authority_is_trusted_and_no_other() {
    let data = TempDir::new().unwrap();
    let open = Debian::start(&data, &Setup::default());
    let there = image(&[b"x"], "");
    open.push("app", "1", &there).await;
    let authority = Authority::new();
    let leaf = authority.sign(&["127.0.0.1"]);
    let registry = Debian::start(
        &data,
        &Setup {
            tls: Some(&leaf),
            ..Setup::default()
        },
    );
    let name = reference(&format!("{}/app:1", registry.host()));

    let error = client([]).resolve(&name, &[]).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::Tls, "{error:?}");

    let mut trusting = settings([]);
    trusting.extra_ca = vec![Authority::new().pem(), authority.pem()];
    let resolved = Client::new(trusting)
        .unwrap()
        .resolve(&name, &[])
        .await
        .unwrap();
    assert_eq!(resolved.digest, there.manifest.digest);
}
