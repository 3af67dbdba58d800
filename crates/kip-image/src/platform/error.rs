//! What is wrong with a text that should be a platform.

use super::parse::quote;

/// Why a text is no platform. The message quotes the text, shortened if it is long, and gives an example.
///
/// ```
/// let error = "linux".parse::<kip_image::Platform>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid platform \"linux\": the architecture is missing; for example linux/arm64/v8"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid platform {}: {problem}; for example linux/arm64/v8",
    quote(text)
)]
pub struct InvalidPlatform {
    pub(super) text: Box<str>,
    pub(super) problem: PlatformProblem,
}

impl InvalidPlatform {
    /// What is wrong.
    pub fn problem(&self) -> PlatformProblem {
        self.problem
    }
}

/// The ways in which a platform can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformProblem {
    /// The operating system is empty, or has other characters than it may have.
    #[error(
        "the operating system may only have letters, digits, '_' and '-', and a version in parentheses"
    )]
    Os,
    /// What stands in parentheses is no version and features.
    #[error(
        "in parentheses may only stand a version and features, each after a '+', of letters, digits, '_', '.', '-' \
         and escapes such as %2B"
    )]
    OsOptions,
    /// Architecture or variant is empty, or has other characters than it may have.
    #[error("architecture and variant may only have letters, digits, '_', '.' and '-'")]
    Part,
    /// There are more than three parts.
    #[error("there are more parts than operating system, architecture and variant")]
    TooMany,
    /// There is only an operating system.
    #[error("the architecture is missing")]
    NoArchitecture,
    /// There is only an architecture.
    #[error("the operating system is missing")]
    NoOs,
    /// There is only one part, and it is not known as either.
    #[error("this is neither an operating system nor an architecture that is known")]
    Unknown,
}
