//! Certificates that change while requests come.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use image_cloner::tls::{CertificateError, Shown, certificate, files, serve};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::tls::Authority;

const NAMES: [&str; 2] = ["tls.crt", "tls.key"];

fn signed(authority: &Authority) -> CertifiedKey {
    let leaf = authority.sign(&["127.0.0.1"]);
    let (chain, key) = (leaf.certificate.pem(), leaf.key.serialize_pem());
    certificate(chain.as_bytes(), key.as_bytes(), NAMES.map(Path::new)).unwrap()
}

fn trusting(authorities: &[&Authority]) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = authorities
        .iter()
        .map(|it| reqwest::Certificate::from_pem(&it.pem()).unwrap());
    // A connection for each request, so that each is shown a certificate.
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0);
    client.tls_certs_only(roots).build().unwrap()
}

#[tokio::test]
async fn a_new_certificate_is_shown_from_then_on_and_no_request_fails() {
    let (old, new) = (Authority::new(), Authority::new());
    let shown = Shown::new(signed(&old));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/readyz", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/readyz", get(async || "OK"));
    let serving = tokio::spawn(serve(listener, shown.clone(), router, async {
        let _ = stopped.await;
    }));
    // While both are trusted, as the API server does by then.
    let (both, done) = (trusting(&[&old, &new]), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (address, done) = (address.clone(), done.clone());
        tokio::spawn(async move {
            loop {
                let answer = both.get(&address).send().await.unwrap();
                assert!(answer.status().is_success());
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let until = async |count: usize| {
        while done.load(Ordering::Relaxed) < count {
            assert!(!load.is_finished(), "a request has failed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(20).await;
    let is_shown =
        async |authority: &Authority| trusting(&[authority]).get(&address).send().await.is_ok();
    assert!(is_shown(&old).await && !is_shown(&new).await);
    shown.show(signed(&new));
    assert!(!is_shown(&old).await && is_shown(&new).await);
    until(done.load(Ordering::Relaxed) + 20).await;
    load.abort();
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
    ended.expect("it ends when it is told to").unwrap().unwrap();
}

#[test]
fn what_is_no_certificate_is_refused_by_its_name() {
    let [one, two] = [
        Authority::new().sign(&["a.example"]),
        Authority::new().sign(&["a.example"]),
    ];
    let names = NAMES.map(Path::new);
    let (chain, key) = (one.certificate.pem(), one.key.serialize_pem());
    let cases = [
        ("", key.as_str(), "tls.crt"),
        ("rubbish", &key, "tls.crt"),
        (&chain, "", "tls.key"),
    ];
    for (chain, key, name) in cases {
        let error = certificate(chain.as_bytes(), key.as_bytes(), names).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let other = two.key.serialize_pem();
    let error = certificate(chain.as_bytes(), other.as_bytes(), names).unwrap_err();
    assert!(matches!(error, CertificateError::Key(_)), "{error}");
}

#[tokio::test]
async fn files_that_somebody_renews_are_followed_and_what_is_no_certificate_is_passed_over() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = tempfile::TempDir::new().unwrap();
    let [chain, key] = NAMES.map(|name| folder.path().join(name));
    let write = |authority: &Authority| {
        let leaf = authority.sign(&["127.0.0.1"]);
        std::fs::write(&chain, leaf.certificate.pem()).unwrap();
        std::fs::write(&key, leaf.key.serialize_pem()).unwrap();
    };
    assert!(files::first(&chain, &key).is_err(), "there is none yet");
    write(&old);
    let shown = files::first(&chain, &key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/readyz", listener.local_addr().unwrap());
    let router = Router::new().route("/readyz", get(async || "OK"));
    tokio::spawn(serve(
        listener,
        shown.clone(),
        router,
        std::future::pending(),
    ));
    tokio::spawn(files::follow(chain.clone(), key.clone(), shown));
    let is_shown =
        async |authority: &Authority| trusting(&[authority]).get(&address).send().await.is_ok();
    std::fs::write(&chain, "half of").unwrap();
    assert!(is_shown(&old).await);
    write(&new);
    let followed = async {
        while !is_shown(&new).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), followed).await;
    in_time.expect("the new one is shown");
    assert!(!is_shown(&old).await);
}
