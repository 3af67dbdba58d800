//! Keeps a copy of each image that a workload uses in a registry of one's own, and points the workload at the copy.
//!
//! ```text
//! review ──▶ scope: the images to copy, what is left alone ──▶ copies ──▶ answer ──▶ review
//! ```
//!
//! Pure, without clock or I/O: [`naming`] gives each image its place among the copies, [`workload`] finds the images of an
//! object, [`scope`] says what is left alone, [`answer`] makes the answer of what came of each, [`review`] reads and writes
//! what the API server sends and gets, [`proofs`] remembers who may read what. At the edge:
//! [`originals`] asks for them, [`copies`] makes copies, [`secrets`] reads what the
//! pods may show, [`service`] answers a request by all of these, [`server`] is where it comes in,
//! by [`tls`], with [`certificates`] of its own. [`remembering`] keeps the proofs, [`target`] the credentials of the copies'
//! registry; [`settings`] and [`config`] say how, and [`run`] starts it all. [`afterwards`] is
//! what can be done beside it.

pub mod afterwards;
pub mod answer;
pub mod certificates;
pub mod config;
pub mod copies;
mod fields;
mod memo;
pub mod metrics;
pub mod naming;
pub mod originals;
mod own_secret;
pub mod proofs;
pub mod remembering;
pub mod review;
pub mod run;
pub mod scope;
pub mod secrets;
pub mod server;
pub mod service;
pub mod settings;
mod slim;
pub mod target;
pub mod tls;
mod words;
pub mod workload;
