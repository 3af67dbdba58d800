//! Compares with the Go module that kubelet, containerd and Docker use, on its own cases and on generated ones.
//!
//! ```sh
//! cargo test -p kip-image --test differential -- --ignored --nocapture
//! ```
//!
//! `KIP_DIFFERENTIAL_INPUTS` sets how many inputs are generated (100 000), `KIP_DIFFERENTIAL_SEED` which ones.

mod inputs;
mod oracle;

use kip_image::{AnyReference, Problem, Reference};

use oracle::Answer;

const INPUTS: &str = "KIP_DIFFERENTIAL_INPUTS";
const SEED: &str = "KIP_DIFFERENTIAL_SEED";

/// So many differences are shown.
const SHOWN: usize = 20;

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

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var_os(name).map(|value| value.into_string().expect(name));
    value.map_or(default, |value| value.parse().expect(name))
}

#[test]
#[ignore = "needs Go: builds and runs tests/go"]
fn the_go_module_and_this_crate_agree() {
    let (count, seed) = (setting(INPUTS, 100_000), setting(SEED, 1));
    let count = usize::try_from(count).expect("a count that fits in memory");
    let mut inputs = inputs::table();
    let table = inputs.len();
    inputs.extend(inputs::generate(seed, &inputs, count));

    let answers = oracle::ask(&inputs);
    let comparisons: Vec<_> = inputs
        .iter()
        .zip(&answers)
        .map(|(input, go)| compare(input, go))
        .collect();

    let of = |wanted: &Comparison| {
        comparisons
            .iter()
            .filter(|comparison| *comparison == wanted)
            .count()
    };
    let (accepted, refused) = (of(&Comparison::BothAccept), of(&Comparison::BothRefuse));
    let (no_registry, longer) = (
        of(&Comparison::NoRegistry),
        of(&Comparison::LongerFamiliarForm),
    );
    let differences: Vec<_> = comparisons
        .iter()
        .filter_map(|comparison| match comparison {
            Comparison::Different(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    println!(
        "{table} inputs of the table and {count} generated with {SEED}={seed}: accepted by both {accepted}, \
         refused by both {refused}; on purpose: without registry {no_registry}, longer familiar form {longer}; \
         differences {}",
        differences.len()
    );
    let shown = &differences[..differences.len().min(SHOWN)];
    assert!(
        shown.is_empty(),
        "{SEED}={seed}, {} differences:\n{}",
        differences.len(),
        shown.join("\n")
    );

    // Inputs that are all refused, or all accepted, would prove nothing.
    let fifth = inputs.len() / 5;
    assert!(
        accepted > fifth && refused > fifth,
        "accepted {accepted}, refused {refused}"
    );
    assert!(
        no_registry > 0 && longer > 0,
        "without registry {no_registry}, longer {longer}"
    );
}
