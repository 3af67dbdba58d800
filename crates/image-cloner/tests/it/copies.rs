//! Copies from one real registry to another.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use image_cloner::copies::{Copier, CopyError, Settings, Source};
use image_cloner::metrics::Metrics;
use image_cloner::naming::{Naming, Scheme};
use kip_image::Reference;
use kip_registry::{Client, Credential, Kind, Options};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup, USER};
use crate::support::image::{bytes, image};
use crate::support::{client, plain_client, reference};

/// Two registries, the second of which wants a password.
struct Stage {
    source: Debian,
    target: Debian,
    client: Client,
    _data: [TempDir; 2],
}

impl Stage {
    fn new() -> Self {
        let data = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let source = Debian::start(&data[0], &Setup::default());
        let closed = Setup {
            password: true,
            ..Setup::default()
        };
        let target = Debian::start(&data[1], &closed);
        Self {
            client: client([source.host(), target.host()]),
            source,
            target,
            _data: data,
        }
    }

    /// Takes an image out of the second one.
    async fn delete(&self, copy: &Reference) {
        let (repository, digest) = (copy.repository(), copy.digest().unwrap());
        let address = format!(
            "http://{}/v2/{repository}/manifests/{digest}",
            self.target.host()
        );
        let request = plain_client().delete(address);
        let request = request.basic_auth(USER.0, Some(USER.1));
        assert!(request.send().await.unwrap().status().is_success());
    }

    fn copier(&self, scheme: Scheme, fresh: Duration) -> Copier {
        self.copier_with(scheme, fresh, Options::default())
    }

    fn copier_with(&self, scheme: Scheme, fresh: Duration, options: Options) -> Copier {
        let prefix = format!("{}/backup", self.target.host());
        let settings = Settings {
            naming: Naming::new(&prefix, "", scheme).unwrap(),
            options,
            at_once: 4,
            fresh,
        };
        let writers = Arc::new([Credential::basic(USER.0, USER.1)]);
        Copier::new(self.client.clone(), settings, writers, Metrics::default())
    }

    async fn source(&self, name: &str) -> Source {
        let reference = reference(&format!("{}/{name}", self.source.host()));
        let resolved = self.client.resolve(&reference, &[]).await.unwrap();
        Source {
            reference,
            digest: resolved.digest,
            credentials: Arc::new([]),
        }
    }

    /// What is at the copy's place.
    async fn there(&self, copy: &Reference) -> Option<kip_image::Digest> {
        let writers = [Credential::basic(USER.0, USER.1)];
        let found = self.client.resolve(copy, &writers).await;
        found.ok().map(|found| found.digest)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_a_hundred_ask_for_is_copied_once_and_then_nobody_is_asked() {
    let stage = Stage::new();
    let layer = bytes(200_000);
    stage
        .source
        .push("team/app", "1", &image(&[&layer], ""))
        .await;
    let copier = stage.copier(Scheme::Path, MINUTE);
    let source = stage.source("team/app:1").await;
    let all = (0..100).map(|_| copier.copy_of(source.clone()));
    let done = join_all(all).await;
    let first = done[0].clone().unwrap();
    let host = stage.source.host().replace(':', "__");
    let expected = format!(
        "{}/backup/{host}/team/app:1@{}",
        stage.target.host(),
        source.digest
    );
    assert_eq!(first.to_string(), expected);
    assert!(done.into_iter().all(|it| it.unwrap() == first));
    assert_eq!(copier.made(), 1);
    assert_eq!(stage.there(&first).await, Some(source.digest.clone()));
    // Both are away, and the copy is known to be there.
    let again = copier.clone();
    crate::end(stage.source);
    crate::end(stage.target);
    assert_eq!(again.copy_of(source.clone()).await.unwrap(), first);
    // Nobody has said that it is not.
    assert!(again.find(&source.reference).await.is_err());
    assert_eq!(again.copy_of(source).await.unwrap(), first);
}

#[tokio::test]
async fn that_a_copy_is_gone_is_believed_at_once() {
    let stage = Stage::new();
    stage.source.push("app", "1", &image(&[b"one"], "")).await;
    let source = stage.source("app:1").await;
    let copier = stage.copier(Scheme::Path, MINUTE);
    let copy = copier.copy_of(source.clone()).await.unwrap();
    stage.delete(&copy).await;
    // It is known to be there, until somebody looks.
    assert_eq!(copier.copy_of(source.clone()).await.unwrap(), copy);
    assert_eq!(copier.find(&source.reference).await.unwrap(), None);
    assert_eq!(copier.copy_of(source).await.unwrap(), copy);
    assert_eq!(copier.made(), 2);
}

#[tokio::test]
async fn a_copy_that_is_there_is_not_made_again() {
    let stage = Stage::new();
    stage.source.push("app", "1", &image(&[b"one"], "")).await;
    let source = stage.source("app:1").await;
    let first = stage.copier(Scheme::Path, Duration::ZERO);
    let copy = first.copy_of(source.clone()).await.unwrap();
    let second = stage.copier(Scheme::Path, Duration::ZERO);
    assert_eq!(second.copy_of(source).await.unwrap(), copy);
    assert_eq!((first.made(), second.made()), (1, 0));
}

#[tokio::test]
async fn when_a_tag_moves_what_it_stood_for_keeps_a_tag() {
    let stage = Stage::new();
    let copier = stage.copier(Scheme::Path, MINUTE);
    let mut made = Vec::new();
    for content in [b"one", b"two"] {
        stage.source.push("app", "1", &image(&[content], "")).await;
        let source = stage.source("app:1").await;
        made.push(copier.copy_of(source).await.unwrap());
    }
    let old = made[0].digest().unwrap();
    let kept = format!("{}:kept_sha256_{}", made[0].name(), old.hex());
    assert_eq!(stage.there(&reference(&kept)).await.as_ref(), Some(old));
    let tag = format!("{}:1", made[1].name());
    assert_eq!(
        stage.there(&reference(&tag)).await.as_ref(),
        made[1].digest()
    );
}

#[tokio::test]
async fn legacy_names_do_not_overwrite_another_image() {
    let stage = Stage::new();
    stage.source.push("a/app", "1", &image(&[b"one"], "")).await;
    stage.source.push("b/app", "1", &image(&[b"two"], "")).await;
    let copier = stage.copier(Scheme::Legacy, MINUTE);
    let source = stage.source("a/app:1").await;
    let copy = copier.copy_of(source.clone()).await.unwrap();
    assert!(copy.name().ends_with("/backup/app"), "{copy}");
    let error = copier
        .copy_of(stage.source("b/app:1").await)
        .await
        .unwrap_err();
    let is_taken = matches!(&error, CopyError::Taken { found, .. } if *found == source.digest);
    assert!(is_taken, "{error}");
    assert_eq!(stage.there(&copy).await, Some(source.digest));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_copied_all_the_same() {
    let stage = Stage::new();
    let layer = bytes(3_000_000);
    stage.source.push("app", "1", &image(&[&layer], "")).await;
    let copier = stage.copier(Scheme::Path, MINUTE);
    let source = stage.source("app:1").await;
    let over = tokio::time::timeout(Duration::ZERO, copier.copy_of(source.clone())).await;
    assert!(over.is_err(), "the time of the request is over");
    assert!(copier.copy_of(source).await.is_ok());
    assert_eq!(copier.made(), 1);
}

#[tokio::test]
async fn what_fails_is_tried_again_by_who_comes_later() {
    let stage = Stage::new();
    stage.source.push("app", "1", &image(&[b"one"], "")).await;
    let copier = stage.copier(Scheme::Path, MINUTE);
    let source = stage.source("app:1").await;
    copier.set_writers(Arc::new([Credential::basic(USER.0, "wrong")]));
    let error = copier.copy_of(source.clone()).await.unwrap_err();
    let is_refused = matches!(
        &error,
        CopyError::Registry {
            kind: Kind::Unauthorized { .. },
            ..
        }
    );
    assert!(
        is_refused && !error.to_string().contains("wrong"),
        "{error}"
    );
    copier.set_writers(Arc::new([Credential::basic(USER.0, USER.1)]));
    assert!(copier.copy_of(source).await.is_ok());
}

#[tokio::test]
async fn what_a_clean_up_has_lost_of_a_copy_is_mended() {
    let stage = Stage::new();
    let image = image(&[b"one", b"two"], "");
    stage.source.push("app", "1", &image).await;
    let copier = stage.copier(Scheme::Path, MINUTE);
    let source = stage.source("app:1").await;
    let copy = copier.copy_of(source.clone()).await.unwrap();
    assert!(!copier.mend(&source).await.unwrap(), "nothing is missing");
    let blob = &image.blobs[1].digest;
    let (host, repository) = (stage.target.host(), copy.repository());
    let address = format!("http://{host}/v2/{repository}/blobs/{blob}");
    let request = plain_client().delete(&address);
    let request = request.basic_auth(USER.0, Some(USER.1));
    assert!(request.send().await.unwrap().status().is_success());
    assert_eq!(copier.copy_of(source.clone()).await.unwrap(), copy);
    assert!(copier.mend(&source).await.unwrap(), "the blob was missing");
    let found = plain_client().head(&address);
    let found = found.basic_auth(USER.0, Some(USER.1)).send().await.unwrap();
    assert!(found.status().is_success(), "{found:?}");
}

#[tokio::test]
async fn an_image_that_is_too_large_is_not_copied() {
    let stage = Stage::new();
    stage
        .source
        .push("app", "1", &image(&[&bytes(5000)], ""))
        .await;
    let source = stage.source("app:1").await;
    let most = |bytes| Options {
        max_bytes: Some(bytes),
        ..Options::default()
    };
    let small = stage.copier_with(Scheme::Path, MINUTE, most(1000));
    let error = small.copy_of(source.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains("the image") && error.contains("1000"),
        "{error}"
    );
    let large = stage.copier_with(Scheme::Path, MINUTE, most(100_000));
    assert!(large.copy_of(source).await.is_ok());
}
