//! What refers to a manifest.

use kip_registry::media_type::OCI_INDEX;
use kip_registry::{Client, Kind, ReferrersFrom};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup};
use crate::support::fake::{Fake, Seen, status};
use crate::support::image::{Content, image};
use crate::support::{client, reference, settings, sha256};

#[tokio::test]
async fn a_registry_that_keeps_no_list_has_it_under_a_tag() {
    let data = TempDir::new().unwrap();
    let registry = Debian::start(&data, &Setup::default());
    let subject = image(&[b"x"], "");
    registry.push("app", "1", &subject).await;
    let client = client([registry.host()]);
    let repository = reference(&format!("{}/app", registry.host()));
    let digest = &subject.manifest.digest;
    let found = client.referrers(&repository, digest, &[]).await.unwrap();
    assert_eq!((found.manifests.len(), found.from), (0, ReferrersFrom::Tag));

    let more = format!(r#","subject":{}"#, subject.manifest.descriptor(""));
    let signature = image(&[b"signature"], &more);
    registry.push("app", "signature", &signature).await;
    let list = Content::new(
        OCI_INDEX,
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#,
            signature
                .manifest
                .descriptor(r#","artifactType":"a/signature","annotations":{"k":"v"}"#)
        ),
    );
    registry
        .put("app", &format!("sha256-{}", digest.hex()), &list)
        .await;
    let found = client.referrers(&repository, digest, &[]).await.unwrap();
    assert_eq!(found.manifests.len(), 1);
    let one = &found.manifests[0];
    assert_eq!(one.digest, signature.manifest.digest);
    assert_eq!(one.artifact_type.as_deref(), Some("a/signature"));
    assert_eq!(one.annotations["k"], "v");
}

fn page(seen: &Seen, count: usize) -> String {
    let list: Vec<String> = (0..count)
        .map(|n| Content::new("a/b", format!("{} {n}", seen.uri)).descriptor(""))
        .collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, list.join(","))
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_to_its_end_but_not_without_end() {
    let registry = Fake::start(|_| {
        |seen: &Seen| {
            let answer = status(200).header("content-type", OCI_INDEX);
            let (path, query) = seen.uri.split_once('?').unwrap_or((&seen.uri, "page=0"));
            let n: usize = query.strip_prefix("page=").unwrap().parse().unwrap();
            // The repository `endless` has always one more.
            if path.starts_with("/v2/app/") && n == 3 {
                return answer.body(page(seen, 1));
            }
            answer
                .header("link", &format!("<{path}?page={}>; rel=\"next\"", n + 1))
                .body(page(seen, 2))
        }
    })
    .await;
    let mut few = settings([&*registry.host()]);
    few.limits.index_entries = 10;
    let client = Client::new(few).unwrap();
    let of = |repository: &str| reference(&format!("{}/{repository}", registry.host()));
    let found = client
        .referrers(&of("app"), &sha256(b"x"), &[])
        .await
        .unwrap();
    assert_eq!(
        (found.manifests.len(), found.from),
        (7, ReferrersFrom::Registry)
    );
    assert_eq!(registry.seen().len(), 4);
    let error = client
        .referrers(&of("endless"), &sha256(b"x"), &[])
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::TooLarge {
            what: "a list of referrers",
            limit: 10
        }
    );
}

#[tokio::test]
async fn the_pages_of_a_list_are_weighed_together() {
    const PAGE: usize = 30_000;
    // Few entries and much air: each page is allowed, and so is their number.
    let registry = Fake::start(|_| {
        |seen: &Seen| {
            let (path, query) = seen.uri.split_once('?').unwrap_or((&seen.uri, "page=0"));
            let n: usize = query.strip_prefix("page=").unwrap().parse().unwrap();
            let mut body = page(seen, 1);
            body.extend(std::iter::repeat_n(' ', PAGE - body.len()));
            let answer = status(200).header("content-type", OCI_INDEX);
            if path.starts_with("/v2/fits/") && n == 2 {
                return answer.body(body);
            }
            let next = format!("<{path}?page={}>; rel=\"next\"", n + 1);
            if path.starts_with("/v2/unannounced/") && n == 3 {
                return answer.header("link", &next).endless(1 << 30);
            }
            answer.header("link", &next).body(body)
        }
    })
    .await;
    let mut small = settings([&*registry.host()]);
    small.limits.manifest_bytes = 3 * PAGE;
    let client = Client::new(small).unwrap();
    let of = |repository: &str| reference(&format!("{}/{repository}", registry.host()));
    let found = client
        .referrers(&of("fits"), &sha256(b"x"), &[])
        .await
        .unwrap();
    assert_eq!(found.manifests.len(), 3);
    for repository in ["announced", "unannounced"] {
        let before = registry.seen().len();
        let error = client
            .referrers(&of(repository), &sha256(b"x"), &[])
            .await
            .unwrap_err();
        let expected = Kind::TooLarge {
            what: "a list of referrers",
            limit: 3 * PAGE,
        };
        assert_eq!(*error.kind(), expected, "{repository}: {error}");
        assert_eq!(registry.seen().len() - before, 4, "{repository}");
    }
}

#[tokio::test]
async fn the_next_page_is_not_on_another_host() {
    let registry = Fake::start(|_| {
        |seen: &Seen| {
            status(200)
                .header("content-type", OCI_INDEX)
                .header("link", "<https://elsewhere.example/v2/x>; rel=\"next\"")
                .body(page(seen, 1))
        }
    })
    .await;
    let repository = reference(&format!("{}/app", registry.host()));
    let error = client([&*registry.host()])
        .referrers(&repository, &sha256(b"x"), &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Refused, "{error}");
}

#[tokio::test]
async fn a_page_for_people_is_no_list() {
    let registry = Fake::start(|_| {
        |seen: &Seen| {
            if seen.path().contains("/referrers/") {
                status(200)
                    .header("content-type", "text/html")
                    .body("<html>")
            } else {
                status(404).empty()
            }
        }
    })
    .await;
    let repository = reference(&format!("{}/app", registry.host()));
    let found = client([&*registry.host()])
        .referrers(&repository, &sha256(b"x"), &[])
        .await
        .unwrap();
    assert_eq!((found.manifests.len(), found.from), (0, ReferrersFrom::Tag));
}
