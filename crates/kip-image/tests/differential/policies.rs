//! Default pull policies beside the API server's `SetDefaults_Container`.

use kip_image::{PullPolicy, Reference};

use crate::references::inputs;
use crate::{Generated, Tally, oracle};

#[test]
#[ignore = "needs Go: builds and runs tests/go"]
fn the_api_server_gives_an_image_the_same_policy() {
    let generated = Generated::from_env();
    let mut inputs = inputs::table();
    inputs.extend(inputs::generate(generated.seed, &inputs, generated.count));
    let tagged: Vec<_> = inputs
        .iter()
        .filter(|input| Reference::parse(input).is_ok())
        .flat_map(|input| ["", ":latest", ":Latest", "@sha256:"].map(|end| format!("{input}{end}")))
        .map(|input| match input.strip_suffix("@sha256:") {
            Some(name) => format!("{name}@sha256:{}", "a".repeat(64)),
            None => input,
        })
        .collect();
    let answers = oracle::ask("policy", tagged.iter().map(oracle::hex));
    let tally: Tally = tagged
        .iter()
        .zip(&answers)
        .filter_map(|(input, go)| {
            let policy = PullPolicy::default_for(&Reference::parse(input).ok()?);
            Some(if policy.as_str() == go {
                Ok(policy.as_str())
            } else {
                Err(format!("{input:?}: {policy}, Go: {go}"))
            })
        })
        .collect();
    let tenth = inputs.len() / 10;
    tally.assert(
        "policies",
        generated,
        &[("Always", tenth), ("IfNotPresent", tenth)],
    );
}
