//! image-cloner beside real registries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by a panic, in its helper functions as well"
)]

#[allow(dead_code, reason = "the library's tests need more of it")]
#[path = "../../../kip-registry/tests/it/support/mod.rs"]
mod support;

mod copies;
mod documented;
mod files;
mod laws;
mod mutations;
mod reviews;
mod service;
mod tls;

use std::net::TcpListener;
use std::thread;

use support::debian::Debian;

/// Ends the registry, and lets nobody else have its port: who connects is turned away.
fn end(registry: Debian) {
    let address = registry.host().to_owned();
    drop(registry);
    let listener = TcpListener::bind(&address).expect("the port is free again");
    thread::spawn(move || listener.incoming().for_each(drop));
}
