//! What is wrong with a text that should be a reference or a digest, and where.

use std::fmt;

use crate::digest::Algorithm;

/// So much of the refused text is quoted in a message, in bytes.
const QUOTE_MAX: usize = 256;

/// Why a text is no reference, or no digest.
///
/// The message names the text, what was expected and where, and gives an example. Its length has a bound,
/// whatever the text was.
///
/// ```
/// let error = kip_image::Reference::parse("quay.io/Org/app").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid reference \"quay.io/Org/app\": the repository must be lower case at character 9 ('O'); \
///      for example docker.io/library/nginx:1.27"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    subject: Subject,
    /// The text, escaped and perhaps shortened.
    quote: Box<str>,
    fault: Fault,
    /// What stands at the fault, if it is not the end.
    found: Option<char>,
}

/// What was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Reference,
    Digest,
}

/// A problem and its place. All that stands before the place is ASCII, so bytes are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) problem: Problem,
    pub(crate) at: usize,
}

/// The ways in which a reference can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is no text.
    #[error("a repository is missing")]
    Empty,
    /// 64 hexadecimal digits name an image by its ID.
    #[error("64 hexadecimal digits alone are an image ID, a name was expected")]
    ImageId,
    /// The text is a URL.
    #[error("a reference has no scheme such as https://, the registry's host name was expected")]
    Scheme,
    /// A part of the host name begins or ends with something else than a letter or a digit.
    #[error("a letter or a digit must begin and end each part of the registry's host name")]
    HostEdge,
    /// The host name has a character that host names do not have.
    #[error("the registry's host name may only have letters, digits, '-' and '.'")]
    HostCharacter,
    /// What stands in brackets is no IPv6 address, or the closing bracket is missing.
    #[error(
        "the registry's IPv6 address may only have hexadecimal digits and ':', between brackets"
    )]
    Ipv6Address,
    /// Something else than a port follows the IPv6 address.
    #[error("only ':' and a port may follow the registry's IPv6 address")]
    Ipv6End,
    /// The port is empty or has something else than digits.
    #[error("the registry's port must be digits")]
    Port,
    /// The repository has an upper-case letter.
    #[error("the repository must be lower case")]
    UpperCase,
    /// A part of the repository is empty, or begins or ends with a separator.
    #[error("a lower-case letter or a digit must begin and end each part of the repository")]
    RepositoryEdge,
    /// The repository has a character that repositories do not have.
    #[error(
        "the repository may only have lower-case letters and digits, and '.', '_', '__' or '-' between them"
    )]
    RepositoryCharacter,
    /// The repository has more than [`Reference::REPOSITORY_MAX`](crate::Reference::REPOSITORY_MAX) characters.
    #[error(
        "the repository may have {} characters, it has {length} with all that is implied,",
        crate::Reference::REPOSITORY_MAX
    )]
    RepositoryLength {
        /// How many it has, with the `library/` that is implied.
        length: usize,
    },
    /// The tag is empty or begins with `.` or `-`.
    #[error("a letter, a digit or '_' must begin the tag")]
    TagStart,
    /// The tag has a character that tags do not have.
    #[error("the tag may only have letters, digits, '_', '.' and '-'")]
    TagCharacter,
    /// The tag has more than [`Reference::TAG_MAX`](crate::Reference::TAG_MAX) characters.
    #[error(
        "the tag may have {} characters, it has {length},",
        crate::Reference::TAG_MAX
    )]
    TagLength {
        /// How many it has.
        length: usize,
    },
    /// The digest is empty or of an unknown algorithm.
    #[error("the digest must begin with sha256:, sha384: or sha512:")]
    DigestAlgorithm,
    /// The digest has something else than lower-case hexadecimal digits.
    #[error("the digest must be lower-case hexadecimal digits")]
    DigestCharacter,
    /// The digest is shorter or longer than its algorithm makes it.
    #[error("a digest of {algorithm} has {} hexadecimal digits, this has {length},", algorithm.hex_length())]
    DigestLength {
        /// The algorithm it names.
        algorithm: Algorithm,
        /// How many digits it has.
        length: usize,
    },
}

impl Problem {
    pub(crate) fn at(self, at: usize) -> Fault {
        Fault { problem: self, at }
    }
}

impl Fault {
    /// The same fault in a text that has `by` more bytes in front.
    pub(crate) fn shifted(self, by: usize) -> Self {
        Self {
            at: self.at + by,
            ..self
        }
    }
}

impl ParseError {
    pub(crate) fn new(subject: Subject, text: &str, fault: Fault) -> Self {
        let found = text.get(fault.at..).and_then(|rest| rest.chars().next());
        Self {
            subject,
            quote: quote(text),
            fault,
            found,
        }
    }

    /// What is wrong.
    pub fn problem(&self) -> Problem {
        self.fault.problem
    }

    /// Where it is wrong: the offset in bytes of the first character that does not fit, or the text's length
    /// where something is missing at the end.
    pub fn position(&self) -> usize {
        self.fault.at
    }
}

fn quote(text: &str) -> Box<str> {
    let mut quote = String::new();
    for c in text.chars() {
        if quote.len() >= QUOTE_MAX {
            quote.push('…');
            break;
        }
        quote.extend(c.escape_debug());
    }
    quote.into()
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, example) = match self.subject {
            Subject::Reference => ("reference", "docker.io/library/nginx:1.27"),
            Subject::Digest => ("digest", "sha256: and 64 hexadecimal digits"),
        };
        let Self {
            quote,
            fault: Fault { problem, at },
            ..
        } = self;
        write!(
            f,
            "invalid {subject} \"{quote}\": {problem} at character {} ",
            at + 1
        )?;
        match self.found {
            Some(c) => write!(f, "({c:?})")?,
            None => f.write_str("(the end)")?,
        }
        write!(f, "; for example {example}")
    }
}

impl std::error::Error for ParseError {}
