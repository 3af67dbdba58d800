//! Copies from one real registry to another.

use std::sync::{Arc, Mutex};

use kip_registry::{Copied, Credential, Event, How, Options, Place, Progress, ReferrersFrom, copy};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup, USER};
use crate::support::image::image;
use crate::support::push::{Lists, example, list};
use crate::support::{client, copy_anonymously, reference, sha256};

fn counts(copied: &Copied) -> [usize; 4] {
    [
        copied.manifests,
        copied.present,
        copied.mounted,
        copied.copied,
    ]
}

#[tokio::test]
async fn an_index_is_copied_with_all_its_platforms_and_all_that_refers_to_it() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let there = example(source.host(), "team/app", Lists::Tags).await;
    let with_password = Setup {
        password: true,
        ..Setup::default()
    };
    let target = Debian::start(&other_data, &with_password);
    let client = client([source.host(), target.host()]);
    let from = reference(&format!("{}/team/app:1.0", source.host()));
    let to = reference(&format!("{}/copies/app:stable", target.host()));
    let credentials = [Credential::basic(USER.0, USER.1)];
    let source_place = Place {
        reference: &from,
        credentials: &[],
    };
    let target_place = Place {
        reference: &to,
        credentials: &credentials,
    };
    let options = Options::default();
    let copied = copy(
        &client,
        source_place,
        target_place,
        &options,
        &Progress::none(),
    )
    .await
    .unwrap();
    assert_eq!(copied.digest, there.index.digest);
    // The index, two images, three that refer to them, and two lists. The shared layer counts once, and images of as
    // many layers have one configuration.
    assert_eq!(counts(&copied), [8, 0, 0, 8]);

    assert_eq!(
        client.manifest(&to, &credentials).await.unwrap().bytes,
        there.index.bytes
    );
    for image in [&there.signature, &there.inner] {
        let digest = &image.manifest.digest;
        let (from, to) = (
            from.clone().with_digest(digest.clone()),
            to.clone().with_digest(digest.clone()),
        );
        let copy = client.manifest(&to, &credentials).await.unwrap();
        assert_eq!(copy, client.manifest(&from, &[]).await.unwrap());
    }
    let layer = client
        .blob(&to, &sha256(&there.shared), .., &credentials)
        .await
        .unwrap();
    assert_eq!(layer.bytes(1 << 20).await.unwrap(), there.shared);
    let listed = client
        .referrers(&to, &there.index.digest, &credentials)
        .await
        .unwrap();
    assert_eq!(
        (listed.manifests.len(), listed.from),
        (1, ReferrersFrom::Tag)
    );
    assert_eq!(listed.manifests[0].artifact_type.as_deref(), Some("a/b"));
    let cosign = reference(&format!(
        "{}/copies/app:sha256-{}.sig",
        target.host(),
        there.index.digest.hex()
    ));
    assert_eq!(
        client.resolve(&cosign, &credentials).await.unwrap().digest,
        there.cosign.manifest.digest
    );

    // Once more: nothing but the tag.
    let again = copy(
        &client,
        source_place,
        target_place,
        &options,
        &Progress::none(),
    )
    .await
    .unwrap();
    assert_eq!(counts(&again), [1, 0, 0, 0]);
    assert_eq!(again.digest, copied.digest);
}

#[tokio::test]
async fn blobs_come_first_then_the_manifests_and_the_tag_comes_last() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    let there = example(source.host(), "a", Lists::Tags).await;
    let client = client([source.host(), target.host()]);
    let from = reference(&format!("{}/a:1.0", source.host()));
    let to = reference(&format!("{}/a:1.0", target.host()));
    let events = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&events);
    let progress = Progress::new(move |event| keep.lock().unwrap().push(format!("{event:?}")));
    let place = |reference| Place {
        reference,
        credentials: &[],
    };
    let copied = copy(
        &client,
        place(&from),
        place(&to),
        &Options::default(),
        &progress,
    )
    .await
    .unwrap();

    let told = events.lock().unwrap().clone();
    let root = Event::Manifest {
        digest: &there.index.digest,
    };
    assert_eq!(told.last(), Some(&format!("{root:?}")));
    let first = told
        .iter()
        .position(|event| event.starts_with("Manifest"))
        .unwrap();
    assert_eq!(told.len() - first, copied.manifests);
    assert!(
        told[first..]
            .iter()
            .all(|event| event.starts_with("Manifest")),
        "{told:?}"
    );
    let bytes = |event: &String| {
        event
            .strip_prefix("Bytes(")?
            .strip_suffix(')')?
            .parse::<u64>()
            .ok()
    };
    assert_eq!(told.iter().filter_map(bytes).sum::<u64>(), copied.bytes);
}

#[tokio::test]
async fn blobs_are_mounted_within_a_registry_and_skipped_where_they_are() {
    let data = TempDir::new().unwrap();
    let registry = Debian::start(&data, &Setup::default());
    let there = example(registry.host(), "a", Lists::Tags).await;
    let client = client([registry.host()]);
    let from = reference(&format!("{}/a:1.0", registry.host()));
    let to = reference(&format!("{}/b:1.0", registry.host()));
    let place = |reference| Place {
        reference,
        credentials: &[],
    };
    let options = Options::default();
    let copied = copy_anonymously(&client, &from, &to, &options)
        .await
        .unwrap();
    assert_eq!(counts(&copied), [8, 0, 8, 0]);
    assert_eq!(copied.bytes, 0);
    assert_eq!(
        client.manifest(&to, &[]).await.unwrap().bytes,
        there.index.bytes
    );

    // Another registry that has one of the layers already.
    let other_data = TempDir::new().unwrap();
    let other = Debian::start(&other_data, &Setup::default());
    other.push("c", "old", &image(&[&there.shared], "")).await;
    let clients = crate::support::client([registry.host(), other.host()]);
    let to = reference(&format!("{}/c:1.0", other.host()));
    let how = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&how);
    let progress = Progress::new(move |event| {
        if let Event::Blob { digest, how } = event {
            told.lock().unwrap().push((digest.clone(), how));
        }
    });
    let alone = Options {
        referrers: false,
        cosign_tags: false,
        ..Options::default()
    };
    let copied = copy(&clients, place(&from), place(&to), &alone, &progress)
        .await
        .unwrap();
    assert_eq!(copied.manifests, 3);
    assert_eq!((copied.present, copied.copied), (1, 3));
    let shared = sha256(&there.shared);
    assert!(how.lock().unwrap().contains(&(shared, How::Present)));
}

#[tokio::test]
async fn a_signature_that_came_later_is_copied_to_an_image_that_is_there() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    let there = example(source.host(), "a", Lists::Tags).await;
    let client = client([source.host(), target.host()]);
    let from = reference(&format!("{}/a@{}", source.host(), there.index.digest));
    let to = reference(&format!("{}/a@{}", target.host(), there.index.digest));
    let alone = Options {
        referrers: false,
        cosign_tags: false,
        ..Options::default()
    };
    let copied = copy_anonymously(&client, &from, &to, &alone).await.unwrap();
    assert_eq!(counts(&copied), [3, 0, 0, 4]);

    let copied = copy_anonymously(&client, &from, &to, &Options::default())
        .await
        .unwrap();
    // Three signatures and two lists; nothing of the image, which has no tag to write either.
    assert_eq!(copied.manifests, 5);
    let listed = client
        .referrers(&to, &there.index.digest, &[])
        .await
        .unwrap();
    assert_eq!(listed.manifests[0].digest, there.signature.manifest.digest);
}

#[tokio::test]
async fn a_list_of_referrers_at_the_target_keeps_what_is_in_it() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    let there = example(source.host(), "a", Lists::Tags).await;
    let own = image(&[b"own"], "");
    target.push("a", "own", &own).await;
    let list = list(&[own.manifest.descriptor(r#","annotations":{"by":"us"}"#)]);
    target
        .put("a", &format!("sha256-{}", there.index.digest.hex()), &list)
        .await;
    let client = client([source.host(), target.host()]);
    let from = reference(&format!("{}/a:1.0", source.host()));
    let to = reference(&format!("{}/a:1.0", target.host()));
    copy_anonymously(&client, &from, &to, &Options::default())
        .await
        .unwrap();
    let listed = client
        .referrers(&to, &there.index.digest, &[])
        .await
        .unwrap();
    let digests: Vec<_> = listed.manifests.iter().map(|one| &one.digest).collect();
    assert_eq!(
        digests,
        [&own.manifest.digest, &there.signature.manifest.digest]
    );
    assert_eq!(listed.manifests[0].annotations["by"], "us");
}

#[tokio::test]
async fn an_index_in_an_index_is_written_after_what_it_names() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    // It takes no index before what the index names.
    let target = Debian::start(&other_data, &Setup::default());
    let (one, two) = (image(&[b"one"], ""), image(&[b"two"], ""));
    source.push("a", "one", &one).await;
    source.push("a", "two", &two).await;
    let inner = list(&[one.manifest.descriptor(""), two.manifest.descriptor("")]);
    source.put("a", "inner", &inner).await;
    let outer = list(&[inner.descriptor(""), one.manifest.descriptor("")]);
    source.put("a", "1.0", &outer).await;
    let client = client([source.host(), target.host()]);
    let from = reference(&format!("{}/a:1.0", source.host()));
    let to = reference(&format!("{}/a:1.0", target.host()));
    let copied = copy_anonymously(&client, &from, &to, &Options::default())
        .await
        .unwrap();
    assert_eq!(counts(&copied), [4, 0, 0, 3]);
    assert_eq!(client.manifest(&to, &[]).await.unwrap().bytes, outer.bytes);
    let by_digest = to.with_digest(two.manifest.digest);
    client.manifest(&by_digest, &[]).await.unwrap();
}
