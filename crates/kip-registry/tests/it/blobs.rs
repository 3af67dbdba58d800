//! Blobs that are read.

use bytes::Bytes;
use futures::TryStreamExt;
use http::Method;
use kip_registry::{Client, Error, Kind, Unreachable};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup};
use crate::support::fake::{Fake, Reply, Seen, status};
use crate::support::image::{bytes, image};
use crate::support::{client, reference, sha256};

/// A registry with one blob, which answers as the test says.
async fn registry(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Fake, Client) {
    let fake = Fake::start(|_| answer).await;
    let client = client([&*fake.host()]);
    (fake, client)
}

async fn whole(client: &Client, host: &str, content: &[u8]) -> Result<Bytes, Error> {
    let repository = reference(&format!("{host}/a"));
    client
        .blob(&repository, &sha256(content), .., &[])
        .await?
        .bytes(usize::MAX)
        .await
}

#[tokio::test]
async fn a_blob_of_a_real_registry_is_read_whole_and_in_parts() {
    let data = TempDir::new().unwrap();
    let registry = Debian::start(&data, &Setup::default());
    let layer = bytes(3 << 20);
    registry.push("team/app", "1", &image(&[&layer], "")).await;
    let client = client([registry.host()]);
    let repository = reference(&format!("{}/team/app", registry.host()));
    let digest = sha256(&layer);

    let blob = client.blob(&repository, &digest, .., &[]).await.unwrap();
    assert_eq!(blob.size(), Some(3 << 20));
    let chunks: Vec<Bytes> = blob.into_stream().try_collect().await.unwrap();
    assert!(chunks.len() > 1);
    assert_eq!(chunks.concat(), layer);

    for (from, to) in [
        (0, 10),
        (1 << 20, 2 << 20),
        ((3 << 20) - 1, 3 << 20),
        (5, 9 << 20),
    ] {
        let part = client
            .blob(&repository, &digest, from as u64..to as u64, &[])
            .await
            .unwrap();
        assert_eq!(part.size(), Some(3 << 20));
        assert_eq!(
            part.bytes(layer.len()).await.unwrap(),
            layer[from..to.min(layer.len())]
        );
    }
    let rest = client.blob(&repository, &digest, 100.., &[]).await.unwrap();
    assert_eq!(rest.bytes(layer.len()).await.unwrap(), layer[100..]);
    let error = client
        .blob(&repository, &digest, 5..5, &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Input);
    let error = client
        .blob(&repository, &digest, 9 << 20.., &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Rejected { status: 416 });

    assert!(client.blob_exists(&repository, &digest, &[]).await.unwrap());
    assert!(
        !client
            .blob_exists(&repository, &sha256(b"other"), &[])
            .await
            .unwrap()
    );
    let error = client
        .blob(&repository, &digest, .., &[])
        .await
        .unwrap()
        .bytes(100)
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::TooLarge {
            what: "the blob",
            limit: 100
        }
    );
}

#[tokio::test]
async fn a_blob_goes_on_where_the_connection_broke() {
    let content = bytes(1 << 20);
    let there = Bytes::from(content.clone());
    let (registry, client) = registry(move |seen| {
        let from = seen.header("range").map_or(0, |range| {
            range
                .strip_prefix("bytes=")
                .unwrap()
                .strip_suffix('-')
                .unwrap()
                .parse()
                .unwrap()
        });
        let to = there.len().min(from + 300_000);
        let length = there.len() - from;
        let head = match from {
            0 => status(200),
            _ => status(206).header(
                "content-range",
                &format!("bytes {from}-{}/{}", there.len() - 1, there.len()),
            ),
        };
        if to == there.len() {
            head.body(there.slice(from..))
        } else {
            head.cut_after(there.slice(from..to), length)
        }
    })
    .await;
    assert_eq!(
        whole(&client, &registry.host(), &content).await.unwrap(),
        content
    );
    // More often than a request is tried again: each time there was progress.
    let ranges: Vec<Option<String>> = registry
        .seen()
        .iter()
        .map(|seen| seen.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges[0], None);
    assert!(ranges.len() >= 4, "{ranges:?}");
    assert!(ranges[1..].iter().all(Option::is_some), "{ranges:?}");
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_sends_what_is_not_wanted_again() {
    let content = bytes(100_000);
    let there = Bytes::from(content.clone());
    let (registry, client) = registry(move |seen| match seen.before {
        0 => status(200).cut_after(there.slice(..40_000), there.len()),
        _ => status(200).body(there.clone()),
    })
    .await;
    assert_eq!(
        whole(&client, &registry.host(), &content).await.unwrap(),
        content
    );
    assert_eq!(registry.seen()[1].header("range"), Some("bytes=40000-"));
    // A part is cut out by us.
    let repository = reference(&format!("{}/a", registry.host()));
    let part = client
        .blob(&repository, &sha256(&content), 10..20, &[])
        .await
        .unwrap();
    assert_eq!(part.bytes(100).await.unwrap(), content[10..20]);
}

#[tokio::test]
async fn a_blob_that_never_gets_further_fails() {
    let content = bytes(1000);
    let there = Bytes::from(content.clone());
    let (registry, client) = registry(move |seen| match seen.before {
        0 => status(200).cut_after(there.slice(..400), 1000),
        _ => status(206)
            .header("content-range", "bytes 400-999/1000")
            .cut_after(Bytes::new(), 600),
    })
    .await;
    let error = whole(&client, &registry.host(), &content)
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Unreachable(Unreachable::Interrupted),
        "{error:?}"
    );
    assert_eq!(registry.seen().len(), 4);
}

#[tokio::test]
async fn the_last_bytes_of_a_blob_that_is_not_what_it_should_be_never_come() {
    let content = bytes(500_000);
    let mut wrong = content.clone();
    wrong[0] ^= 1;
    for lie in [
        wrong,
        content[..499_999].to_vec(),
        [&content[..], b"x"].concat(),
        Vec::new(),
    ] {
        let sent = Bytes::from(lie);
        let length = sent.len();
        let (registry, client) = registry(move |_| status(200).body(sent.clone())).await;
        let repository = reference(&format!("{}/a", registry.host()));
        let mut blob = client
            .blob(&repository, &sha256(&content), .., &[])
            .await
            .unwrap();
        let mut read = 0;
        let error = loop {
            match blob.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                Ok(None) => panic!("all of it came"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error.kind(), Kind::DigestMismatch { .. }),
            "{error}"
        );
        assert!(read < length.max(1), "{read} of {length}");
        assert!(
            blob.chunk().await.unwrap().is_none(),
            "nothing follows an error"
        );
    }
}

#[tokio::test]
async fn an_answer_about_another_part_is_refused() {
    for range in ["bytes 500-999/1000", "nonsense"] {
        let (registry, client) = registry(move |_| {
            status(206)
                .header("content-range", range)
                .body(vec![0; 500])
        })
        .await;
        let repository = reference(&format!("{}/a", registry.host()));
        let error = client
            .blob(&repository, &sha256(b""), 400.., &[])
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), Kind::Malformed, "{error}");
    }
}

#[tokio::test]
async fn a_blob_that_storage_has_is_read_there_without_credentials() {
    let content = bytes(1000);
    let there = content.clone();
    let storage = Fake::start(|_| move |_: &Seen| status(200).body(there.clone())).await;
    let target = storage.host();
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.header("authorization") {
            Some(_) => status(307)
                .header("location", &format!("http://{target}/signed?x=y"))
                .empty(),
            None => status(401)
                .header("www-authenticate", "Basic realm=x")
                .empty(),
        }
    })
    .await;
    let client = client([&*registry.host(), &*storage.host()]);
    let repository = reference(&format!("{}/a", registry.host()));
    let credentials = [kip_registry::Credential::basic("bob", "right")];
    let blob = client
        .blob(&repository, &sha256(&content), .., &credentials)
        .await
        .unwrap();
    assert_eq!(blob.bytes(1000).await.unwrap(), content);
    let seen = &storage.seen()[0];
    assert_eq!(
        (&seen.method, seen.header("authorization")),
        (&Method::GET, None)
    );
}
