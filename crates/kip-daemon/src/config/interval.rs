//! `CACHING_INTERVAL_HOURS`: hours as in the original, decimals, or a duration.

use std::time::Duration;

use super::problem::Problem;

const VARIABLE: &str = "CACHING_INTERVAL_HOURS";
const HOUR: f64 = 3600.0;
/// The scheduler works in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);
/// A hundred years; longer means "never", which is written `0`.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// The interval between two ticks; `None` means never.
///
/// # Errors
/// Says what is wrong with the value.
pub(super) fn parse(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = text else {
        return Ok(Some(Duration::from_secs(3600)));
    };
    let interval = duration(text).map_err(|wrong| Problem::new(VARIABLE, text, wrong))?;
    // What is rounded to nothing was not meant as "never".
    let is_zero = !text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if interval.is_zero() && is_zero {
        return Ok(None);
    }
    if interval < SHORTEST {
        return Err(Problem::new(VARIABLE, text, "is shorter than a second"));
    }
    if interval > LONGEST {
        return Err(Problem::new(
            VARIABLE,
            text,
            "is longer than 100 years; 0 means never",
        ));
    }
    Ok(Some(interval))
}

fn duration(text: &str) -> Result<Duration, String> {
    let looks_decimal = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-'));
    if looks_decimal {
        let hours: f64 = text
            .parse()
            .map_err(|_| "is not a number of hours".to_owned())?;
        return Duration::try_from_secs_f64(hours * HOUR)
            .map_err(|_| "must be a number of hours that is not negative".to_owned());
    }
    let nanoseconds = kip_sleep::duration::parse(text.as_bytes())
        .map_err(|_| "is neither a number of hours nor a duration".to_owned())?;
    u64::try_from(nanoseconds)
        .map(Duration::from_nanos)
        .map_err(|_| "must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_decimals_and_durations() {
        for (text, seconds) in [
            ("1", Some(3600)),
            ("0.5", Some(1800)),
            ("30m", Some(1800)),
            ("1h30m", Some(5400)),
            ("0", None),
            ("0s", None),
            ("24", Some(86400)),
        ] {
            assert_eq!(
                parse(Some(text)),
                Ok(seconds.map(Duration::from_secs)),
                "{text}"
            );
        }
        assert_eq!(parse(None), Ok(Some(Duration::from_secs(3600))));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "-1",
            "-1h",
            "one",
            "1 h",
            "1e9",
            "1d",
            "999999999",
            "10ms",
            "0.0000000000001",
            "0.1ns",
            "..",
            "1h-",
            "nan",
            "inf",
        ] {
            assert!(parse(Some(text)).is_err(), "{text} was taken");
        }
    }
}
