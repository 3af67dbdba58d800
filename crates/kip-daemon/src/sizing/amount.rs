//! Sums of quantities, written as the API server writes them.

use std::fmt;

use crate::config::quantity::Quantity;

/// A sum of quantities, in thousandths of a unit (a core, a byte): what the API server rounds every request up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    milli: i128,
    notation: Notation,
}

/// In which units it is written, where both would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Notation {
    /// `m`, `k`, `M`, …
    #[default]
    Decimal,
    /// `Ki`, `Mi`, …
    Binary,
}

impl Amount {
    /// So many thousandths of a core.
    pub const fn millicores(milli: i128) -> Self {
        Self {
            milli,
            notation: Notation::Decimal,
        }
    }

    /// So many bytes.
    pub const fn bytes(bytes: i128) -> Self {
        Self {
            milli: bytes * 1000,
            notation: Notation::Binary,
        }
    }

    /// In thousandths of a unit.
    pub const fn milli(self) -> i128 {
        self.milli
    }

    /// Both together. As in Kubernetes the first that is not zero decides how the sum is written.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let first = if self.milli == 0 { other } else { self };
        Self {
            milli: self.milli.saturating_add(other.milli),
            notation: first.notation,
        }
    }

    /// So many of them.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        let count = i128::try_from(count).unwrap_or(i128::MAX);
        Self {
            milli: self.milli.saturating_mul(count),
            notation: self.notation,
        }
    }

    /// The larger of both.
    #[must_use]
    pub fn or_larger(self, other: Self) -> Self {
        if other.milli > self.milli {
            other
        } else {
            self
        }
    }
}

impl From<&Quantity> for Amount {
    fn from(quantity: &Quantity) -> Self {
        const NANO_IN_MILLI: i128 = 1_000_000;
        let nano = quantity.nano();
        Self {
            milli: nano / NANO_IN_MILLI + i128::from(nano % NANO_IN_MILLI != 0),
            notation: if quantity.as_str().ends_with('i') {
                Notation::Binary
            } else {
                Notation::Decimal
            },
        }
    }
}

/// The canonical form: a whole number, and the largest unit with which it is one.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const DECIMAL: [&str; 8] = ["m", "", "k", "M", "G", "T", "P", "E"];
        let is_binary = self.notation == Notation::Binary
            && self.milli % 1000 == 0
            && self.milli >= 1024 * 1000;
        let (mut number, base, units) = if is_binary {
            (self.milli / 1000, 1024, &BINARY[..])
        } else {
            (self.milli, 1000, &DECIMAL[..])
        };
        if number == 0 {
            return f.pad("0");
        }
        let mut unit = 0;
        while unit + 1 < units.len() && number % base == 0 {
            number /= base;
            unit += 1;
        }
        f.pad(&format!("{number}{}", units[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::from(&Quantity::parse(text).unwrap())
    }

    #[test]
    fn quantities_are_written_as_kubernetes_writes_them() {
        for (text, canonical) in [
            ("0", "0"),
            ("0Mi", "0"),
            (".05", "50m"),
            ("1500m", "1500m"),
            ("2000m", "2"),
            ("1000", "1k"),
            ("1100", "1100"),
            ("0.1m", "1m"),
            ("1e3", "1k"),
            ("20Mi", "20Mi"),
            ("1024Mi", "1Gi"),
            ("8256Mi", "8256Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("0.0001Ki", "103m"),
            ("100M", "100M"),
            ("128M", "128M"),
            ("1024", "1024"),
            ("7Ei", "7Ei"),
            ("9E", "9E"),
        ] {
            assert_eq!(amount(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn a_sum_is_exact_and_written_like_its_first_part() {
        let sum = |parts: &[&str]| {
            let parts = parts.iter().map(|part| amount(part));
            parts.fold(Amount::default(), Amount::plus).to_string()
        };
        assert_eq!(sum(&["20Mi", "20Mi", "984Mi"]), "1Gi");
        assert_eq!(sum(&["0", "1Mi", "1M"]), "2048576");
        assert_eq!(sum(&["1M", "1Mi"]), "2048576");
        assert_eq!(sum(&["1M", "1Ki"]), "1001024");
        assert_eq!(sum(&["1Ki", "1024"]), "2Ki");
        assert_eq!(sum(&["1024", "1Ki"]), "2048");
        assert_eq!(sum(&[".05"; 20]), "1");
        assert_eq!(amount("20Mi").times(512).to_string(), "10Gi");
        assert_eq!(amount("1m").or_larger(amount("2m")), amount("2m"));
    }

    #[test]
    fn no_amount_is_too_large_to_be_added() {
        let huge = amount("9E").times(usize::MAX).times(usize::MAX);
        assert_eq!(huge.plus(huge).milli(), i128::MAX);
    }
}
