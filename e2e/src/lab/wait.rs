//! Waiting: for a condition, with a deadline, never for a time.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Plenty for anything that is to happen at once: this is about being right, not about being fast. A node pulls one image
/// after the other, those of the tests beside this one too.
pub const DEADLINE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until the condition holds, and gives what it found. `Err` says what is still missing.
///
/// # Panics
/// When the deadline is over, with the last thing that was missing.
pub async fn eventually<T, E: Display>(
    what: &str,
    condition: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    eventually_within(DEADLINE, what, condition).await
}

/// As [`eventually`], with a deadline of its own.
///
/// # Panics
/// When the deadline is over, with the last thing that was missing.
pub async fn eventually_within<T, E: Display>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let started = Instant::now();
    loop {
        match condition().await {
            Ok(found) => return found,
            Err(missing) => {
                assert!(
                    started.elapsed() < deadline,
                    "{what}: not within {deadline:?}: {missing:#}"
                );
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
