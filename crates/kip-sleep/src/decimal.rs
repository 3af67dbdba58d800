//! Numbers as text.

use core::fmt::{self, Write};

/// Writes the digits before the last one, then the last one.
pub fn write(out: &mut impl Write, number: u64) -> fmt::Result {
    if number >= 10 {
        write(out, number / 10)?;
    }
    let [digit, ..] = (number % 10).to_le_bytes();
    out.write_char(char::from(b'0' + digit))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::{String, ToString};

    #[test]
    fn every_digit_is_written_and_none_before_the_first() {
        for number in [0, 9, 10, 42, 100, 1_234_567_890, u64::MAX] {
            let mut text = String::new();
            super::write(&mut text, number).expect("a string takes everything");
            assert_eq!(text, number.to_string());
        }
    }
}
