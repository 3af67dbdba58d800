//! What a failure of the HTTP library means.

use std::error::Error as StdError;

use super::address::Private;
use crate::error::{Error, Kind, Unreachable, quote};

/// The error for a request that had no answer, or whose answer ended too early.
pub(super) fn explain(error: reqwest::Error) -> Error {
    // URLs may hold tokens.
    let error = error.without_url();
    if let Some(private) = find::<Private>(&error) {
        return Error::new(Kind::Refused).detail(private.to_string());
    }
    let kind = if find::<rustls::Error>(&error).is_some() {
        Kind::Tls
    } else if error.is_timeout() {
        Kind::Unreachable(Unreachable::Timeout)
    } else if is_tunnel(&error) {
        Kind::Unreachable(Unreachable::Proxy)
    } else if error.is_dns() {
        Kind::Unreachable(Unreachable::Dns)
    } else if error.is_connect() {
        Kind::Unreachable(Unreachable::Connect)
    } else {
        Kind::Unreachable(Unreachable::Interrupted)
    };
    let reason = quote(&deepest(&error).to_string());
    Error::new(kind).detail(reason).source(error)
}

/// An error of the given type among the causes.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|cause| cause.downcast_ref::<T>())
}

/// The library keeps the type of this error to itself.
fn is_tunnel(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| cause.to_string().starts_with("tunnel error"))
}

fn deepest<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| cause(error))
}

fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // An I/O error does not name what it holds as its cause, but the cause of that.
    match error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
