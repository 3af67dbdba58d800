//! Uploads that do not go as they should.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use http::Method;
use kip_registry::{Client, Error, Kind, Source, Unreachable};

use crate::support::fake::{Fake, Reply, Seen, status};
use crate::support::image::bytes;
use crate::support::{client, reference, settings, sha256};

/// A registry that takes uploads, and fails them as the test says before that.
struct Uploads {
    fake: Fake,
    stored: Arc<Mutex<Vec<u8>>>,
}

/// Takes blobs. The first say is the test's.
async fn uploads(
    chunk_min: Option<u64>,
    first: impl Fn(&Seen, &mut Vec<u8>) -> Option<Reply> + Send + Sync + 'static,
) -> Uploads {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&stored);
    let fake = Fake::start(|_| {
        move |seen: &Seen| {
            let mut all = keep.lock().unwrap();
            if let Some(reply) = first(seen, &mut all) {
                return reply;
            }
            let session = |code| {
                status(code).header("location", &format!("/session?n={}&x=a%2Fb", seen.before))
            };
            match seen.method {
                Method::POST => {
                    all.clear();
                    match chunk_min {
                        Some(least) => session(202)
                            .header("oci-chunk-min-length", &least.to_string())
                            .empty(),
                        None => session(202).empty(),
                    }
                }
                Method::PATCH => {
                    let range = format!("{}-{}", all.len(), all.len() + seen.body.len() - 1);
                    assert_eq!(seen.header("content-range"), Some(&*range));
                    all.extend(&seen.body);
                    session(202).empty()
                }
                Method::GET => session(204)
                    .header("range", &format!("0-{}", all.len().max(1) - 1))
                    .empty(),
                Method::DELETE => status(204).empty(),
                _ => {
                    all.extend(&seen.body);
                    assert!(
                        seen.uri.contains("x=a%2Fb&digest=sha256%3A"),
                        "{}",
                        seen.uri
                    );
                    status(201)
                        .header("docker-content-digest", &sha256(&all).to_string())
                        .empty()
                }
            }
        }
    })
    .await;
    Uploads { fake, stored }
}

impl Uploads {
    async fn send(&self, content: &[u8]) -> Result<(), Error> {
        let client = client([&*self.fake.host()]);
        let name = reference(&format!("{}/a", self.fake.host()));
        let source = Bytes::from(content.to_vec());
        client
            .upload(&name, &sha256(content), content.len() as u64, &source, &[])
            .await
    }

    fn methods(&self) -> Vec<Method> {
        self.fake
            .seen()
            .into_iter()
            .map(|seen| seen.method)
            .collect()
    }
}

#[tokio::test]
async fn a_blob_is_sent_in_one_piece_with_its_length() {
    let content = bytes(100_000);
    let registry = uploads(None, |_, _| None).await;
    registry.send(&content).await.unwrap();
    assert_eq!(*registry.stored.lock().unwrap(), content);
    assert_eq!(registry.methods(), [Method::POST, Method::PUT]);
    let put = &registry.fake.seen()[1];
    assert_eq!(put.header("content-length"), Some("100000"));
    assert_eq!(put.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn a_blob_is_sent_in_chunks_where_one_piece_is_too_large() {
    // Not a whole number of chunks.
    let content = bytes((40 << 20) + 5);
    let registry = uploads(Some(18 << 20), |seen, _| {
        let too_large = seen.method == Method::PUT && seen.body.len() > 1;
        too_large.then(|| status(413).empty())
    })
    .await;
    registry.send(&content).await.unwrap();
    assert_eq!(*registry.stored.lock().unwrap(), content);
    assert_eq!(
        registry.methods(),
        [
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::POST,
            Method::PATCH,
            Method::PATCH,
            Method::PATCH,
            Method::PUT
        ]
    );
    let lengths: Vec<usize> = registry.fake.seen()[4..]
        .iter()
        .map(|seen| seen.body.len())
        .collect();
    assert_eq!(lengths, [18 << 20, 18 << 20, (4 << 20) + 5, 0]);
}

#[tokio::test]
async fn a_chunk_that_breaks_off_goes_on_where_the_registry_has_it() {
    let content = bytes(20 << 20);
    let registry = uploads(None, |seen, stored| match (&seen.method, seen.before) {
        // In one piece it does not go.
        (&Method::PUT, 1) => Some(status(405).empty()),
        // Half of the first chunk is kept.
        (&Method::PATCH, 4) => {
            stored.extend(&seen.body[..seen.body.len() / 2]);
            Some(Reply::Cut)
        }
        _ => None,
    })
    .await;
    registry.send(&content).await.unwrap();
    assert!(*registry.stored.lock().unwrap() == content);
    let at: Vec<Option<String>> = registry
        .fake
        .seen()
        .iter()
        .map(|seen| seen.header("content-range").map(str::to_owned))
        .collect();
    assert_eq!(at[6].as_deref(), Some("8388608-20971519"));
}

#[tokio::test]
async fn an_upload_that_fails_is_cancelled_and_begins_again() {
    let content = bytes(1000);
    let registry = uploads(None, |seen, _| match (&seen.method, seen.before) {
        (&Method::PUT, 1) => Some(Reply::Cut),
        (&Method::PUT, 4) => Some(status(503).empty()),
        _ => None,
    })
    .await;
    registry.send(&content).await.unwrap();
    assert_eq!(*registry.stored.lock().unwrap(), content);
    let posts = registry
        .methods()
        .into_iter()
        .filter(|method| method == Method::POST)
        .count();
    let deletes = registry
        .methods()
        .into_iter()
        .filter(|method| method == Method::DELETE)
        .count();
    assert_eq!((posts, deletes), (3, 2));

    let registry = uploads(None, |seen, _| {
        (seen.method == Method::PUT).then(|| status(500).empty())
    })
    .await;
    let error = registry.send(&content).await.unwrap_err();
    assert!(
        matches!(error.kind(), Kind::Server { status: 500, .. }),
        "{error}"
    );
    assert_eq!(registry.methods().last(), Some(&Method::DELETE));
}

#[tokio::test]
async fn a_registry_that_stored_something_else_is_found_out() {
    let registry = uploads(None, |seen, _| {
        let lie = || {
            status(201)
                .header("docker-content-digest", &sha256(b"other").to_string())
                .empty()
        };
        (seen.method == Method::PUT).then(lie)
    })
    .await;
    let error = registry.send(b"content").await.unwrap_err();
    assert!(
        matches!(error.kind(), Kind::DigestMismatch { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn silence_after_an_upload_ends() {
    let registry = uploads(None, |seen, _| {
        (seen.method == Method::PUT).then_some(Reply::Silence)
    })
    .await;
    let mut impatient = settings([&*registry.fake.host()]);
    impatient.idle_timeout = std::time::Duration::from_millis(50);
    impatient.retries.count = 0;
    let name = reference(&format!("{}/a", registry.fake.host()));
    let client = Client::new(impatient).unwrap();
    let error = client
        .upload(&name, &sha256(b"x"), 1, &Bytes::from_static(b"x"), &[])
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Unreachable(Unreachable::Timeout),
        "{error:?}"
    );
}

/// A source that ends too early, or fails.
struct Broken(bool);

impl Source for Broken {
    fn open(
        &self,
        _: u64,
        _: u64,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<Bytes, Error>>, Error>> {
        let mut items = vec![Ok(Bytes::from_static(b"begin"))];
        if self.0 {
            items.push(Err(Error::input("the disk is gone")));
        }
        futures::future::ready(Ok(stream::iter(items).boxed())).boxed()
    }
}

#[tokio::test]
async fn a_source_that_fails_is_told_as_such_and_nothing_is_stored() {
    for fails in [true, false] {
        let registry = uploads(None, |_, _| None).await;
        let client = client([&*registry.fake.host()]);
        let name = reference(&format!("{}/a", registry.fake.host()));
        let error = client
            .upload(&name, &sha256(b"x"), 1000, &Broken(fails), &[])
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), Kind::Input, "{error:?}");
        assert_eq!(registry.methods().last(), Some(&Method::DELETE));
    }
}
