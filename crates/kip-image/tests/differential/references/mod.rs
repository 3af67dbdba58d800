//! References beside `github.com/distribution/reference`.

mod answer;
pub(crate) mod inputs;

use kip_image::{AnyReference, Problem, Reference};

use crate::{Generated, Tally, oracle};

use answer::Answer;

/// How the two compare on one input.
#[derive(Debug, PartialEq, Eq)]
enum Comparison {
    BothAccept,
    BothRefuse,
    /// On purpose: a first part such as `foo_bar.com` reads as a registry but is no host name. The Go module then
    /// answers with a repository that has no registry, and a reference here always has one.
    NoRegistry,
    /// On purpose: what the Go module prints as familiar form is another reference, or none.
    LongerFamiliarForm,
    Different(String),
}

fn compare(input: &str, go: &Answer) -> Comparison {
    let (named, go_named) = match (Reference::parse(input), &go.named) {
        (Err(_), None) => return compare_any(input, go, Comparison::BothRefuse),
        (Err(error), Some(parts)) if parts.registry.is_empty() => {
            let underscore = input.as_bytes().get(error.position()) == Some(&b'_');
            if error.problem() == Problem::HostCharacter && underscore {
                return Comparison::NoRegistry;
            }
            return Comparison::Different(format!("{input:?} has no host name, but: {error}"));
        }
        (Ok(reference), Some(parts)) => (reference, parts),
        (ours, theirs) => {
            return Comparison::Different(format!("{input:?}: {ours:?}, Go: {theirs:?}"));
        }
    };
    let ours = [
        named.registry().to_owned(),
        named.repository().to_owned(),
        named.tag().unwrap_or_default().to_owned(),
        named.digest().map(ToString::to_string).unwrap_or_default(),
        named.to_string(),
        named.clone().as_pulled().to_string(),
    ];
    let theirs = [
        &go_named.registry,
        &go_named.repository,
        &go_named.tag,
        &go_named.digest,
        &go_named.printed,
        &go_named.pulled,
    ];
    if ours.iter().ne(theirs) {
        return Comparison::Different(format!("{input:?}: {ours:?}, Go: {theirs:?}"));
    }
    let familiar = named.familiar().to_string();
    let again = Reference::parse(&familiar);
    if again.as_ref() != Ok(&named) {
        return Comparison::Different(format!("{input:?}: its familiar form is read as {again:?}"));
    }
    if familiar == go_named.familiar {
        return compare_any(input, go, Comparison::BothAccept);
    }
    if Reference::parse(&go_named.familiar).as_ref() == Ok(&named) {
        let theirs = &go_named.familiar;
        return Comparison::Different(format!(
            "{input:?}: familiar form {familiar:?}, Go: {theirs:?}"
        ));
    }
    compare_any(input, go, Comparison::LongerFamiliarForm)
}

/// `otherwise`, unless the two differ on what the input is where IDs are allowed, too.
fn compare_any(input: &str, go: &Answer, otherwise: Comparison) -> Comparison {
    let ours = AnyReference::parse(input)
        .ok()
        .map(|any| (any.to_string(), matches!(any, AnyReference::Id(_))));
    if ours == go.any {
        return otherwise;
    }
    Comparison::Different(format!(
        "{input:?} where IDs are allowed: {ours:?}, Go: {:?}",
        go.any
    ))
}

#[test]
#[ignore = "needs Go: builds and runs tests/go"]
fn the_go_module_and_this_crate_agree() {
    let generated = Generated::from_env();
    let mut inputs = inputs::table();
    inputs.extend(inputs::generate(generated.seed, &inputs, generated.count));

    let answers = oracle::ask("reference", inputs.iter().map(oracle::hex));
    let tally: Tally = inputs
        .iter()
        .zip(&answers)
        .map(|(input, go)| match compare(input, &Answer::read(go)) {
            Comparison::BothAccept => Ok("accepted by both"),
            Comparison::BothRefuse => Ok("refused by both"),
            Comparison::NoRegistry => Ok("on purpose, without registry"),
            Comparison::LongerFamiliarForm => Ok("on purpose, longer familiar form"),
            Comparison::Different(text) => Err(text),
        })
        .collect();

    // Inputs that are all refused, or all accepted, would prove nothing.
    let fifth = inputs.len() / 5;
    tally.assert(
        "references",
        generated,
        &[
            ("accepted by both", fifth),
            ("refused by both", fifth),
            ("on purpose, without registry", 1),
            ("on purpose, longer familiar form", 1),
        ],
    );
}
