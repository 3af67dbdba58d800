//! The data of pull secrets: mostly valid, with each oddity that Go's JSON forgives, and some that it does not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use fastrand::Rng;

const JSON: &str = "kubernetes.io/dockerconfigjson";
const LEGACY: &str = "kubernetes.io/dockercfg";

/// What is written where something is to go wrong.
#[rustfmt::skip]
const ODD: &[&str] = &["null", "5", "true", "[]", "{}", "\"x\"", "\"\"", "[{\"a\": 1}]", "\"\\ud800\"", "\"\\u00e9\"", "1e3", "-", "\"a", "{\"a\"}"];

#[rustfmt::skip]
const AUTHS: &[&str] = &["auths", "auths", "auths", "auths", "AUTHS", "Auths", "auth\\u017f", "authſ", "auth", "auths "];

#[rustfmt::skip]
const ODD_AUTH: &[&str] = &[
    "", "YTpi", "YTpi=", "YTpiYw==", "YTpiYw=", "YTpiYw", "YTpiYx==", "YTpiY", "YTpi\\n", "\\r\\nYTpi", " YTpi", "YTpi ", "YTpiYw==\\n",
    "YTpiYw=\\n=", "YTpiYw== ", "YTpiYw==x", "Og==", "Og", "YWI=", "YWI", "Ov8=", "w6k6w6k=", "YTpi-_", "====", "=", "\\n", "a:b",
    "YTpi\\u00a0", "YTpiYw==\\u00a0", "OjpiOg==",
];

fn one<'c>(rng: &mut Rng, choices: &[&'c str]) -> &'c str {
    choices[rng.usize(..choices.len())]
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

/// An entry with a user and a password of its own, in one of the forms.
fn entry(rng: &mut Rng, user: &str) -> String {
    let password = one(rng, &["p", "p:q", "", "é", "p\"\\q"]);
    let both = format!("{user}:{password}");
    let plain = format!(r#""username": "{user}", "password": {}"#, quoted(password));
    let engine = if rng.bool() {
        STANDARD
    } else {
        STANDARD_NO_PAD
    };
    let auth = engine.encode(&both);
    match rng.u8(..200) {
        0 => one(rng, ODD).to_owned(),
        1 => format!(r#"{{{plain}, "auth": {}}}"#, one(rng, ODD)),
        2 => format!(r#"{{"username": {}, "password": "x"}}"#, one(rng, ODD)),
        3 => format!(r#"{{{plain}, "email": {}}}"#, one(rng, ODD)),
        4 => format!(
            r#"{{{plain}, "identitytoken": {}, "x": {}}}"#,
            one(rng, ODD),
            one(rng, ODD)
        ),
        5 | 6 => format!(r#"{{"auth": "{}"}}"#, one(rng, ODD_AUTH)),
        7 => format!(r#"{{{plain}, "username": "again", "PASSWORD": null}}"#),
        8 => {
            format!(r#"{{"UserName": "{user}", "pa\u017f\u017fword": "folded", "A\u0075th": ""}}"#)
        }
        9..80 => format!(r#"{{"auth": "{auth}"}}"#),
        80..100 => format!(r#"{{"auth": "{auth}", {plain}, "email": "a@b"}}"#),
        100 => "{}".to_owned(),
        _ => format!("{{{plain}}}"),
    }
}

fn auths(rng: &mut Rng, secret: usize, keys: &[String]) -> String {
    let entries: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| {
            let user = format!("s{secret}e{at}");
            format!("{}: {}", quoted(key), entry(rng, &user))
        })
        .collect();
    format!("{{{}}}", entries.join(", "))
}

/// A secret of either type, or of none, with entries for the keys.
pub(super) fn secret(rng: &mut Rng, at: usize, keys: &[String]) -> (&'static str, Vec<u8>) {
    let auths = auths(rng, at, keys);
    let (kind, text) = match rng.u8(..100) {
        17..40 => (LEGACY, auths),
        6 => (LEGACY, one(rng, ODD).to_owned()),
        7 => (JSON, one(rng, ODD).to_owned()),
        8 => (one(rng, &["Opaque", ""]), auths),
        9 => (JSON, String::new()),
        10 => (
            JSON,
            format!(
                r#"{{"auths": {auths}, "{}": {}}}"#,
                one(rng, AUTHS),
                one(rng, ODD)
            ),
        ),
        11 => (
            JSON,
            format!(
                r#"{{"{}": {{"io": {{}}}}, "auths": {auths}}}"#,
                one(rng, AUTHS)
            ),
        ),
        12 => (
            JSON,
            format!(r#"{{"HttpHeaders": {}, "auths": {auths}}}"#, one(rng, ODD)),
        ),
        13 => (
            JSON,
            format!(
                r#"{{"httpheaders": {{"a": {}}}, "auths": {auths}}}"#,
                one(rng, ODD)
            ),
        ),
        14 => (
            JSON,
            format!(r#"{{"credsStore": {}, "auths": {auths}}}"#, one(rng, ODD)),
        ),
        15 => (JSON, format!("\u{feff}{{\"auths\": {auths}}}")),
        16 => (
            JSON,
            format!(
                "\n\t {{\"auths\" : {auths}}} \r{}",
                one(rng, &["", "", "x", ","])
            ),
        ),
        0..6 => (JSON, format!(r#"{{"{}": {auths}}}"#, one(rng, AUTHS))),
        _ => (JSON, format!(r#"{{"auths": {auths}}}"#)),
    };
    let mut data = text.into_bytes();
    if rng.u8(..50) == 0 && !data.is_empty() {
        let at = rng.usize(..data.len());
        match rng.u8(..3) {
            0 => data[at] = rng.u8(..),
            1 => drop(data.remove(at)),
            _ => data.truncate(at),
        }
    }
    (kind, data)
}

/// A secret whose users are its keys.
pub(super) fn plain(keys: &[&str]) -> (&'static str, Vec<u8>) {
    let entries: Vec<_> = keys
        .iter()
        .map(|key| {
            format!(
                "{0}: {{\"username\": {0}, \"password\": \"x\"}}",
                quoted(key)
            )
        })
        .collect();
    (
        JSON,
        format!(r#"{{"auths": {{{}}}}}"#, entries.join(", ")).into_bytes(),
    )
}
