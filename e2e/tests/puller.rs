//! The image puller on a real cluster: what a user relies on, one sentence a test.
//!
//! `hack/run-e2e.sh` makes the cluster and runs them side by side, but for those that stop parts of the cluster, count what
//! all make, or take times: these are alone.

#[path = "puller/adoption.rs"]
mod adoption;
#[path = "puller/config.rs"]
mod config;
#[path = "puller/costs.rs"]
mod costs;
#[path = "puller/crio.rs"]
mod crio;
#[path = "puller/digests.rs"]
mod digests;
#[path = "puller/faults.rs"]
mod faults;
#[path = "puller/figures.rs"]
mod figures;
#[path = "puller/heal.rs"]
mod heal;
#[path = "puller/hostile.rs"]
mod hostile;
#[path = "puller/install.rs"]
mod install;
#[path = "puller/knobs.rs"]
mod knobs;
#[path = "puller/lifecycle.rs"]
mod lifecycle;
#[path = "puller/openshift.rs"]
mod openshift;
#[path = "puller/platforms.rs"]
mod platforms;
#[path = "puller/rights.rs"]
mod rights;
#[path = "puller/rollout.rs"]
mod rollout;
#[path = "puller/rollout_api.rs"]
mod rollout_api;
#[path = "puller/setup.rs"]
mod setup;
#[path = "puller/sizes.rs"]
mod sizes;
#[path = "puller/surroundings.rs"]
mod surroundings;
#[path = "puller/troubles.rs"]
mod troubles;
#[path = "puller/version.rs"]
mod version;
