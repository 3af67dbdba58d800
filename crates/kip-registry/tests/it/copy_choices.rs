//! Copies that are told how.

use http::Method;
use kip_image::Reference;
use kip_registry::{Client, Copied, Error, Kind, Options, Place, Progress, copy};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup};
use crate::support::fake::{Change, Fake, Reply};
use crate::support::push::{Lists, example};
use crate::support::{client, reference};

async fn run(
    client: &Client,
    from: &Reference,
    to: &Reference,
    options: &Options,
) -> Result<Copied, Error> {
    let place = |reference| Place {
        reference,
        credentials: &[],
    };
    let nobody = Progress::none();
    copy(client, place(from), place(to), options, &nobody).await
}

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
    let all = run(&client, &from, &to("all"), &Options::default())
        .await
        .unwrap()
        .bytes;
    let alone = Options {
        referrers: false,
        cosign_tags: false,
        ..limited(all - 1)
    };
    run(&client, &from, &to("alone"), &alone).await.unwrap();
    run(&client, &from, &to("fits"), &limited(all))
        .await
        .unwrap();

    let (asked, written) = (near_source.seen().len(), near_target.seen().len());
    let error = run(&client, &from, &to("small"), &limited(all - 1))
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
    let error = run(&client, &within, &to("small"), &limited(all - 1))
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), expected, "{error}");
}

/// The way to a registry, where it is seen what is sent.
async fn way(to: &Debian) -> Fake {
    let to = to.host().to_owned();
    Fake::start(|_| move |_: &_| Reply::Forward(to.clone(), Change::None)).await
}
