//! What an installation tells about the node that it was made on.

use core::fmt::{self, Write};

use crate::decimal;

/// Writes e.g. `amd64 107374182400`: the architecture, and the bytes of the disk where they are known.
pub fn describe(architecture: &str, disk: Option<u64>, out: &mut impl Write) -> fmt::Result {
    out.write_str(architecture)?;
    if let Some(bytes) = disk {
        out.write_char(' ')?;
        decimal::write(out, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    fn described(architecture: &str, disk: Option<u64>) -> String {
        let mut text = String::new();
        describe(architecture, disk, &mut text).expect("a string takes everything");
        text
    }

    #[test]
    fn the_architecture_comes_first_and_the_disk_in_decimal_bytes() {
        assert_eq!(
            described("amd64", Some(107_374_182_400)),
            "amd64 107374182400"
        );
        assert_eq!(described("arm64", Some(0)), "arm64 0");
        assert_eq!(described("arm64", Some(10)), "arm64 10");
        let most = described("arm64", Some(u64::MAX));
        assert_eq!(most, "arm64 18446744073709551615");
    }

    #[test]
    fn a_disk_that_is_not_known_is_left_out() {
        assert_eq!(described("amd64", None), "amd64");
    }
}
