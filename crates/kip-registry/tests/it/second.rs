//! Beside a second registry, which keeps lists of referrers itself.
//!
//! ```text
//! cargo test -p kip-registry --test it second -- --ignored
//! ```

use kip_registry::{Options, ReferrersFrom};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup};
use crate::support::push::{Lists, example};
use crate::support::second::Second;
use crate::support::{client, copy_anonymously, reference, sha256};

#[tokio::test]
#[ignore = "needs Go: builds and runs tests/go"]
async fn what_refers_to_an_image_is_copied_to_a_registry_that_keeps_lists_and_back() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let tags = Debian::start(&data, &Setup::default());
    let lists = Second::start();
    let last = Debian::start(&other_data, &Setup::default());
    let there = example(tags.host(), "team/app", Lists::Tags).await;
    let client = client([tags.host(), lists.host(), last.host()]);
    let name = |host: &str| reference(&format!("{host}/team/app:1.0"));
    let (first, middle, end) = (name(tags.host()), name(lists.host()), name(last.host()));
    let options = Options::default();

    let copied = copy_anonymously(&client, &first, &middle, &options)
        .await
        .unwrap();
    // No list is written where the registry keeps it.
    assert_eq!((copied.manifests, copied.copied), (6, 8));
    let listed = client
        .referrers(&middle, &there.index.digest, &[])
        .await
        .unwrap();
    assert_eq!(listed.from, ReferrersFrom::Registry);
    assert_eq!(listed.manifests[0].digest, there.signature.manifest.digest);

    let copied = copy_anonymously(&client, &middle, &end, &options)
        .await
        .unwrap();
    assert_eq!((copied.manifests, copied.copied), (8, 8));
    let listed = client
        .referrers(&end, &there.index.digest, &[])
        .await
        .unwrap();
    assert_eq!(listed.from, ReferrersFrom::Tag);
    assert_eq!(listed.manifests[0].digest, there.signature.manifest.digest);
    assert_eq!(
        client.manifest(&end, &[]).await.unwrap().bytes,
        there.index.bytes
    );
}

#[tokio::test]
#[ignore = "needs Go: builds and runs tests/go"]
async fn names_blobs_and_mounts_are_understood_by_a_second_registry() {
    let registry = Second::start();
    let there = example(registry.host(), "a", Lists::Registry).await;
    let client = client([registry.host()]);
    let name = reference(&format!("{}/a:1.0", registry.host()));
    let resolved = client.resolve(&name, &[]).await.unwrap();
    assert_eq!(
        (resolved.digest, resolved.size),
        (
            there.index.digest.clone(),
            Some(there.index.bytes.len() as u64)
        )
    );
    let shared = sha256(&there.shared);
    let blob = client.blob(&name, &shared, .., &[]).await.unwrap();
    assert_eq!(blob.bytes(1 << 20).await.unwrap(), there.shared);
    let part = client.blob(&name, &shared, 100..200, &[]).await.unwrap();
    assert_eq!(part.bytes(1 << 20).await.unwrap(), there.shared[100..200]);
    let other = reference(&format!("{}/b:1.0", registry.host()));
    let copied = copy_anonymously(&client, &name, &other, &Options::default())
        .await
        .unwrap();
    assert_eq!(copied.mounted + copied.copied + copied.present, 8);
    assert_eq!(
        client.manifest(&other, &[]).await.unwrap().bytes,
        there.index.bytes
    );
}
