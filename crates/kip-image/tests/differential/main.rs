//! Compares with the Go modules that kubelet, containerd and Docker use, on their own cases and on generated ones.
//!
//! ```sh
//! cargo test -p kip-image --test differential -- --ignored --nocapture
//! ```
//!
//! `KIP_DIFFERENTIAL_INPUTS` sets how many inputs are generated for each (100 000), `KIP_DIFFERENTIAL_SEED` which ones.

use std::collections::BTreeMap;

mod credentials;
mod globs;
mod oracle;
mod platforms;
mod policies;
mod references;

const INPUTS: &str = "KIP_DIFFERENTIAL_INPUTS";
const SEED: &str = "KIP_DIFFERENTIAL_SEED";

/// So many differences are shown.
const SHOWN: usize = 20;

/// How many inputs are generated, and which.
#[derive(Debug, Clone, Copy)]
struct Generated {
    count: usize,
    seed: u64,
}

impl Generated {
    fn from_env() -> Self {
        let count = setting(INPUTS, 100_000);
        Self {
            count: usize::try_from(count).expect("a count that fits in memory"),
            seed: setting(SEED, 1),
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var_os(name).map(|value| value.into_string().expect(name));
    value.map_or(default, |value| value.parse().expect(name))
}

/// How inputs compared: counted under a name each, or different.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl FromIterator<Result<&'static str, String>> for Tally {
    fn from_iter<I: IntoIterator<Item = Result<&'static str, String>>>(comparisons: I) -> Self {
        let mut tally = Self::default();
        for comparison in comparisons {
            match comparison {
                Ok(name) => *tally.counts.entry(name).or_default() += 1,
                Err(difference) => tally.differences.push(difference),
            }
        }
        tally
    }
}

impl Tally {
    /// Prints the counts, and fails with the first differences, or where fewer inputs than these had a name.
    #[track_caller]
    fn assert(&self, what: &str, generated: Generated, at_least: &[(&str, usize)]) {
        let Self {
            counts,
            differences,
        } = self;
        let Generated { count, seed } = generated;
        println!(
            "{what}, {count} generated with {SEED}={seed}: {counts:?}, differences {}",
            differences.len()
        );
        let shown = &differences[..differences.len().min(SHOWN)];
        assert!(
            shown.is_empty(),
            "{what}, {SEED}={seed}:\n{}",
            shown.join("\n")
        );
        for (name, least) in at_least {
            let found = counts.get(name).copied().unwrap_or_default();
            assert!(
                found >= *least,
                "{name}: {found}, at least {least} were expected"
            );
        }
    }
}
