//! `kubectl pull-image` on a real cluster: what a user relies on, one sentence a test.
//!
//! `hack/run-e2e.sh` makes the cluster and runs them side by side.

#[path = "pull/cache.rs"]
mod cache;
#[path = "pull/crio.rs"]
mod crio;
#[path = "pull/cuts.rs"]
mod cuts;
#[path = "pull/flat.rs"]
mod flat;
#[path = "pull/leaving.rs"]
mod leaving;
#[path = "pull/refused.rs"]
mod refused;
#[path = "pull/running.rs"]
mod running;
#[path = "pull/setup.rs"]
mod setup;
#[path = "pull/sinks.rs"]
mod sinks;
#[path = "pull/thrown_away.rs"]
mod thrown_away;
