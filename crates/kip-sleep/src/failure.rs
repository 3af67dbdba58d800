//! Why the program ends with another exit status than 0, and how it says so.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::errno::Errno;

/// What failed. Plain data for every kind of failure: one place writes them all, which keeps the program small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// What is wrong, ready to have the argument behind it.
    pub reason: &'static str,
    /// The argument that it is about.
    pub argument: Option<&'a CStr>,
    /// Whose fault it is.
    pub cause: Cause,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The arguments are wrong.
    Usage,
    /// A system call failed.
    System(Errno),
}

impl Cause {
    /// 255 for wrong arguments (what the original's `os.Exit(-1)` gives), else 1.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Usage => 255,
            Self::System(_) => 1,
        }
    }
}

impl Failure<'_> {
    /// Writes (bytes as characters below U+0100) one line, and two of usage if the arguments are wrong.
    pub fn describe(&self, out: &mut impl Write) -> fmt::Result {
        out.write_str("kip-sleep: ")?;
        out.write_str(self.reason)?;
        if let Some(argument) = self.argument {
            quote(out, argument)?;
        }
        match self.cause {
            Cause::Usage => out.write_str(
                "\nusage: kip-sleep DURATION [LINGER] (units ns us ms s m h, e.g. 1h30m, 1.5s)\
                 \n       kip-sleep install TARGET (copies this program)\n",
            ),
            Cause::System(errno) => {
                errno.describe(out)?;
                out.write_char('\n')
            }
        }
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(out)
    }
}

impl core::error::Error for Failure<'_> {}

/// Writes a space and `text` in quotes. Control characters become `?`, for the text may be anything and goes to
/// terminals and logs.
fn quote(out: &mut impl Write, text: &CStr) -> fmt::Result {
    out.write_str(" \"")?;
    for &byte in text.to_bytes() {
        let shown = if byte.is_ascii_control() { b'?' } else { byte };
        out.write_char(char::from(shown))?;
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn wrong_arguments_are_quoted_and_followed_by_the_usage() {
        let failure = Failure {
            reason: "unknown unit in duration",
            argument: Some(c"1 \x1b\n\x7fd~"),
            cause: Cause::Usage,
        };
        let text = failure.to_string();
        let (first, usage) = text.split_once('\n').expect("several lines");
        assert_eq!(first, r#"kip-sleep: unknown unit in duration "1 ???d~""#);
        assert!(usage.starts_with("usage: kip-sleep DURATION"), "{usage}");
        assert!(usage.ends_with("program)\n"), "{usage}");
    }

    #[test]
    fn a_system_call_that_failed_is_named_with_path_and_errno() {
        let failure = Failure {
            reason: "cannot create a file beside",
            argument: Some(c"/kip/sleep"),
            cause: Cause::System(Errno(30)),
        };
        let expected = "kip-sleep: cannot create a file beside \"/kip/sleep\": errno 30 (EROFS)\n";
        assert_eq!(failure.to_string(), expected);
    }
}
