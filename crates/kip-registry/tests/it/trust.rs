//! TLS and plain HTTP, and settings that cannot be meant.

use kip_registry::{Client, Kind, Proxies, Settings, SettingsError};

use crate::support::fake::{Fake, Seen};
use crate::support::image::{image, serve};
use crate::support::tls::Authority;
use crate::support::{client, reference, settings};

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let authority = Authority::new();
    let registry = Fake::start_tls(authority.sign(&["registry.example"]).acceptor(), |_| {
        |seen: &Seen| serve(seen, &image(&[b"x"], "").manifest)
    })
    .await;
    let mut trusting = settings([]);
    trusting.extra_ca = vec![authority.pem()];
    let name = reference(&format!("{}/a:1", registry.host()));
    let error = Client::new(trusting)
        .unwrap()
        .resolve(&name, &[])
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::Tls, "{error:?}");
    assert_eq!(registry.seen().len(), 0);
}

#[tokio::test]
async fn a_host_that_is_not_named_is_never_spoken_to_without_tls() {
    let registry = Fake::start(|_| |seen: &Seen| serve(seen, &image(&[b"x"], "").manifest)).await;
    let name = reference(&format!("{}/a:1", registry.host()));
    let error = client(["127.0.0.1"]).resolve(&name, &[]).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::Tls, "{error:?}");
    assert!(
        error.to_string().contains("name the host for plain HTTP"),
        "{error}"
    );
    assert_eq!(registry.seen().len(), 0);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let refused = |change: fn(&mut Settings)| {
        let mut wrong = settings([]);
        change(&mut wrong);
        Client::new(wrong).unwrap_err()
    };
    let error = refused(|settings| {
        settings.extra_ca = vec![Authority::new().pem(), b"no certificate".to_vec()];
    });
    assert!(
        matches!(
            error,
            SettingsError::ExtraCa {
                index: 1,
                source: None
            }
        ),
        "{error}"
    );
    let error = refused(|settings| {
        settings.extra_ca =
            vec![b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()];
    });
    assert!(
        matches!(
            error,
            SettingsError::ExtraCa {
                index: 0,
                source: Some(_)
            }
        ),
        "{error}"
    );
    let error = refused(|settings| settings.proxies.https = Some("http://user:s3cret@[".into()));
    assert!(
        matches!(error, SettingsError::Proxy { field: "https" }),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    for host in ["http://registry", "a/b", "", "user@host", "host:port"] {
        let mut wrong = settings([host]);
        wrong.proxies = Proxies::none();
        let error = Client::new(wrong).unwrap_err();
        assert!(
            matches!(error, SettingsError::PlainHttp { .. }),
            "{host:?}: {error}"
        );
    }
    let error = refused(|settings| settings.user_agent = "new\nline".into());
    assert!(matches!(error, SettingsError::UserAgent { .. }), "{error}");
}
