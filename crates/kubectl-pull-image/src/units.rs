//! Durations and sizes, as kubectl and Kubernetes write them.

use std::time::Duration;

/// A duration: `90` (seconds), `30s`, `1m30s`, `1.5h`.
///
/// # Errors
/// What is wrong, with examples.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "no duration such as 30s, 1m30s or 2h".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = number(rest).ok_or_else(wrong)?;
        let end = after.find(|it: char| !it.is_ascii_alphabetic());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        sum = sum.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(sum)
    }
}

/// A number of bytes: `1000`, `500Mi`, `1.5Gi`.
///
/// # Errors
/// What is wrong, with examples.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || "no size such as 500Mi or 10Gi".to_owned();
    if let Ok(bytes) = text.parse() {
        return Ok(bytes);
    }
    let (number, unit) = number(text).ok_or_else(wrong)?;
    let scale = match unit {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = (number * scale).round();
    // Up to there each number of bytes is exact, and no disk is larger.
    if bytes > 9_007_199_254_740_992.0 {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole, not negative, and not too large"
    )]
    Ok(bytes as u64)
}

/// The number at the begin, and what is after it.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.');
    let (number, after) = text.split_at(end.unwrap_or(text.len()));
    Some((number.parse().ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_kubectl() {
        let good = [
            ("0", 0),
            ("90", 90_000),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("2h", 7_200_000),
            ("250ms", 250),
        ];
        for (text, millis) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "soon",
            "5d",
            "s",
            "-1s",
            "1m30",
            "1..5s",
            "1e400s",
            "99999999999999999999h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_those_of_kubernetes() {
        let good = [
            ("0", 0),
            ("1000", 1000),
            ("1k", 1000),
            ("10Gi", 10 << 30),
            ("1.5Gi", 3 << 29),
            ("2T", 2_000_000_000_000),
        ];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "much", "Gi", "99999999Ti", "-1", "1Gib", "1.2.3"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
