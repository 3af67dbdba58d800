//! Challenges, tokens and the order of credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use kip_registry::{Credential, Kind};

use crate::support::fake::{Fake, Seen, challenge, status};
use crate::support::image::{Content, image, serve};
use crate::support::tokens::{give, token_server};
use crate::support::{client, reference, sha256};

const BOB: &str = "Basic Ym9iOnJpZ2h0"; // bob:right

/// A registry that takes some tokens and asks for others.
async fn registry_with(
    realm: String,
    takes: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> (Fake, Content) {
    let there = image(&[b"x"], "").manifest;
    let content = there.clone();
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.header("authorization") {
            Some(token) if takes(token) => serve(seen, &content),
            _ => challenge(&realm),
        }
    })
    .await;
    (registry, there)
}

fn realm(tokens: &Fake) -> String {
    format!("http://{}/token", tokens.host())
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_once_and_kept() {
    let tokens = token_server(|_| true, "").await;
    let (registry, _) = registry_with(realm(&tokens), |token| token == "Bearer token-1").await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a/b:1", registry.host()));
    for _ in 0..3 {
        client.resolve(&name, &[]).await.unwrap();
    }
    client.manifest(&name, &[]).await.unwrap();
    let asked = tokens.seen();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].uri,
        "/token?service=registry.test&scope=repository%3Aa%2Fb%3Apull&client_id=kip-registry"
    );
    assert_eq!(asked[0].header("authorization"), None);
    // The challenge is known after the first request.
    assert_eq!(registry.seen().len(), 5);

    // Another repository has a token of its own, and no challenge is needed.
    client
        .resolve(&reference(&format!("{}/c:1", registry.host())), &[])
        .await
        .unwrap_err();
    assert_eq!(
        tokens.lines()[1],
        "GET /token?service=registry.test&scope=repository%3Ac%3Apull&client_id=kip-registry"
    );
}

#[tokio::test]
async fn a_password_goes_to_the_token_server_and_not_to_the_registry() {
    let tokens = token_server(|seen| seen.header("authorization") == Some(BOB), "").await;
    let (registry, there) =
        registry_with(realm(&tokens), |token| token.starts_with("Bearer token-")).await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    let credentials = [Credential::basic("bob", "right")];
    assert_eq!(
        client.resolve(&name, &credentials).await.unwrap().digest,
        there.digest
    );
    assert!(tokens.seen()[0].uri.ends_with("&account=bob"));
    for seen in registry.seen() {
        assert_ne!(seen.header("authorization"), Some(BOB));
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post() {
    let tokens = Fake::start(|_| {
        |seen: &Seen| {
            let form = String::from_utf8(seen.body.to_vec()).unwrap();
            if seen.method == Method::POST && form.contains("&refresh_token=id%2Btoken") {
                give("ignored", r#", "access_token": "second""#)
            } else {
                status(400).body(r#"{"error":"invalid_grant"}"#)
            }
        }
    })
    .await;
    let (registry, _) = registry_with(realm(&tokens), |token| token == "Bearer ignored").await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    client
        .resolve(&name, &[Credential::identity_token("id+token")])
        .await
        .unwrap();
    let asked = &tokens.seen()[0];
    assert_eq!(
        asked.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        asked.body,
        "grant_type=refresh_token&service=registry.test&client_id=kip-registry&scope=repository%3Aa%3Apull&refresh_token=id%2Btoken"
    );
    let error = client
        .resolve(&name, &[Credential::identity_token("wrong")])
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Unauthorized {
            tried: vec!["identity token".into()]
        }
    );
}

#[tokio::test]
async fn each_credential_is_tried_in_order_and_the_one_that_worked_is_first_afterwards() {
    let there = image(&[b"x"], "").manifest;
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.header("authorization") {
            Some(BOB) => serve(seen, &there),
            // carol:c
            Some("Basic Y2Fyb2w6Yw==") => status(403).empty(),
            // dave:d
            Some("Basic ZGF2ZTpk") => status(404).empty(),
            _ => status(401)
                .header("www-authenticate", "Basic realm=x")
                .empty(),
        }
    })
    .await;
    let client = client([&*registry.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    let [alice, carol, dave, bob] = [
        ("alice", "a"),
        ("carol", "c"),
        ("dave", "d"),
        ("bob", "right"),
    ]
    .map(|(user, password)| Credential::basic(user, password));
    let all = [alice.clone(), carol.clone(), dave.clone(), bob.clone()];
    client.resolve(&name, &all).await.unwrap();
    // The first request is without any, since nothing was asked for yet.
    assert_eq!(registry.seen().len(), 5);
    client.resolve(&name, &all).await.unwrap();
    assert_eq!(registry.seen().len(), 6, "the right one is first now");
    // What another caller's credential opened stays closed for this one.
    let error = client
        .resolve(&name, std::slice::from_ref(&alice))
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Unauthorized {
            tried: vec!["user \"alice\"".into()]
        }
    );
    client.resolve(&name, &[]).await.unwrap_err();

    // Of several refusals, the one that tells most.
    let error = client
        .resolve(&name, &[alice.clone(), carol.clone()])
        .await
        .unwrap_err();
    let tried = vec!["user \"alice\"".to_owned(), "user \"carol\"".to_owned()];
    assert_eq!(*error.kind(), Kind::Denied { tried });
    let error = client
        .resolve(&name, &[carol, dave, alice])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced_once() {
    let tokens = token_server(|_| true, r#","expires_in":3600"#).await;
    let good = Arc::new(AtomicUsize::new(1));
    let takes = Arc::clone(&good);
    let (registry, _) = registry_with(realm(&tokens), move |token| {
        token == format!("Bearer token-{}", takes.load(Ordering::SeqCst))
    })
    .await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    client.resolve(&name, &[]).await.unwrap();
    good.store(2, Ordering::SeqCst);
    client.resolve(&name, &[]).await.unwrap();
    assert_eq!(tokens.seen().len(), 2);
    // None is ever right again: a new one is refused, too, and that is the end.
    good.store(usize::MAX, Ordering::SeqCst);
    let error = client.resolve(&name, &[]).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unauthorized { .. }), "{error}");
    assert_eq!(tokens.seen().len(), 3);
}

#[tokio::test]
async fn a_token_is_not_used_when_its_time_is_over() {
    let tokens = token_server(|_| true, r#","expires_in":0"#).await;
    let (registry, _) =
        registry_with(realm(&tokens), |token| token.starts_with("Bearer token-")).await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    client.resolve(&name, &[]).await.unwrap();
    client.resolve(&name, &[]).await.unwrap();
    assert_eq!(tokens.seen().len(), 2);
}

#[tokio::test]
async fn a_wider_scope_is_asked_for_where_the_registry_wants_one() {
    let tokens = Fake::start(|_| {
        |seen: &Seen| {
            let wide = seen.uri.contains("repository%3Abase%3Apull");
            give(if wide { "wide" } else { "narrow" }, "")
        }
    })
    .await;
    let there = image(&[b"x"], "").manifest;
    let token_realm = realm(&tokens);
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.header("authorization") {
            Some("Bearer wide") => serve(seen, &there),
            _ => status(401)
                .header(
                    "www-authenticate",
                    &format!(
                        "Bearer realm=\"{token_realm}\",service=\"s\",scope=\"repository:a:pull repository:base:pull\",error=\"insufficient_scope\""
                    ),
                )
                .empty(),
        }
    })
    .await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    client.resolve(&name, &[]).await.unwrap();
    assert_eq!(tokens.seen().len(), 2);
}

#[tokio::test]
async fn a_token_server_that_is_neither_encrypted_nor_named_gets_no_credentials() {
    let tokens = token_server(|_| true, "").await;
    for realm in [
        realm(&tokens),
        "ftp://127.0.0.1/token".to_owned(),
        "/token".to_owned(),
        format!("http://user@{}/", tokens.host()),
    ] {
        let (registry, _) = registry_with(realm.clone(), |_| true).await;
        // The registry is named for plain HTTP, and its token server is not.
        let client = client([&*registry.host()]);
        let name = reference(&format!("{}/a:1", registry.host()));
        let error = client
            .resolve(&name, &[Credential::basic("bob", "right")])
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Refused | Kind::Malformed),
            "{realm}: {error}"
        );
    }
    assert_eq!(tokens.lines(), [""; 0]);
}

#[tokio::test]
async fn a_token_server_that_fails_is_asked_again_and_its_nonsense_is_told() {
    let tokens = Fake::start(|_| {
        |seen: &Seen| match seen.before {
            0 => status(503).empty(),
            1 => give("token-1", ""),
            2 => status(200).body("<html>"),
            3 => status(200).body(r#"{"token":""}"#),
            4 => status(200).body("{\"token\":\"a\\u0000b\"}"),
            5 => status(403).body(r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
            _ => status(404).empty(),
        }
    })
    .await;
    let (registry, _) = registry_with(realm(&tokens), |token| token == "Bearer token-1").await;
    let host = registry.host();
    let new = || client([&*host, &*tokens.host()]);
    let name = reference(&format!("{host}/a:1"));
    new().resolve(&name, &[]).await.unwrap();
    for _ in 2..5 {
        let error = new().resolve(&name, &[]).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::Malformed, "{error}");
    }
    let error = new().resolve(&name, &[]).await.unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Denied {
            tried: vec!["anonymous".into()]
        }
    );
    assert!(
        error
            .to_string()
            .contains("its token server: status 403, it says DENIED \"no\""),
        "{error}"
    );
    // A token server knows nothing of images: this does not mean that the image is missing.
    let error = new().resolve(&name, &[]).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn a_challenge_that_never_ends_is_not_followed_for_ever() {
    let tokens = token_server(|_| true, "").await;
    let token_realm = realm(&tokens);
    let registry = Fake::start(|_| {
        move |seen: &Seen| {
            // Each time from elsewhere, and with more to ask for.
            status(401)
                .header(
                    "www-authenticate",
                    &format!(
                        "Bearer realm=\"{token_realm}?{}\",scope=\"more:{}\"",
                        seen.before, seen.before
                    ),
                )
                .empty()
        }
    })
    .await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a@{}", registry.host(), sha256(b"")));
    let error = client.resolve(&name, &[]).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unauthorized { .. }), "{error}");
    assert_eq!(registry.seen().len(), 4);
}
