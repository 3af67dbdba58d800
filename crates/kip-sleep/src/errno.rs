//! Error numbers of Linux.

use core::fmt::{self, Write};

use crate::decimal;

/// What a failed system call returned, e.g. 2 for `ENOENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

impl Errno {
    /// Interrupted by a signal; also by being stopped and continued.
    pub const EINTR: Self = Self(4);
    /// The time is over.
    pub const EAGAIN: Self = Self(11);
    /// The file exists.
    pub const EEXIST: Self = Self(17);
    /// The path is too long.
    pub const ENAMETOOLONG: Self = Self(36);

    /// Writes e.g. `: errno 2 (ENOENT)`; only the number where copying a file hardly ever meets it.
    pub fn describe(self, out: &mut impl Write) -> fmt::Result {
        out.write_str(": errno ")?;
        decimal::write(out, self.0.into())?;
        let mut names = NAMES.iter().copied();
        if names.any(|byte| u16::from(byte) == self.0 && !byte.is_ascii_uppercase()) {
            out.write_str(" (")?;
            for byte in names.take_while(u8::is_ascii_uppercase) {
                out.write_char(char::from(byte))?;
            }
            out.write_char(')')?;
        }
        Ok(())
    }
}

/// Each name behind its number, which is never an upper case letter. The same on x86 and arm. (A table of string
/// slices would be three times as large.)
const NAMES: &[u8] =
    b"\x01EPERM\x02ENOENT\x05EIO\x0cENOMEM\x0dEACCES\x10EBUSY\x11EEXIST\x14ENOTDIR\
    \x15EISDIR\x16EINVAL\x18EMFILE\x1bEFBIG\x1cENOSPC\x1eEROFS\x24ENAMETOOLONG\x26ENOSYS\x28ELOOP\
    \x7aEDQUOT";

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    fn described(number: i32) -> String {
        let mut text = String::new();
        let errno = Errno(u16::try_from(number).expect("positive"));
        errno
            .describe(&mut text)
            .expect("a string takes everything");
        text
    }

    #[test]
    fn number_and_known_name_are_written() {
        assert_eq!(described(2), ": errno 2 (ENOENT)");
        assert_eq!(described(30), ": errno 30 (EROFS)");
        assert_eq!(described(122), ": errno 122 (EDQUOT)");
        assert_eq!(described(100), ": errno 100");
        assert_eq!(described(4095), ": errno 4095");
        assert_eq!(described(0), ": errno 0");
        // The number of a letter is not taken for the letter.
        assert_eq!(described(i32::from(b'E')), ": errno 69");
    }

    #[test]
    fn every_name_is_that_of_its_number() {
        for (number, name) in [
            (libc::EPERM, "EPERM"),
            (libc::ENOENT, "ENOENT"),
            (libc::EIO, "EIO"),
            (libc::ENOMEM, "ENOMEM"),
            (libc::EACCES, "EACCES"),
            (libc::EBUSY, "EBUSY"),
            (libc::EEXIST, "EEXIST"),
            (libc::ENOTDIR, "ENOTDIR"),
            (libc::EISDIR, "EISDIR"),
            (libc::EINVAL, "EINVAL"),
            (libc::EMFILE, "EMFILE"),
            (libc::EFBIG, "EFBIG"),
            (libc::ENOSPC, "ENOSPC"),
            (libc::EROFS, "EROFS"),
            (libc::ENAMETOOLONG, "ENAMETOOLONG"),
            (libc::ENOSYS, "ENOSYS"),
            (libc::ELOOP, "ELOOP"),
            (libc::EDQUOT, "EDQUOT"),
        ] {
            assert_eq!(described(number), std::format!(": errno {number} ({name})"));
        }
    }

    #[test]
    fn constants_agree_with_the_c_library() {
        for (number, name) in [
            (libc::EINTR, Errno::EINTR),
            (libc::EAGAIN, Errno::EAGAIN),
            (libc::EEXIST, Errno::EEXIST),
            (libc::ENAMETOOLONG, Errno::ENAMETOOLONG),
        ] {
            assert_eq!(i32::from(name.0), number);
        }
    }
}
