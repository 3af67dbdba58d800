//! HTTP: one request, the redirects that it meets, its repetition, and in whose name it is sent.

mod address;
mod answer;
mod body;
mod call;
mod failure;
pub(crate) mod redirect;
pub(crate) mod retry;
mod status;
mod transport;

pub(crate) use answer::Answer;
pub(crate) use body::Payload;
pub use body::Source;
pub(crate) use call::Call;
pub(crate) use status::refusal;
pub(crate) use transport::{Outgoing, Transport};
