//! Pull secrets: what is read, how it is refused, and that nothing secret is shown.

use kip_image::SecretProblem::{AuthColon, AuthEncoding, AuthText, Syntax, Truncated, Type};
use kip_image::{Credential, Keyring, PullSecret, SecretError, SecretProblem, SecretType};

/// What no text that people see may have.
const SECRETS: [&str; 5] = [
    "hunter2",
    "aHVudGVyMg",
    "cm9ib3Q6aHVudGVyMg",
    "robot",
    "t0ken",
];

fn parse(data: &str) -> Result<PullSecret, SecretError> {
    PullSecret::parse(SecretType::DockerConfigJson, data.as_bytes())
}

/// The credential of the only entry, which is for quay.io.
fn credential(entry: &str) -> Credential {
    let secret = parse(&format!(r#"{{"auths": {{"quay.io": {entry}}}}}"#)).expect(entry);
    let keyring = Keyring::new([secret]);
    let found = keyring.lookup_name("quay.io/a").next().expect(entry);
    found.credential().clone()
}

#[test]
fn entries_are_read_as_kubelet_reads_them() {
    let basic = || Credential::new("robot", "hunter2");
    for (entry, expected) in [
        (
            r#"{"username": "robot", "password": "hunter2", "email": "a@b"}"#,
            basic(),
        ),
        (r#"{"auth": "cm9ib3Q6aHVudGVyMg=="}"#, basic()),
        (r#"{"auth": "cm9ib3Q6aHVudGVyMg"}"#, basic()),
        (r#"{"auth": "cm9ib3Q6\r\naHVudGVyMg=\n="}"#, basic()),
        (
            r#"{"auth": "cm9ib3Q6aHVudGVyMg==", "username": "a", "password": "b"}"#,
            basic(),
        ),
        (
            r#"{"auth": "", "username": "robot", "password": "hunter2"}"#,
            basic(),
        ),
        (
            r#"{"auth": null, "USERNAME": "robot", "Paſſword": "hunter2"}"#,
            basic(),
        ),
        (
            r#"{"username": "x", "username": "robot", "password": "hunter2"}"#,
            basic(),
        ),
        (
            r#"{"username": "robot", "username": null, "password": "hunter2"}"#,
            basic(),
        ),
        (
            r#"{"auth": "cm9ib3Q6aHVudDplcg=="}"#,
            Credential::new("robot", "hunt:er"),
        ),
        (r#"{"auth": "Og=="}"#, Credential::default()),
        ("{}", Credential::default()),
        ("null", Credential::default()),
        (
            r#"{"identitytoken": "t0ken"}"#,
            Credential::default().with_identity_token("t0ken"),
        ),
        (
            r#"{"identitytoken": ["t0ken"], "x": {"y": [1e999]}}"#,
            Credential::default(),
        ),
        (
            r#"{"auth": "cm9ib3Q6aHVudGVyMg==", "IdentityToken": "t0ken"}"#,
            basic().with_identity_token("t0ken"),
        ),
    ] {
        assert_eq!(credential(entry), expected, "{entry}");
    }
}

#[test]
fn documents_are_read_as_kubelet_reads_them() {
    for (data, entries) in [
        ("null", 0),
        ("{}", 0),
        (r#"{"auths": null}"#, 0),
        (r#"{"auths": {"a": {}, "b": {}}}"#, 2),
        (r#"{"auths": {"a": {}}, "AUTHS": {"b": {}}}"#, 2),
        (r#"{"auths": {"a": {}}, "auths": null}"#, 0),
        (
            r#"{"auths": {"a": {}, "a": {}}, "credsStore": 5, "HttpHeaders": {"x": "y"}}"#,
            1,
        ),
    ] {
        assert_eq!(
            parse(data).map(|secret| secret.len()),
            Ok(entries),
            "{data}"
        );
    }
}

const BASE64: &str = "expected: base64 of USER:PASSWORD";
const TEXT: &str = "expected: a text";
const ENTRY: &str = r#"expected: an object such as {"auth": "…"}"#;
const AUTHS: &str = r#"expected: an object such as {"quay.io": {"auth": "…"}}"#;
const DOCUMENT: &str = r#"expected: an object such as {"auths": {"quay.io": {"auth": "…"}}}"#;

/// Secrets that are JSON: what is wrong, what was expected, and the problem.
#[rustfmt::skip] // A line is a case.
const REFUSED: &[(&str, &str, &str, SecretProblem)] = &[
    (r#""hunter2""#, "the document: of the wrong type", DOCUMENT, Type),
    (r#"["hunter2"]"#, "the document: of the wrong type", DOCUMENT, Type),
    (r#"{"auths": "hunter2"}"#, "auths: of the wrong type", AUTHS, Type),
    (r#"{"HttpHeaders": {"x": {"hunter2": 1}}}"#, "HttpHeaders: of the wrong type", "expected: an object of texts", Type),
    (r#"{"auths": {"quay.io": "hunter2"}}"#, "auths, entry 1 (quay.io): of the wrong type", ENTRY, Type),
    (r#"{"auths": {"a": {}, "quay.io:443/a": ["hunter2"]}}"#, "auths, entry 2 (quay.io:443): of the wrong type", ENTRY, Type),
    (r#"{"auths": {"https://robot:hunter2@quay.io": 1}}"#, "auths, entry 1: of the wrong type", ENTRY, Type),
    (r#"{"auths": {"robot:hunter2": 1}}"#, "auths, entry 1: of the wrong type", ENTRY, Type),
    (r#"{"auths": {"[::1]:5000": 1}}"#, "auths, entry 1 ([::1]:5000): of the wrong type", ENTRY, Type),
    (r#"{"auths": {"quay.io": {"password": {"hunter2": 1}}}}"#, "auths, entry 1 (quay.io), password: of the wrong type", TEXT, Type),
    (r#"{"auths": {"quay.io": {"Username": true}}}"#, "auths, entry 1 (quay.io), username: of the wrong type", TEXT, Type),
    (r#"{"auths": {"quay.io": {"email": 5}}}"#, "auths, entry 1 (quay.io), email: of the wrong type", TEXT, Type),
    (r#"{"auths": {"quay.io": {"auth": "robot:hunter2"}}}"#, "auths, entry 1 (quay.io), auth: no base64 at character 6", BASE64, AuthEncoding { at: Some(6) }),
    (r#"{"auths": {"quay.io": {"auth": "aHVudGVyM"}}}"#, "auths, entry 1 (quay.io), auth: no base64, by its length or padding", BASE64, AuthEncoding { at: None }),
    (r#"{"auths": {"quay.io": {"auth": "cm9ib3Q6aHVudGVyMg="}}}"#, "auths, entry 1 (quay.io), auth: no base64, by its length or padding", BASE64, AuthEncoding { at: None }),
    (r#"{"auths": {"quay.io": {"auth": "aHVudGVyMg=="}}}"#, "auths, entry 1 (quay.io), auth: there is no ':' in what the base64 stands for", BASE64, AuthColon),
    (r#"{"auths": {"quay.io": {"auth": "Ov8="}}}"#, "auths, entry 1 (quay.io), auth: what the base64 stands for is no UTF-8", BASE64, AuthText),
];

/// Secrets that are no JSON, what is wrong, and the problem.
#[rustfmt::skip]
const NO_JSON: &[(&str, &str, SecretProblem)] = &[
    ("{\n\"auths\": hunter2}", "no JSON from line 2, column 10", Syntax { line: 2, column: 10 }),
    (r#"{"auths": {}} hunter2"#, "no JSON from line 1, column 15", Syntax { line: 1, column: 15 }),
    (r#"{"auths": {"quay.io": {"password": "hunter2"#, "the JSON has no end", Truncated),
    ("", "the JSON has no end", Truncated),
];

/// Malformed secrets, what is said of them, and the problem.
fn refused() -> impl Iterator<Item = (&'static str, String, SecretProblem)> {
    let json = REFUSED.iter().map(|&(data, message, expected, problem)| {
        (data, format!("{message}; {expected}"), problem)
    });
    let other = NO_JSON
        .iter()
        .map(|&(data, message, problem)| (data, message.to_owned(), problem));
    json.chain(other)
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (data, message, problem) in refused() {
        let error = parse(data).expect_err(data);
        assert_eq!(
            error.to_string(),
            format!("invalid .dockerconfigjson: {message}")
        );
        assert_eq!(error.problem(), problem, "{data}");
    }
    let error = PullSecret::parse(SecretType::DockerCfg, br#"{"quay.io": 1}"#).expect_err("type");
    assert_eq!(
        error.to_string(),
        r#"invalid .dockercfg: entry 1 (quay.io): of the wrong type; expected: an object such as {"auth": "…"}"#
    );
    let entry = error.entry().expect("one");
    assert_eq!((entry.number(), entry.host()), (1, Some("quay.io")));
}

#[track_caller]
fn assert_nothing_secret(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for (data, ..) in refused() {
        let error = parse(data).expect_err(data);
        for shown in [
            error.to_string(),
            format!("{error:?}"),
            format!("{error:#?}"),
        ] {
            assert_nothing_secret(&shown);
        }
    }
}

#[test]
fn nothing_that_is_read_shows_a_secret() {
    let data = r#"{"auths": {
        "https://robot:hunter2@quay.io/a?hunter2#t0ken": {"auth": "cm9ib3Q6aHVudGVyMg==", "identitytoken": "t0ken"},
        "quay.io": {"username": "robot", "password": "hunter2"}
    }}"#;
    let secret = parse(data).expect("valid");
    let keyring = Keyring::new([secret.clone()]);
    let matches = keyring.lookup_name("quay.io/a/b");
    assert_eq!(matches.clone().count(), 2);
    assert_nothing_secret(&format!("{secret:?} {keyring:?} {matches:#?}"));
    for found in matches {
        assert_nothing_secret(&format!(
            "{found:?} {} {:?}",
            found.key(),
            found.credential()
        ));
    }
}

#[test]
fn entries_whose_key_is_no_url_are_named() {
    let secret =
        parse(r#"{"auths": {"a b": {}, "quay.io": {}, "gcr.io:x": {}, "reg.io/%zz": {}}}"#);
    let secret = secret.expect("valid");
    let names: Vec<_> = secret.unusable().map(ToString::to_string).collect();
    assert_eq!(names, ["entry 1", "entry 3", "entry 4 (reg.io)"]);
}

#[test]
fn a_secret_of_another_type_or_without_its_data_is_passed_over() {
    let get = |_: &str| Some(br#"{"auths": {}}"#.as_slice());
    assert!(
        PullSecret::from_data("kubernetes.io/dockerconfigjson", get)
            .is_ok_and(|secret| secret.is_some())
    );
    assert_eq!(PullSecret::from_data("kubernetes.io/tls", get), Ok(None));
    assert_eq!(
        PullSecret::from_data("kubernetes.io/dockercfg", |_| None),
        Ok(None)
    );
    assert_eq!(
        PullSecret::from_data("kubernetes.io/dockercfg", |_| Some(b"")),
        Ok(None)
    );
    let asked = |key: &str| {
        assert_eq!(key, ".dockercfg");
        Some(b"[".as_slice())
    };
    assert!(PullSecret::from_data("kubernetes.io/dockercfg", asked).is_err());
}
