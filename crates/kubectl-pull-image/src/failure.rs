//! Why there is no image, as an exit status and in words.

use std::fmt;

/// The exit statuses, but for 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Anything else.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The pod, its container, the node or the image is not there.
    NotFound = 3,
    /// A right is missing, or a policy of the cluster refuses the helper pod.
    Refused = 4,
    /// The node has not got all of the image any more, or not in the form that was asked for.
    Incomplete = 5,
    /// The image could not be given to where it was to go.
    Sink = 6,
    /// Interrupted, by Ctrl-C or a signal.
    Interrupted = 130,
}

/// A failure whose kind is known.
#[derive(Debug)]
pub struct Failure {
    /// Its kind.
    pub status: Status,
    /// What is wrong, for people.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// A failure of this kind.
pub fn failure(status: Status, text: impl Into<String>) -> anyhow::Error {
    Failure {
        status,
        text: text.into(),
    }
    .into()
}

/// The command line is wrong. The text names the flag and its value.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    failure(Status::Usage, text)
}

/// The kind of an error: that of the outermost failure in it.
pub fn status(error: &anyhow::Error) -> Status {
    let known = error.downcast_ref::<Failure>();
    known.map_or(Status::Other, |failure| failure.status)
}
