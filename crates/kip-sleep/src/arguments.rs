//! The command line.

use core::ffi::CStr;

use crate::duration;
use crate::failure::{Cause, Failure};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Sleep, both in nanoseconds; not at all if there are none or fewer.
    Sleep {
        /// How long.
        time: i64,
        /// For how much longer when a signal has ended the sleep.
        linger: i64,
    },
    /// Copy the running program to this path.
    Install(&'a CStr),
}

/// Reads the arguments behind the program's own name: the first three, for more are never right.
pub fn parse(arguments: [Option<&CStr>; 3]) -> Result<Command<'_>, Failure<'_>> {
    let wrong = |reason, argument| Failure {
        reason,
        argument,
        cause: Cause::Usage,
    };
    let [Some(first), second, third] = arguments else {
        return Err(wrong("no DURATION given", None));
    };
    // A surplus argument is the mistake to name, however wrong the others.
    if third.is_some() {
        return Err(wrong("unexpected argument", third));
    }
    if first.to_bytes() == b"install" {
        let target = second.ok_or(wrong("no TARGET given to", arguments[0]))?;
        return Ok(Command::Install(target));
    }
    // The second one first, where there is one. Not two calls: with them the program is larger than a page on arm64.
    let mut argument = second;
    let mut linger = 0;
    let time = loop {
        let text = argument.unwrap_or(first);
        match duration::parse(text.to_bytes()) {
            Ok(time) if argument.is_none() => break time,
            Ok(time) => linger = time,
            Err(error) => return Err(wrong(error.reason(), Some(text))),
        }
        argument = None;
    };
    Ok(Command::Sleep { time, linger })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<'a>(arguments: &[&'a CStr]) -> Result<Command<'a>, Failure<'a>> {
        let argument = |index: usize| arguments.get(index).copied();
        parse([argument(0), argument(1), argument(2)])
    }

    fn refused(arguments: &[&CStr], reason: &str, argument: Option<&CStr>) {
        let failure = parsed(arguments).expect_err("wrong arguments");
        assert_eq!((failure.reason, failure.argument), (reason, argument));
        assert_eq!(failure.cause.exit_status(), 255);
    }

    #[test]
    fn one_argument_is_a_duration_and_a_second_one_too() {
        let sleep = |time, linger| Ok(Command::Sleep { time, linger });
        assert_eq!(parsed(&[c"1m"]), sleep(60_000_000_000, 0));
        assert_eq!(parsed(&[c"-1h"]), sleep(-3_600_000_000_000, 0));
        assert_eq!(parsed(&[c"1m", c"5ms"]), sleep(60_000_000_000, 5_000_000));
    }

    #[test]
    fn install_takes_a_target() {
        let command = parsed(&[c"install", c"/kip/sleep"]);
        assert_eq!(command, Ok(Command::Install(c"/kip/sleep")));
    }

    #[test]
    fn what_is_missing_is_named() {
        refused(&[], "no DURATION given", None);
        refused(&[c"install"], "no TARGET given to", Some(c"install"));
    }

    #[test]
    fn what_is_too_much_is_named() {
        refused(&[c"1s", c"2s", c"3s"], "unexpected argument", Some(c"3s"));
        refused(&[c"x", c"y", c"z"], "unexpected argument", Some(c"z"));
        refused(&[c"install", c"a", c"b"], "unexpected argument", Some(c"b"));
    }

    #[test]
    fn what_is_no_duration_is_named() {
        refused(&[c""], "invalid duration", Some(c""));
        refused(&[c"1"], "missing unit in duration", Some(c"1"));
        refused(&[c"1d"], "unknown unit in duration", Some(c"1d"));
        refused(&[c"installs"], "invalid duration", Some(c"installs"));
        refused(&[c"1s", c"2"], "missing unit in duration", Some(c"2"));
        refused(&[c"x", c"2s"], "invalid duration", Some(c"x"));
    }
}
