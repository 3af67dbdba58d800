//! The client beside registries: Debian's `docker-registry`, which must be in PATH, and ones that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test is made of may end it"
)]

mod auth;
mod blobs;
mod copies;
mod copy_choices;
mod copy_faults;
mod limits;
mod names;
mod proxies;
mod real;
mod redirects;
mod referrers;
mod retries;
mod second;
mod secrets;
mod support;
mod trust;
mod upload_places;
mod uploads;
mod written;
