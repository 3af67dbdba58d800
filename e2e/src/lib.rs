//! What the end-to-end tests and the demo share: container images made in memory, and a registry's client.
//!
//! ```text
//! samples ──▶ image::Image (layers, config, manifest: bytes) ──▶ registry::Registry ──▶ plain HTTP
//! ```
//!
//! Nothing here reads a clock or runs another program: the same input gives the same digests everywhere.

pub mod image;
pub mod lab;
pub mod registry;
pub mod samples;
pub mod template;
