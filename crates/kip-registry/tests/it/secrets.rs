//! No secret is ever seen.

use kip_registry::{Client, Credential, Error};

use crate::support::fake::{Fake, Seen, challenge, status};
use crate::support::tokens::token_server;
use crate::support::{all_words, client, reference, settings};

const PASSWORD: &str = "p4ssw0rd-s3cret";
const IDENTITY: &str = "1dent1ty-s3cret";
/// bob and the password.
const BASIC: &str = "Ym9iOnA0c3N3MHJkLXMzY3JldA==";
const TOKEN: &str = "token-1";

fn assert_silent(error: &Error) {
    let words = all_words(error);
    for secret in [PASSWORD, IDENTITY, BASIC, TOKEN, "signature"] {
        assert!(!words.contains(secret), "{secret} in {words}");
    }
}

#[test]
fn credentials_do_not_show_their_secrets() {
    let all = format!(
        "{:?} {:?}",
        Credential::basic("bob", PASSWORD),
        Credential::IdentityToken {
            user: Some("carol".into()),
            token: IDENTITY.into()
        }
    );
    assert!(all.contains("bob") && all.contains("carol"), "{all}");
    assert!(!all.contains(PASSWORD) && !all.contains(IDENTITY), "{all}");
    // Some registries take a token for the user.
    let token = "ghp_0123456789abcdef0123456789abcdef0123";
    assert!(!format!("{:?}", Credential::basic(token, "x")).contains(token));
}

#[tokio::test]
async fn a_registry_that_repeats_what_it_was_sent_does_not_make_us_tell() {
    let tokens = token_server(|_| true, "").await;
    let realm = format!("http://{}/", tokens.host());
    for code in [400, 401, 403, 404, 429, 500] {
        let realm = realm.clone();
        let registry = Fake::start(|_| {
            move |seen: &Seen| {
                let Some(sent) = seen.header("authorization") else {
                    return challenge(&realm);
                };
                let body = format!(
                    r#"{{"errors":[{{"code":"X","message":"you sent {sent} and {PASSWORD}"}}]}}"#
                );
                status(code).body(body)
            }
        })
        .await;
        let client = client([&*registry.host(), &*tokens.host()]);
        let name = reference(&format!("{}/a:1", registry.host()));
        let error = client
            .manifest(&name, &[Credential::basic("bob", PASSWORD)])
            .await
            .unwrap_err();
        assert!(error.to_string().contains("you sent Bearer …"), "{error}");
        // The token differs from round to round.
        let words = all_words(&error);
        assert!(
            !words.contains("Bearer token-") && !words.contains(PASSWORD),
            "{words}"
        );
    }
}

#[tokio::test]
async fn a_token_server_that_repeats_what_it_was_sent_does_not_make_us_tell() {
    let tokens = Fake::start(|_| {
        |seen: &Seen| {
            let sent = seen.header("authorization").unwrap_or_default().to_owned();
            let form = String::from_utf8(seen.body.to_vec()).unwrap();
            status(401).body(format!("{sent} {form}"))
        }
    })
    .await;
    let realm = format!("http://{}/", tokens.host());
    let registry = Fake::start(|_| move |_: &Seen| challenge(&realm)).await;
    let client = client([&*registry.host(), &*tokens.host()]);
    let name = reference(&format!("{}/a:1", registry.host()));
    for credential in [
        Credential::basic("bob", PASSWORD),
        Credential::identity_token(IDENTITY),
    ] {
        let error = client.resolve(&name, &[credential]).await.unwrap_err();
        assert!(error.to_string().contains('…'), "{error}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn a_signed_address_of_storage_is_not_told_when_storage_is_gone() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let target = gone.clone();
    let registry = Fake::start(|_| {
        move |_: &Seen| {
            status(302)
                .header("location", &format!("http://{target}/x?signature=abc"))
                .empty()
        }
    })
    .await;
    let client = client([&*registry.host(), &*gone]);
    let name = reference(&format!("{}/a:1", registry.host()));
    assert_silent(
        &client
            .resolve(&name, &[Credential::basic("bob", PASSWORD)])
            .await
            .unwrap_err(),
    );
}

#[tokio::test]
async fn a_client_does_not_show_what_it_knows() {
    let tokens = token_server(|_| true, "").await;
    let realm = format!("http://{}/", tokens.host());
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.header("authorization") {
            Some(_) => status(200)
                .header(
                    "docker-content-digest",
                    &format!("sha256:{}", "0".repeat(64)),
                )
                .empty(),
            None => challenge(&realm),
        }
    })
    .await;
    let mut with_proxy = settings([&*registry.host(), &*tokens.host()]);
    with_proxy.proxies.https = Some(format!("http://bob:{PASSWORD}@127.0.0.1:1"));
    let client = Client::new(with_proxy).unwrap();
    let name = reference(&format!("{}/a:1", registry.host()));
    client
        .resolve(&name, &[Credential::basic("bob", PASSWORD)])
        .await
        .unwrap();
    let words = format!("{client:?} {client:#?}");
    for secret in [PASSWORD, BASIC, TOKEN] {
        assert!(!words.contains(secret), "{secret} in {words}");
    }
}
