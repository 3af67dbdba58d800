//! What can be done beside the webhook: copy what runs already, say what of it has no copy, and tell containerd where the
//! copies are.

pub mod commands;
pub mod hosts;
pub mod mirror;
pub mod report;
mod running;

pub use self::running::{All, Running, Where, running};
