//! Where uploads may lead, and in whose name.

use bytes::Bytes;
use http::Method;
use kip_registry::{Client, Credential, Kind};

use crate::support::fake::{Fake, Seen, status};
use crate::support::image::bytes;
use crate::support::{client, reference, settings, sha256};

/// A registry that keeps its uploads on another host.
async fn elsewhere(location: String) -> Fake {
    Fake::start(|_| {
        move |seen: &Seen| match (seen.header("authorization"), &seen.method) {
            (None, _) => status(401)
                .header("www-authenticate", "Basic realm=x")
                .empty(),
            (_, &Method::POST) => status(202).header("location", &location).empty(),
            _ => status(204).empty(),
        }
    })
    .await
}

#[tokio::test]
async fn an_upload_to_another_host_has_no_credentials() {
    let storage = Fake::start(|_| |_: &Seen| status(201).empty()).await;
    let registry = elsewhere(format!("http://{}/store?signature=s", storage.host())).await;
    let client = client([&*registry.host(), &*storage.host()]);
    let name = reference(&format!("{}/a", registry.host()));
    let credentials = [Credential::basic("bob", "right")];
    client
        .upload(
            &name,
            &sha256(b"x"),
            1,
            &Bytes::from_static(b"x"),
            &credentials,
        )
        .await
        .unwrap();
    let seen = &storage.seen()[0];
    assert_eq!(
        (seen.body.as_ref(), seen.header("authorization")),
        (&b"x"[..], None)
    );
    assert!(
        seen.uri.starts_with("/store?signature=s&digest=sha256"),
        "{}",
        seen.uri
    );
}

#[tokio::test]
async fn an_upload_to_where_we_do_not_go_is_refused() {
    let storage = Fake::start(|_| |_: &Seen| status(201).empty()).await;
    for location in [
        format!("http://{}/store", storage.host()),
        format!("http://user:password@{}/store", storage.host()),
        "ftp://storage/store".to_owned(),
        "data:,x".to_owned(),
    ] {
        let registry = elsewhere(location.clone()).await;
        let client = client([&*registry.host()]);
        let name = reference(&format!("{}/a", registry.host()));
        let credentials = [Credential::basic("bob", "right")];
        let error = client
            .upload(
                &name,
                &sha256(b"x"),
                1,
                &Bytes::from_static(b"x"),
                &credentials,
            )
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), Kind::Refused, "{location}: {error}");
    }
    assert_eq!(storage.lines(), [""; 0]);
}

#[tokio::test]
async fn an_upload_to_a_private_address_is_refused_where_the_registry_is_public() {
    let storage = Fake::start(|_| |_: &Seen| status(201).empty()).await;
    // Behind a proxy a registry counts as public.
    let proxy = elsewhere(format!("http://{}/store", storage.host())).await;
    let mut through = settings(["registry.test", &*storage.host()]);
    through.proxies.http = Some(format!("http://{}", proxy.host()));
    let client = Client::new(through).unwrap();
    let credentials = [Credential::basic("bob", "right")];
    let error = client
        .upload(
            &reference("registry.test/a"),
            &sha256(b"x"),
            1,
            &Bytes::from_static(b"x"),
            &credentials,
        )
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("private address"), "{error}");
    assert_eq!(storage.lines(), [""; 0]);
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_an_upload_is_replaced() {
    let tokens = crate::support::tokens::token_server(|_| true, "").await;
    let realm = format!("http://{}/", tokens.host());
    let content = bytes(10_000);
    let there = content.clone();
    let registry = Fake::start(|_| {
        move |seen: &Seen| match (&seen.method, seen.header("authorization")) {
            (&Method::POST, Some("Bearer token-1")) => {
                status(202).header("location", "/session").empty()
            }
            (&Method::PUT, Some("Bearer token-2")) => {
                assert_eq!(seen.body, there);
                status(201).empty()
            }
            _ => crate::support::fake::challenge(&realm),
        }
    })
    .await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a", registry.host()));
    client
        .upload(
            &name,
            &sha256(&content),
            content.len() as u64,
            &Bytes::from(content.clone()),
            &[],
        )
        .await
        .unwrap();
    assert!(
        tokens.seen()[0]
            .uri
            .contains("scope=repository%3Aa%3Apull%2Cpush"),
        "{:?}",
        tokens.lines()
    );
}
