//! image-cloner beside real registries.

#[allow(dead_code, reason = "the library's tests need more of it")]
#[path = "../../../kip-registry/tests/it/support/mod.rs"]
mod support;

mod copies;
