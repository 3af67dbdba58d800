//! Credentials beside `k8s.io/kubernetes/pkg/credentialprovider`.

mod inputs;
mod payloads;

use fastrand::Rng;
use kip_image::{Keyring, PullSecret, SecretError, SecretProblem};

use crate::{Generated, Tally, oracle};
use inputs::Case;

/// Users and passwords for an image, in order.
type Found = Vec<(String, String)>;

/// The fields that the Go program reads.
fn question(case: &Case) -> String {
    let secrets = case
        .secrets
        .iter()
        .map(|(kind, data)| format!("{kind}:{}", oracle::hex(data)));
    let images = case.images.iter().map(oracle::hex);
    let join = |fields: &mut dyn Iterator<Item = String>| fields.collect::<Vec<_>>().join(",");
    format!("{}\t{}", join(&mut { secrets }), join(&mut { images }))
}

/// What the Go program found for each image; `None` if it refused a secret.
fn read_answer(line: &str) -> Option<Vec<Found>> {
    let unhex = |hex: &str| {
        let digits = hex.as_bytes().chunks(2);
        let bytes = digits.map(|pair| {
            let pair = str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        });
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    };
    let credential = |field: &str| {
        let (user, password) = field.split_once(':').expect("a colon");
        (unhex(user), unhex(password))
    };
    let found = |field: &str| {
        field
            .split(',')
            .filter(|found| !found.is_empty())
            .map(credential)
            .collect()
    };
    (line != oracle::REFUSED).then(|| line.split('\t').map(found).collect())
}

fn keyring(case: &Case) -> Result<Keyring, SecretError> {
    let secrets: Result<Vec<_>, _> = case
        .secrets
        .iter()
        .map(|(kind, data)| PullSecret::from_data(kind, |_| Some(data)))
        .collect();
    Ok(Keyring::new(secrets?.into_iter().flatten()))
}

/// Whether a secret has what Go replaces: bytes and escapes that are no UTF-8.
fn is_no_text(data: &[u8], problem: SecretProblem) -> bool {
    let has_surrogate = || {
        data.windows(4).any(|window| {
            window.eq_ignore_ascii_case(b"\\ud8") || window.eq_ignore_ascii_case(b"\\udc")
        })
    };
    match problem {
        SecretProblem::AuthText => true,
        SecretProblem::Syntax { .. } => str::from_utf8(data).is_err() || has_surrogate(),
        _ => false,
    }
}

fn compare(case: &Case, go: Option<&[Found]>) -> Result<&'static str, String> {
    let shown = || {
        let secrets: Vec<_> = case
            .secrets
            .iter()
            .map(|(_, data)| data.escape_ascii().to_string())
            .collect();
        format!("{} for {:?}", secrets.join("\n  "), case.images)
    };
    let (keyring, go) = match (keyring(case), go) {
        (Err(_), None) => return Ok("refused by both"),
        (Err(error), Some(_))
            if case
                .secrets
                .iter()
                .any(|(_, data)| is_no_text(data, error.problem())) =>
        {
            return Ok("on purpose, no UTF-8");
        }
        (Ok(keyring), Some(go)) => (keyring, go),
        (ours, go) => return Err(format!("{}: {ours:?}, Go: {go:?}", shown())),
    };
    let mut most = 0;
    for (image, theirs) in case.images.iter().zip(go) {
        let ours: Vec<_> = keyring.lookup_name(image).collect();
        let mut theirs = theirs.clone();
        if ours.len() != theirs.len() {
            return Err(format!(
                "{}: for {image:?} {ours:?}, Go: {theirs:?}",
                shown()
            ));
        }
        // Under one key, what is of one secret has no order in Go.
        let mut at = 0;
        for group in
            ours.chunk_by(|one, other| (one.key(), one.secret()) == (other.key(), other.secret()))
        {
            let mut ours: Found = group
                .iter()
                .map(|found| found.credential())
                .map(|credential| {
                    (
                        credential.username().to_owned(),
                        credential.password().to_owned(),
                    )
                })
                .collect();
            let theirs = &mut theirs[at..at + group.len()];
            at += group.len();
            ours.sort_unstable();
            theirs.sort_unstable();
            if ours != theirs {
                return Err(format!(
                    "{}: for {image:?} {ours:?}, Go: {theirs:?}",
                    shown()
                ));
            }
        }
        most = most.max(ours.len());
    }
    Ok(match most {
        0 => "none found",
        1 => "one found",
        _ => "several found in the same order",
    })
}

#[test]
#[ignore = "needs Go: builds and runs tests/go"]
fn the_credentials_are_found_that_kubelet_finds() {
    let generated = Generated::from_env();
    let mut rng = Rng::with_seed(generated.seed);
    let mut cases = inputs::table();
    cases.extend((0..generated.count).map(|_| inputs::case(&mut rng)));
    let answers = oracle::ask("credentials", cases.iter().map(question));
    let tally: Tally = cases
        .iter()
        .zip(&answers)
        .map(|(case, go)| compare(case, read_answer(go).as_deref()))
        .collect();
    let tenth = cases.len() / 10;
    tally.assert(
        "credentials",
        generated,
        &[
            ("none found", tenth),
            ("one found", tenth),
            ("several found in the same order", tenth),
            ("refused by both", tenth / 2),
            ("on purpose, no UTF-8", 1),
        ],
    );
}
