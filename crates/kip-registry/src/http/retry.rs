//! Again, a little later.

use std::future::Future;
use std::time::Duration;

use crate::error::Error;
use crate::settings::Retries;

/// Does it until it goes well, or fails in a way that will not pass, or too often.
pub(crate) async fn run<T, F>(retries: &Retries, mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(wait) = wait(retries, failures, &error) else {
            return Err(error);
        };
        failures += 1;
        tokio::time::sleep(wait).await;
    }
}

/// How long to wait after a failure; `None` where another attempt is of no use.
pub(crate) fn wait(retries: &Retries, failures: u32, error: &Error) -> Option<Duration> {
    if failures >= retries.count || !error.kind().is_transient() {
        return None;
    }
    match error.kind().retry_after() {
        // A little more, so that not all that wait come back together.
        Some(asked) => (asked <= retries.longest_wait)
            .then(|| asked + retries.first_wait.mul_f64(fastrand::f64())),
        None => Some(backoff(retries, failures, fastrand::f64())),
    }
}

/// The wait after so many failures before. The random number is at least 0 and less than 1.
fn backoff(retries: &Retries, failures: u32, random: f64) -> Duration {
    let doubled = retries
        .first_wait
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(retries.longest_wait);
    doubled.mul_f64(1.0 - random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn retries() -> Retries {
        Retries {
            count: 10,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_vary_by_half() {
        let waits: Vec<u128> = (0..9)
            .map(|failures| backoff(&retries(), failures, 0.0).as_millis())
            .collect();
        assert_eq!(
            waits,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
        assert_eq!(backoff(&retries(), 1, 0.5).as_millis(), 750);
        assert_eq!(backoff(&retries(), u32::MAX, 0.0).as_secs(), 30);
    }

    #[test]
    fn a_wait_that_the_registry_asks_for_is_kept_and_a_too_long_one_ends_the_attempts() {
        let limited = |seconds| {
            Error::new(Kind::RateLimited {
                retry_after: Some(Duration::from_secs(seconds)),
            })
        };
        let wait_for = |seconds| wait(&retries(), 0, &limited(seconds));
        assert!(wait_for(7).is_some_and(|wait| (7.0..7.5).contains(&wait.as_secs_f64())));
        assert!(wait_for(30).is_some());
        assert_eq!(wait_for(31), None);
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        assert_eq!(wait(&retries(), 0, &Error::new(Kind::NotFound)), None);
        assert_eq!(wait(&retries(), 0, &Error::new(Kind::Tls)), None);
        let failed = Error::new(Kind::Server {
            status: 503,
            retry_after: None,
        });
        assert!(wait(&retries(), 9, &failed).is_some());
        assert_eq!(wait(&retries(), 10, &failed), None);
    }
}
