//! Durations in the syntax of Go's [`time.ParseDuration`](https://pkg.go.dev/time#ParseDuration).

use core::fmt;

/// One more than the largest number of nanoseconds; a negative duration may have as many as this.
const LIMIT: u64 = 1 << 63;

/// Why a text is not a duration: Go's three reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationError {
    /// Not numbers with units, or more than about 292 years.
    Invalid,
    /// A number has no unit behind it, e.g. `10`.
    MissingUnit,
    /// A number has another unit than ns, us, µs, ms, s, m or h behind it, e.g. `1d`.
    UnknownUnit,
}

impl DurationError {
    /// What is wrong; the text itself is for the caller to name.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "invalid duration",
            Self::MissingUnit => "missing unit in duration",
            Self::UnknownUnit => "unknown unit in duration",
        }
    }
}

impl fmt::Display for DurationError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason())
    }
}

impl core::error::Error for DurationError {}

/// The nanoseconds that `text` stands for, e.g. `1h30m`, `-1.5s`, `.5ms`, `0`.
///
/// Accepts and refuses what Go does, and gives the same number, down to two curiosities: digits of a
/// fraction beyond the 19th or so are skipped, and a sum that is exactly 2^64 passes for zero.
pub fn parse(text: &[u8]) -> Result<i64, DurationError> {
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    match rest {
        [] => return Err(DurationError::Invalid),
        [b'0'] => return Ok(0),
        _ => {}
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanoseconds, tail) = component(rest)?;
        // Both are at most 2^63, so that only 2^63 + 2^63 wraps: Go's sum does the same.
        total = total.wrapping_add(nanoseconds);
        if total > LIMIT {
            return Err(DurationError::Invalid);
        }
        rest = tail;
    }
    if negative {
        Ok(0i64.wrapping_sub_unsigned(total))
    } else {
        i64::try_from(total).map_err(|_| DurationError::Invalid)
    }
}

/// One number with its unit in nanoseconds (at most `LIMIT`), and what comes behind it.
fn component(text: &[u8]) -> Result<(u64, &[u8]), DurationError> {
    let (number, rest) = leading_number(text)?;
    let (unit, rest) = leading_unit(rest)?;
    let nanoseconds = number
        .whole
        .saturating_mul(unit)
        .saturating_add(number.part_of(unit));
    if nanoseconds > LIMIT {
        return Err(DurationError::Invalid);
    }
    Ok((nanoseconds, rest))
}

/// A decimal number: `whole` + `fraction` / `scale`.
struct Number {
    whole: u64,
    fraction: u64,
    scale: f64,
}

impl Number {
    /// The fraction of `unit` in whole nanoseconds, rounded by the same floating point steps as Go's.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "Go's steps; the result lies between 0 and the nanoseconds of an hour"
    )]
    fn part_of(&self, unit: u64) -> u64 {
        // Negated, for only so does 2^63 fit; rounding is symmetric, and signed conversions are smaller.
        let negated = 0i64.wrapping_sub_unsigned(self.fraction) as f64;
        ((negated * (unit as f64 / self.scale)) as i64).unsigned_abs()
    }
}

/// Digits, a point and digits: at least one of them a digit, the whole part at most `LIMIT`. Digits of the fraction
/// from the first on that does not fit are skipped.
fn leading_number(start: &[u8]) -> Result<(Number, &[u8]), DurationError> {
    let mut text = start;
    let mut before_point = None;
    let mut value: u64 = 0;
    let mut scale = 1.0;
    let mut full = false;
    while let [byte, rest @ ..] = text {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            full = full || value > LIMIT / 10 || value * 10 + u64::from(digit) > LIMIT;
            if !full {
                value = value * 10 + u64::from(digit);
                if before_point.is_some() {
                    scale *= 10.0;
                }
            } else if before_point.is_none() {
                return Err(DurationError::Invalid);
            }
        } else if *byte == b'.' && before_point.is_none() {
            before_point = Some(value);
            value = 0;
        } else {
            break;
        }
        text = rest;
    }
    // All that was taken, but for the point, are digits.
    let (points, whole, fraction) = match before_point {
        Some(whole) => (1, whole, value),
        None => (0, value, 0),
    };
    if start.len() - text.len() == points {
        return Err(DurationError::Invalid);
    }
    Ok((
        Number {
            whole,
            fraction,
            scale,
        },
        text,
    ))
}

/// The nanoseconds of the unit, which reaches to the next digit or point.
fn leading_unit(mut text: &[u8]) -> Result<(u64, &[u8]), DurationError> {
    let mut name = NO_NAME;
    while let [byte, rest @ ..] = text
        && !matches!(byte, b'0'..=b'9' | b'.')
    {
        name = longer_name(name, *byte);
        text = rest;
    }
    let nanoseconds = match name {
        NO_NAME => return Err(DurationError::MissingUnit),
        NS => 1,
        US | MICRO_SIGN_S | MU_S => 1_000,
        MS => 1_000_000,
        S => 1_000_000_000,
        M => 60 * 1_000_000_000,
        H => 3_600 * 1_000_000_000,
        _ => return Err(DurationError::UnknownUnit),
    };
    Ok((nanoseconds, text))
}

// Names of units as numbers, which cost half as much to compare: a 1, then the bytes, at most three.
const NO_NAME: u32 = 1;
const NS: u32 = name(b"ns");
const US: u32 = name(b"us");
const MICRO_SIGN_S: u32 = name("\u{b5}s".as_bytes());
const MU_S: u32 = name("\u{3bc}s".as_bytes());
const MS: u32 = name(b"ms");
const S: u32 = name(b"s");
const M: u32 = name(b"m");
const H: u32 = name(b"h");

/// `name` with one more byte. All that are longer than three bytes are the same, which no unit has.
const fn longer_name(name: u32, byte: u8) -> u32 {
    if name >> 24 == 0 {
        name << 8 | byte as u32
    } else {
        u32::MAX
    }
}

const fn name(mut bytes: &[u8]) -> u32 {
    let mut name = NO_NAME;
    while let [byte, rest @ ..] = bytes {
        name = longer_name(name, *byte);
        bytes = rest;
    }
    name
}
