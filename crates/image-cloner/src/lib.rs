//! Keeps a copy of each image that a workload uses in a registry of one's own, and points the workload at the copy.
//!
//! Pure, without clock or I/O: [`naming`] gives each image its place among the copies, [`workload`] finds the images of an
//! object, [`scope`] says what is left alone, [`review`] reads what the API server asks and writes the answer.

pub mod naming;
pub mod review;
pub mod scope;
pub mod workload;
