use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn order() -> Order {
    Order::for_service("image-cloner", "backup", 90 * DAY)
}

fn start() -> SystemTime {
    UNIX_EPOCH + 20_000 * DAY
}

/// Whether who trusts the bundle is content with the certificate at that time.
fn is_trusted(bundle: &str, leaf: &Leaf, now: SystemTime) -> bool {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let end = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
    let name = ServerName::try_from("image-cloner.backup.svc").unwrap();
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap());
    let result = verifier
        .build()
        .unwrap()
        .verify_server_cert(&end, &[], &name, &[], now);
    result.is_ok()
}

#[test]
fn the_first_one_is_shown_at_once_and_is_for_the_service() {
    let mut certificates = Certificates::new(&order(), start()).unwrap();
    assert!(is_trusted(
        &certificates.bundle(),
        &certificates.shown,
        start()
    ));
    let other = Certificates::new(&order(), start()).unwrap();
    assert!(!is_trusted(&other.bundle(), &certificates.shown, start()));
    assert!(
        !certificates.go_on(&order(), start()).unwrap(),
        "nothing is due"
    );
    assert!(!certificates.is_published(start()));
}

#[test]
fn a_renewal_shows_nothing_that_is_not_trusted_yet_and_forgets_nobody_who_is_shown() {
    let mut certificates = Certificates::new(&order(), start()).unwrap();
    let first = certificates.shown.clone();
    let mut now = start();
    let mut shown = Vec::new();
    // What API servers trust: what was in the webhook configuration a minute ago.
    let mut published = certificates.bundle();
    for _ in 0..400 {
        now += DAY;
        for _ in 0..4 {
            let trusted = published.clone();
            certificates.go_on(&order(), now).unwrap();
            published = certificates.bundle();
            certificates.is_published(now);
            now += Duration::from_secs(61);
            assert!(
                is_trusted(&trusted, &certificates.shown, now),
                "{certificates:?}"
            );
        }
        if shown.last() != Some(&certificates.shown) {
            shown.push(certificates.shown.clone());
        }
        assert!(certificates.authorities.len() <= 3, "what has ended goes");
    }
    assert!(
        shown.len() >= 6,
        "in 400 days there are several, not {}",
        shown.len()
    );
    assert_eq!(shown[0], first);
}

#[test]
fn a_new_one_is_shown_only_after_it_was_published() {
    let mut certificates = Certificates::new(&order(), start()).unwrap();
    let first = certificates.shown.clone();
    let due = start() + 61 * DAY;
    assert!(certificates.go_on(&order(), due).unwrap());
    for minutes in 0..10 {
        certificates
            .go_on(&order(), due + minutes * PUBLICATION)
            .unwrap();
        assert_eq!(certificates.shown, first);
    }
    assert!(certificates.is_published(due + 10 * PUBLICATION));
    assert!(
        !certificates.is_published(due + 10 * PUBLICATION),
        "it is no news"
    );
    certificates
        .go_on(&order(), due + 10 * PUBLICATION + PUBLICATION / 2)
        .unwrap();
    assert_eq!(certificates.shown, first);
    certificates
        .go_on(&order(), due + 11 * PUBLICATION)
        .unwrap();
    assert_ne!(certificates.shown, first);
}

#[test]
fn what_has_ended_or_is_for_another_service_is_replaced_at_once() {
    let certificates = Certificates::new(&order(), start()).unwrap();
    let mut late = certificates.clone();
    let now = start() + 91 * DAY;
    assert!(late.go_on(&order(), now).unwrap());
    assert!(is_trusted(&late.bundle(), &late.shown, now) && late.authorities.len() == 1);
    let mut renamed = certificates.clone();
    let other = Order::for_service("other", "backup", 90 * DAY);
    assert!(renamed.go_on(&other, start()).unwrap());
    assert_eq!(renamed.shown.names, other.names);
    assert_eq!(renamed.authorities.len(), 2, "who is trusted stays trusted");
}

#[test]
fn it_is_written_and_read_and_no_key_is_in_its_debug_form() {
    let certificates = Certificates::new(&order(), start()).unwrap();
    let written = serde_json::to_vec(&certificates).unwrap();
    let read: Certificates = serde_json::from_slice(&written).unwrap();
    assert_eq!(read, certificates);
    assert!(!format!("{certificates:?}").contains("PRIVATE"));
}

#[test]
fn long_names_of_services_get_a_certificate() {
    let order = Order::for_service(&"s".repeat(63), &"n".repeat(63), 90 * DAY);
    Certificates::new(&order, start()).unwrap();
}

#[test]
fn one_of_a_machine_whose_clock_was_wrong_is_replaced_by_the_others() {
    let mut certificates = Certificates::new(&order(), start() + 200 * DAY).unwrap();
    assert!(certificates.go_on(&order(), start()).unwrap());
    assert!(is_trusted(
        &certificates.bundle(),
        &certificates.shown,
        start()
    ));
    // A clock that is a little ahead harms nothing.
    let mut ahead = Certificates::new(&order(), start() + make::SKEW / 2).unwrap();
    assert!(!ahead.go_on(&order(), start()).unwrap());
}
