//! Names of temporary files.

/// The kernel's `PATH_MAX`: the longest path with its closing NUL.
pub const PATH_MAX: usize = 4096;

/// Letters that stand for a stamp, four bits each.
const LETTERS: usize = 16;

/// Puts the path of a file beside `target` into `buffer`, e.g. `/kip/sleep.aaaaaaaaahfllmnb`, with at least one NUL
/// behind it; nothing if it would be too long.
///
/// Another `stamp` gives another name. `buffer` must be zeros, or hold another path beside the same target.
pub fn path(target: &[u8], stamp: u64, buffer: &mut [u8; PATH_MAX]) -> Option<()> {
    let (_, places) = buffer.split_last_mut()?;
    let mut places = places.iter_mut();
    for &byte in target {
        *places.next()? = byte;
    }
    *places.next()? = b'.';
    let mut bits = stamp;
    for _ in 0..LETTERS {
        bits = bits.rotate_left(4);
        *places.next()? = b'a' + (bits.to_le_bytes()[0] & 0xf);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::{String, ToString};

    use super::*;

    fn named(target: &[u8], stamp: u64) -> Option<String> {
        let mut buffer = [0; PATH_MAX];
        path(target, u64::MAX, &mut buffer)?;
        path(target, stamp, &mut buffer)?;
        let path = core::ffi::CStr::from_bytes_until_nul(&buffer).expect("a NUL");
        Some(path.to_str().expect("ASCII").to_string())
    }

    #[test]
    fn the_file_is_in_the_folder_of_the_target() {
        let expected = "/kip/sleep.aaaaaaaaaaaaaack";
        assert_eq!(named(b"/kip/sleep", 42).as_deref(), Some(expected));
        assert_eq!(named(b"s", u64::MAX).as_deref(), Some("s.pppppppppppppppp"));
    }

    #[test]
    fn each_bit_of_the_stamp_changes_the_name() {
        let names: std::collections::BTreeSet<_> = (0..64)
            .map(|bit| named(b"s", 1 << bit))
            .chain([named(b"s", 0)])
            .collect();
        assert_eq!(names.len(), 65);
    }

    #[test]
    fn the_longest_target_fits_and_a_longer_one_does_not() {
        let target = [b'x'; PATH_MAX];
        let longest = PATH_MAX - 1 - LETTERS - 1;
        let path = named(&target[..longest], 1).expect("fits");
        assert_eq!(path.len() + 1, PATH_MAX);
        assert_eq!(named(&target[..=longest], 1), None);
    }
}
