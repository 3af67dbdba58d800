//! The image cloner on a real cluster: what a user relies on, one sentence a test.
//!
//! `hack/run-e2e.sh` makes the cluster and runs them side by side.

#[path = "cloner/afterwards.rs"]
mod afterwards;
#[path = "cloner/crowds.rs"]
mod crowds;
#[path = "cloner/kinds.rs"]
mod kinds;
#[path = "cloner/lasting.rs"]
mod lasting;
#[path = "cloner/load.rs"]
mod load;
#[path = "cloner/private.rs"]
mod private;
#[path = "cloner/scope.rs"]
mod scope;
#[path = "cloner/setup.rs"]
mod setup;
