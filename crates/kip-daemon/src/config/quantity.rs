//! Quantities of CPU and memory, as Kubernetes writes them.
//!
//! Grammar: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::fmt;

/// A quantity that was checked: its text as the user wrote it, and its size for comparisons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    text: String,
    nano: i128,
}

impl Quantity {
    /// Parses a quantity that is not negative.
    ///
    /// # Errors
    /// Says which part is not a quantity.
    pub fn parse(text: &str) -> Result<Self, String> {
        let end = text
            .find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-'))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (negative, digits) = match number.as_bytes().first() {
            Some(b'-') => (true, &number[1..]),
            Some(b'+') => (false, &number[1..]),
            _ => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return Err("does not begin with a number".to_owned());
        }
        if negative && digits.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            return Err("must not be negative".to_owned());
        }
        let (base, exponent) = scale(suffix).ok_or_else(|| {
            format!("{suffix:?} is not a unit of a quantity (m, k, M, G, Ki, Mi, Gi, …)")
        })?;
        let nano = to_nano(whole, fraction, base, exponent)
            .ok_or_else(|| "is too large, or has too many digits, for a quantity".to_owned())?;
        Ok(Self {
            text: text.to_owned(),
            nano,
        })
    }

    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The size in billionths of a unit (a core, a byte), rounded up as Kubernetes does.
    pub fn nano(&self) -> i128 {
        self.nano
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Base and exponent of a suffix: `Mi` is 2^20, `m` is 10^-3, `e3` is 10^3.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    let known = match suffix {
        "" => (10, 0),
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (2, 10),
        "Mi" => (2, 20),
        "Gi" => (2, 30),
        "Ti" => (2, 40),
        "Pi" => (2, 50),
        "Ei" => (2, 60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            return Some((10, exponent.parse().ok()?));
        }
    };
    Some(known)
}

/// `whole.fraction × base^exponent`, in billionths, rounded up; `None` past what Kubernetes can hold.
fn to_nano(whole: &str, fraction: &str, base: i128, exponent: i32) -> Option<i128> {
    let fraction = fraction.trim_end_matches('0');
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    // In billionths: ten to the power of what the fraction's digits and the suffix leave.
    let decimal = 9 - i32::try_from(fraction.len()).ok()? + if base == 10 { exponent } else { 0 };
    if base == 2 {
        value = value.checked_mul(1 << exponent)?;
    }
    let value = if decimal >= 0 {
        value.checked_mul(10_i128.checked_pow(decimal.unsigned_abs())?)?
    } else {
        match 10_i128.checked_pow(decimal.unsigned_abs()) {
            Some(divisor) => value.div_euclid(divisor) + i128::from(value % divisor != 0),
            None => i128::from(value != 0),
        }
    };
    // Kubernetes caps quantities at 2^63 - 1 units.
    (value <= i128::from(i64::MAX) * 1_000_000_000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_kubernetes() {
        for (text, nano) in [
            ("0", 0),
            (".05", 50_000_000),
            ("5.", 5_000_000_000),
            ("50m", 50_000_000),
            ("+1", 1_000_000_000),
            ("-0", 0),
            ("1e3", 1_000_000_000_000),
            ("1E-3", 1_000_000),
            ("1E", 1_000_000_000_000_000_000_000_000_000),
            ("20Mi", 20 * 1024 * 1024 * 1_000_000_000),
            ("1.5Ki", 1536 * 1_000_000_000),
            ("0.1n", 1),
            ("100000000000000000000000000000000000000000n", -1),
        ] {
            let got = Quantity::parse(text).map_or(-1, |quantity| quantity.nano());
            assert_eq!(got, nano, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "Mi",
            "20Mb",
            "20 Mi",
            "1..2",
            "1.2.3",
            "--1",
            "-1",
            "1e",
            "e3",
            "0x1",
            "١",
            "1e1.5",
            "9E9999999999",
        ] {
            assert!(Quantity::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
