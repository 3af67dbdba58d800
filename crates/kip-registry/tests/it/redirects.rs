//! Where redirects may lead, and what is sent along.

use kip_registry::{Client, Credential, Kind};

use crate::support::fake::{Fake, Seen, status};
use crate::support::image::{image, serve};
use crate::support::tls::Authority;
use crate::support::{client, reference, settings};

const BOB: &str = "Basic Ym9iOnJpZ2h0"; // bob:right

fn credentials() -> [Credential; 1] {
    [Credential::basic("bob", "right")]
}

#[tokio::test]
async fn credentials_stay_with_the_registry_even_when_the_way_leads_back() {
    let there = image(&[b"x"], "").manifest;
    let registry = Fake::start(|own| {
        move |seen: &Seen| {
            if seen.path() == "/public" {
                return serve(seen, &there);
            }
            match seen.header("authorization") {
                None => status(401)
                    .header("www-authenticate", "Basic realm=x")
                    .empty(),
                // By way of another path of its own, to another host, and back again.
                Some(_) if seen.path() == "/moved" => {
                    let storage = seen.uri.split("to=").nth(1).unwrap();
                    status(302)
                        .header("location", &format!("http://{storage}/blob?back={own}"))
                        .empty()
                }
                Some(_) => {
                    let storage = seen.path().rsplit('/').next().unwrap().replace('_', ":");
                    status(307)
                        .header("location", &format!("/moved?to={storage}"))
                        .empty()
                }
            }
        }
    })
    .await;
    let storage = Fake::start(|_| {
        |seen: &Seen| {
            let back = seen.uri.split("back=").nth(1).unwrap();
            status(303)
                .header("location", &format!("http://{back}/public"))
                .empty()
        }
    })
    .await;
    let client = client([&*registry.host(), &*storage.host()]);
    let tag = storage.host().replace(':', "_");
    let name = reference(&format!("{}/a:{tag}", registry.host()));
    client.manifest(&name, &credentials()).await.unwrap();

    let at_registry: Vec<Option<String>> = registry
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").map(str::to_owned))
        .collect();
    let bob = Some(BOB.to_owned());
    // Without, with, to its own other path with, and back from elsewhere without.
    assert_eq!(
        at_registry,
        [None, bob.clone(), bob, None],
        "{:?}",
        registry.lines()
    );
    let at_storage = storage.seen();
    assert_eq!(at_storage.len(), 1);
    assert_eq!(at_storage[0].header("authorization"), None);
    assert!(
        at_storage[0].header("accept").is_some(),
        "what is asked for stays the same"
    );
}

#[tokio::test]
async fn another_port_of_the_same_host_is_another_host() {
    let there = image(&[b"x"], "").manifest;
    let storage = Fake::start(|_| move |seen: &Seen| serve(seen, &there)).await;
    let target = storage.host();
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.header("authorization") {
            None => status(401).header("www-authenticate", "Basic").empty(),
            Some(_) => status(302)
                .header("location", &format!("http://{target}/x"))
                .empty(),
        }
    })
    .await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let client = client([&*registry.host(), &*storage.host()]);
    client.resolve(&name, &credentials()).await.unwrap();
    assert_eq!(storage.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_password_that_storage_asks_for_is_not_given() {
    let storage = Fake::start(|_| {
        |_: &Seen| {
            status(401)
                .header("www-authenticate", "Basic realm=x")
                .empty()
        }
    })
    .await;
    let target = storage.host();
    let registry = Fake::start(|_| {
        move |_: &Seen| {
            status(302)
                .header("location", &format!("http://{target}/x"))
                .empty()
        }
    })
    .await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let client = client([&*registry.host(), &*storage.host()]);
    let error = client.resolve(&name, &credentials()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unauthorized { .. }), "{error}");
    let seen = storage.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}

#[tokio::test]
async fn a_redirect_to_plain_http_needs_a_host_that_is_named_and_never_comes_from_tls() {
    let storage = Fake::start(|_| |_: &Seen| status(200).empty()).await;
    let target = storage.host();
    let go = move |_: &Seen| {
        status(302)
            .header("location", &format!("http://{target}/x"))
            .empty()
    };
    let plain = Fake::start(|_| go.clone()).await;
    let authority = Authority::new();
    let encrypted = Fake::start_tls(authority.sign(&["127.0.0.1"]).acceptor(), |_| go).await;

    // From plain HTTP to a host that is not named.
    let name = reference(&format!("{}/a:1", plain.host()));
    let error = client([&*plain.host()])
        .resolve(&name, &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Refused, "{error}");
    // From TLS to a host that is named.
    let mut trusting = settings([&*storage.host()]);
    trusting.extra_ca = vec![authority.pem()];
    let name = reference(&format!("{}/a:1", encrypted.host()));
    let error = Client::new(trusting)
        .unwrap()
        .resolve(&name, &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Refused, "{error}");
    assert!(
        error
            .to_string()
            .contains("it gives up TLS for http://127.0.0.1"),
        "{error}"
    );

    assert_eq!(encrypted.seen().len(), 1);
    assert_eq!(storage.lines(), [""; 0]);
}

#[tokio::test]
async fn redirects_without_end_or_without_a_place_are_refused() {
    let registry = Fake::start(|_| {
        |seen: &Seen| match seen.path() {
            "/v2/loop/manifests/1" => status(302).header("location", &seen.uri).empty(),
            "/v2/nowhere/manifests/1" => status(302).empty(),
            "/v2/nonsense/manifests/1" => status(302).header("location", "http://[").empty(),
            _ => status(302).header("location", "file:///etc/passwd").empty(),
        }
    })
    .await;
    let client = client([&*registry.host()]);
    for (repository, kind) in [
        ("loop", Kind::Refused),
        ("nowhere", Kind::Malformed),
        ("nonsense", Kind::Malformed),
        ("file", Kind::Refused),
    ] {
        let name = reference(&format!("{}/{repository}:1", registry.host()));
        let error = client.resolve(&name, &[]).await.unwrap_err();
        assert_eq!(*error.kind(), kind, "{repository}: {error}");
    }
    let loops = registry
        .lines()
        .iter()
        .filter(|line| line.contains("/loop/"))
        .count();
    assert_eq!(loops, 1 + client.settings().limits.redirects);
}
