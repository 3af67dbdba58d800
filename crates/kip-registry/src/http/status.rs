//! What a status other than the expected one means.

use std::time::{Duration, SystemTime};

use http::header;
use serde::Deserialize;

use super::Answer;
use crate::error::{Error, Kind, quote, scrub};

/// So much is read of a refusal, in bytes.
const REFUSAL_MAX: usize = 16 << 10;

/// [What a registry says][spec] when it refuses something.
///
/// [spec]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
#[derive(Deserialize)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The error that an answer stands for. The secrets are those that were sent.
pub(crate) async fn refusal(answer: Answer, secrets: &[String]) -> Error {
    let status = answer.status();
    let retry_after = retry_after(&answer, SystemTime::now());
    let kind = match status.as_u16() {
        401 => Kind::Unauthorized { tried: Vec::new() },
        403 => Kind::Denied { tried: Vec::new() },
        404 => Kind::NotFound,
        405 | 501 => Kind::Unsupported,
        429 => Kind::RateLimited { retry_after },
        status @ (408 | 500..) => Kind::Server {
            status,
            retry_after,
        },
        ..=399 => Kind::Malformed,
        status => Kind::Rejected { status },
    };
    let words = words(answer).await;
    let known = matches!(kind, Kind::Server { .. } | Kind::Rejected { .. });
    let mut detail = if known {
        String::new()
    } else {
        format!("status {}", status.as_u16())
    };
    if let Some(words) = words {
        if !detail.is_empty() {
            detail.push_str(", ");
        }
        detail.push_str("it says ");
        detail.push_str(&scrub(&words, secrets.iter().map(String::as_str)));
    }
    let error = Error::new(kind);
    if detail.is_empty() {
        error
    } else {
        error.detail(quote(&detail))
    }
}

/// The registry's own words.
async fn words(answer: Answer) -> Option<String> {
    // A larger one, or one that is cut, says nothing.
    let body = answer.collect("a refusal", REFUSAL_MAX).await.ok()?;
    let words = match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => {
            let mut words: Vec<String> = refusal
                .errors
                .into_iter()
                .map(|reason| format!("{} {:?}", reason.code, reason.message))
                .collect();
            words.dedup();
            words.join("; ")
        }
        // Pages for people say nothing that fits into a message.
        Err(_) => match std::str::from_utf8(&body).map(str::trim) {
            Ok(text) if !text.starts_with('<') => text.to_owned(),
            _ => String::new(),
        },
    };
    (!words.is_empty()).then_some(words)
}

/// [`Retry-After`], in seconds or as a date.
///
/// [`Retry-After`]: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
fn retry_after(answer: &Answer, now: SystemTime) -> Option<Duration> {
    read_retry_after(answer.header(&header::RETRY_AFTER)?, now)
}

fn read_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that has passed means now.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 17:00:00 GMT").unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sat, 21 Nov 2026 17:01:30 GMT", Some(90)),
            ("Sat, 21 Nov 2026 16:59:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(
                read_retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
