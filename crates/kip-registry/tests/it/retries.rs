//! What is tried again, how often, and when.

use std::time::{Duration, Instant, SystemTime};

use http::Method;
use kip_registry::{Client, Kind, Unreachable};

use crate::support::fake::{Fake, Reply, Seen, status};
use crate::support::image::{image, serve};
use crate::support::{client, reference, settings};

#[tokio::test]
async fn what_may_pass_is_tried_again_and_the_rest_is_not() {
    for (first, attempts) in [
        (408, 2),
        (429, 2),
        (500, 2),
        (502, 2),
        (503, 2),
        (504, 2),
        (403, 1),
        (404, 1),
        (410, 1),
        (505, 1),
    ] {
        let there = image(&[b"x"], "").manifest;
        let registry = Fake::start(|_| {
            move |seen: &Seen| match seen.before {
                0 => status(first).empty(),
                _ => serve(seen, &there),
            }
        })
        .await;
        let name = reference(&format!("{}/a:1", registry.host()));
        let manifest = client([&*registry.host()]).manifest(&name, &[]).await;
        assert_eq!(manifest.is_ok(), attempts == 2, "{first}: {manifest:?}");
        assert_eq!(registry.seen().len(), attempts, "{first}");
    }
}

#[tokio::test]
async fn a_failure_that_lasts_is_told_after_the_last_attempt() {
    let registry = Fake::start(|_| |_: &Seen| status(503).body("upstream is gone")).await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let error = client([&*registry.host()])
        .manifest(&name, &[])
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Server {
            status: 503,
            retry_after: None
        }
    );
    assert_eq!(registry.seen().len(), 4);
    assert!(
        error.to_string().ends_with("(it says upstream is gone)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wait_that_the_registry_asks_for_is_kept() {
    let there = image(&[b"x"], "").manifest;
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.before {
            0 => status(429).header("retry-after", "1").empty(),
            _ => serve(seen, &there),
        }
    })
    .await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let began = Instant::now();
    client([&*registry.host()])
        .resolve(&name, &[])
        .await
        .unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_at_once() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(120));
    for (after, least) in [("90".to_owned(), 90), (date, 110)] {
        let registry =
            Fake::start(|_| move |_: &Seen| status(429).header("retry-after", &after).empty())
                .await;
        let name = reference(&format!("{}/a:1", registry.host()));
        let error = client([&*registry.host()])
            .resolve(&name, &[])
            .await
            .unwrap_err();
        let Kind::RateLimited {
            retry_after: Some(wait),
        } = error.kind()
        else {
            panic!("{error:?}");
        };
        assert!((least..=120).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(registry.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again_before_and_in_the_middle_of_an_answer() {
    let there = image(&[b"x"], "").manifest;
    let content = there.clone();
    let registry = Fake::start(|_| {
        move |seen: &Seen| match seen.before {
            0 => Reply::Cut,
            1 => status(200).cut_after(content.bytes.slice(..20), content.bytes.len()),
            _ => serve(seen, &content),
        }
    })
    .await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let manifest = client([&*registry.host()])
        .manifest(&name, &[])
        .await
        .unwrap();
    assert_eq!(manifest.bytes, there.bytes);
    assert_eq!(registry.lines(), ["GET /v2/a/manifests/1"; 3]);
}

#[tokio::test]
async fn a_connection_that_is_always_cut_is_told() {
    let registry = Fake::start(|_| |_: &Seen| Reply::Cut).await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let error = client([&*registry.host()])
        .resolve(&name, &[])
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Unreachable(Unreachable::Interrupted),
        "{error:?}"
    );
}

#[tokio::test]
async fn silence_ends_before_and_in_the_middle_of_an_answer() {
    let answers: [fn(&Seen) -> Reply; 2] = [
        |_| Reply::Silence,
        |seen| match seen.method {
            Method::HEAD => Reply::Silence,
            _ => status(200).silent_after("{".into()),
        },
    ];
    for answer in answers {
        let registry = Fake::start(|_| answer).await;
        let mut impatient = settings([&*registry.host()]);
        impatient.idle_timeout = Duration::from_millis(100);
        impatient.connect_timeout = Duration::from_millis(100);
        impatient.retries.count = 1;
        let client = Client::new(impatient).unwrap();
        let name = reference(&format!("{}/a:1", registry.host()));
        for error in [
            client.resolve(&name, &[]).await.unwrap_err(),
            client.manifest(&name, &[]).await.unwrap_err(),
        ] {
            assert_eq!(
                *error.kind(),
                Kind::Unreachable(Unreachable::Timeout),
                "{error:?}"
            );
        }
        assert_eq!(registry.seen().len(), 4, "each twice");
    }
}

#[tokio::test]
async fn no_connection_and_no_address_are_told_apart() {
    // A port that was free a moment ago.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let client = client([&*gone]);
    for (registry, how) in [
        (gone.as_str(), Unreachable::Connect),
        ("no-such-host.invalid", Unreachable::Dns),
    ] {
        let name = reference(&format!("{registry}/a:1"));
        let error = client.resolve(&name, &[]).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::Unreachable(how), "{error:?}");
    }
}
