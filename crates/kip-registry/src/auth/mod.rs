//! Who we are, as a registry wants to hear it.
//!
//! A registry answers 401 with a challenge: it wants [user and password][basic] in each request, or a [token] that a
//! token server gives for them. Challenges and tokens are remembered, so that mostly one request is enough.
//!
//! [basic]: https://www.rfc-editor.org/rfc/rfc7617
//! [token]: https://distribution.github.io/distribution/spec/auth/token/

mod bounded;
mod challenge;
mod memory;
mod proof;
mod scope;
mod token;

pub(crate) use challenge::{Challenge, parse as parse_challenges};
pub(crate) use memory::Memory;
pub(crate) use proof::Proof;
pub(crate) use scope::Scope;
pub(crate) use token::{Key, Tokens};
