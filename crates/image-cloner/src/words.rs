//! Errors in plain words.

use std::error::Error;
use std::iter::successors;

/// The error, and what has caused it.
pub(crate) fn of(error: &dyn Error) -> String {
    let causes = successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |words, cause| {
        format!("{words}: {cause}")
    })
}
