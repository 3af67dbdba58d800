//! Limits on what is read.

use kip_registry::{Client, Kind, PrivateHosts};

use crate::support::fake::{Fake, Seen, challenge, status};
use crate::support::image::{image, serve};
use crate::support::{client, reference, settings};

const MANIFEST_MAX: usize = 1 << 20;

#[tokio::test]
async fn a_manifest_is_read_up_to_the_limit_and_no_further() {
    let registry = Fake::start(|_| {
        |seen: &Seen| match seen.path() {
            "/v2/fits/manifests/1" => status(200).body(vec![b' '; MANIFEST_MAX]),
            "/v2/announced/manifests/1" => status(200).body(vec![b' '; MANIFEST_MAX + 1]),
            // No length is announced; much more than any buffer on the way takes.
            _ => status(200).endless(1 << 30),
        }
    })
    .await;
    let mut small = settings([&*registry.host()]);
    small.limits.manifest_bytes = MANIFEST_MAX;
    let client = Client::new(small).unwrap();
    let manifest = |repository| {
        let name = reference(&format!("{}/{repository}:1", registry.host()));
        let client = client.clone();
        async move { client.manifest(&name, &[]).await }
    };
    manifest("fits").await.unwrap();
    for repository in ["announced", "endless"] {
        let error = manifest(repository).await.unwrap_err();
        let expected = Kind::TooLarge {
            what: "the manifest",
            limit: MANIFEST_MAX,
        };
        assert_eq!(*error.kind(), expected, "{repository}: {error}");
    }
    assert_eq!(registry.seen().len(), 3, "it is not tried again");
}

#[tokio::test]
async fn a_token_is_read_up_to_the_limit() {
    let tokens = Fake::start(|_| |_: &Seen| status(200).endless(1 << 30)).await;
    let realm = format!("http://{}/", tokens.host());
    let registry = Fake::start(|_| move |_: &Seen| challenge(&realm)).await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    let error = client.resolve(&name, &[]).await.unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::TooLarge {
            what: "a token",
            limit: 64 << 10
        }
    );
}

#[tokio::test]
async fn a_refusal_without_end_is_still_a_refusal_and_its_message_is_short() {
    let registry = Fake::start(|_| {
        |seen: &Seen| match seen.path() {
            "/v2/endless/manifests/1" => status(404).endless(1 << 30),
            _ => status(404).body("long \u{1b}[31m words\n".repeat(500)),
        }
    })
    .await;
    let client = client([&*registry.host()]);
    for repository in ["endless", "long"] {
        let name = reference(&format!("{}/{repository}:1", registry.host()));
        let error = client.manifest(&name, &[]).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::NotFound);
        let told = error.to_string();
        assert!(told.len() < 600, "{told}");
        assert!(!told.contains(char::is_control), "{told:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_read_to_its_end_does_no_harm_to_the_next_request() {
    let there = image(&[b"x"], "").manifest;
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.header("authorization") {
            None => status(401)
                .header("www-authenticate", "Basic realm=x")
                .endless(1 << 24),
            Some(_) => serve(seen, &there),
        }
    })
    .await;
    let credentials = [kip_registry::Credential::basic("bob", "right")];
    let name = reference(&format!("{}/a:1", registry.host()));
    client([&*registry.host()])
        .manifest(&name, &credentials)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_private_address_is_asked_only_where_the_registry_may_have_one() {
    let registry = Fake::start(|_| |_: &Seen| status(404).empty()).await;
    let ip = registry.host();
    let (_, port) = ip.split_once(':').unwrap();
    let by_name = format!("localhost:{port}");
    let ask = async |allowed: &[&str], host: &str| {
        let mut settings = settings([host]);
        let allowed = allowed.iter().map(|&host| host.to_owned());
        settings.private = PrivateHosts::Only(allowed.collect());
        let name = reference(&format!("{host}/a:1"));
        let client = Client::new(settings).unwrap();
        client.resolve(&name, &[]).await.unwrap_err()
    };
    for host in [&*ip, &by_name] {
        let error = ask(&["registry.example"], host).await;
        assert_eq!(*error.kind(), Kind::Refused, "{host}: {error}");
        assert!(
            error.to_string().contains("is a private address"),
            "{error}"
        );
    }
    assert_eq!(registry.lines(), [""; 0], "nothing was sent");
    assert_eq!(*ask(&[&*ip], &ip).await.kind(), Kind::NotFound);
}
