//! Copies that are told how.

use http::Method;
use kip_image::Reference;
use kip_registry::{Content, Kind, Options};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup};
use crate::support::fake::{Change, Fake, Reply, Seen};
use crate::support::push::{Lists, example};
use crate::support::{client, copy_anonymously, plain_client, reference, sha256};

#[tokio::test]
async fn an_image_that_is_too_large_is_refused_before_any_blob_is_copied() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    example(source.host(), "a", Lists::Tags).await;
    let (near_source, near_target) = (way(&source).await, way(&target).await);
    let client = client([&*near_source.host(), &*near_target.host()]);
    let from = reference(&format!("{}/a:1.0", near_source.host()));
    let to = |name: &str| reference(&format!("{}/{name}:1.0", near_target.host()));
    let limited = |max_bytes| Options {
        max_bytes: Some(max_bytes),
        ..Options::default()
    };
    // What is shared counts once; signatures count, too.
    let all = copy_anonymously(&client, &from, &to("all"), &Options::default())
        .await
        .unwrap()
        .bytes;
    let alone = Options {
        referrers: false,
        cosign_tags: false,
        ..limited(all - 1)
    };
    copy_anonymously(&client, &from, &to("alone"), &alone)
        .await
        .unwrap();
    copy_anonymously(&client, &from, &to("fits"), &limited(all))
        .await
        .unwrap();

    let (asked, written) = (near_source.seen().len(), near_target.seen().len());
    let error = copy_anonymously(&client, &from, &to("small"), &limited(all - 1))
        .await
        .unwrap_err();
    let expected = Kind::TooLarge {
        what: "the image",
        limit: usize::try_from(all - 1).unwrap(),
    };
    assert_eq!(*error.kind(), expected, "{error}");
    assert_eq!(error.registry(), near_source.host());
    let fetched = near_source.lines().split_off(asked);
    assert!(
        !fetched.iter().any(|line| line.contains("/blobs/")),
        "{fetched:?}"
    );
    let sent = near_target.seen().split_off(written);
    assert!(
        sent.iter()
            .all(|seen| [Method::GET, Method::HEAD].contains(&seen.method)),
        "{sent:?}"
    );

    // The target has every blob, in a repository of its own, but none of the manifests.
    let within = reference(&format!("{}/all:1.0", near_target.host()));
    let error = copy_anonymously(&client, &within, &to("small"), &limited(all - 1))
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), expected, "{error}");
}

#[tokio::test]
async fn what_a_clean_up_took_is_brought_back_by_a_thorough_copy_only() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    let there = example(source.host(), "a", Lists::Tags).await;
    let client = client([source.host(), target.host()]);
    let from = reference(&format!("{}/a:1.0", source.host()));
    let plain = Options::default();
    let thorough = Options {
        thorough: true,
        ..Options::default()
    };
    let Content::Index(index) = client.manifest(&from, &[]).await.unwrap().parse().unwrap() else {
        panic!("the example is an index")
    };
    let child = &index.manifests[1].digest;
    let (shared, signed) = (sha256(&there.shared), sha256(b"cosign"));

    // Into another registry, within one, and where nothing but digests is written.
    for to in [
        format!("{}/b:1.0", target.host()),
        format!("{}/b:1.0", source.host()),
        format!("{}/c@{}", target.host(), there.index.digest),
    ] {
        let to = reference(&to);
        copy_anonymously(&client, &from, &to, &plain).await.unwrap();
        delete(&to, &format!("manifests/{child}")).await;
        for blob in [&shared, &signed] {
            delete(&to, &format!("blobs/{blob}")).await;
        }
        let at = to.clone().with_digest(child.clone());

        copy_anonymously(&client, &from, &to, &plain).await.unwrap();
        let error = client.manifest(&at, &[]).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::NotFound, "a plain copy trusts {to}");

        let tag = usize::from(to.tag().is_some());
        let copied = copy_anonymously(&client, &from, &to, &thorough)
            .await
            .unwrap();
        assert_eq!(copied.manifests, 1 + tag, "{to}: the platform, and the tag");
        assert_eq!(copied.present, 6, "{to}");
        assert_eq!(copied.mounted + copied.copied, 2, "{to}");
        client.manifest(&at, &[]).await.unwrap();
        for blob in [&shared, &signed] {
            assert!(client.blob_exists(&to, blob, &[]).await.unwrap(), "{to}");
        }

        // Once more: nothing is missing, and nothing is written but the tag.
        let again = copy_anonymously(&client, &from, &to, &thorough)
            .await
            .unwrap();
        assert_eq!((again.manifests, again.present), (tag, 8), "{to}");
        assert_eq!(again.mounted + again.copied, 0, "{to}");
    }
}

#[tokio::test]
async fn a_thorough_copy_reads_from_the_source_what_the_target_has_not_got() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    let there = example(source.host(), "a", Lists::Tags).await;
    let near_source = way(&source).await;
    // A manifest that is said to be there and cannot be read is as good as missing.
    let broken = there.inner.manifest.digest.to_string();
    let (ends, to) = (broken.clone(), target.host().to_owned());
    let near_target = Fake::start(|_| {
        move |seen: &Seen| {
            if seen.method == Method::GET && seen.path().ends_with(&ends) {
                Reply::Forward(to.clone(), Change::Flip)
            } else {
                Reply::Forward(to.clone(), Change::None)
            }
        }
    })
    .await;
    let client = client([&*near_source.host(), &*near_target.host()]);
    let from = reference(&format!("{}/a:1.0", near_source.host()));
    let to = reference(&format!("{}/a:1.0", near_target.host()));
    copy_anonymously(&client, &from, &to, &Options::default())
        .await
        .unwrap();

    let before = near_source.seen().len();
    let thorough = Options {
        thorough: true,
        ..Options::default()
    };
    let copied = copy_anonymously(&client, &from, &to, &thorough)
        .await
        .unwrap();
    assert_eq!(
        copied.manifests, 2,
        "the one that cannot be read, and the tag"
    );
    let lists = |line: &String| line.contains("/manifests/sha256-");
    let fetched: Vec<String> = near_source
        .lines()
        .split_off(before)
        .into_iter()
        .filter(|line| line.starts_with("GET /v2/a/manifests/") && !lists(line))
        .collect();
    let expected = [
        "GET /v2/a/manifests/1.0".to_owned(),
        format!("GET /v2/a/manifests/{broken}"),
    ];
    assert_eq!(fetched, expected);
}

/// Takes something from a repository of a registry, as a clean-up does.
async fn delete(of: &Reference, what: &str) {
    let (registry, repository) = (of.registry(), of.repository());
    let done = plain_client()
        .delete(format!("http://{registry}/v2/{repository}/{what}"))
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), 202, "{what}");
}

/// The way to a registry, where it is seen what is sent.
async fn way(to: &Debian) -> Fake {
    let to = to.host().to_owned();
    Fake::start(|_| move |_: &_| Reply::Forward(to.clone(), Change::None)).await
}
