//! Token servers.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::{Fake, Reply, Seen, status};

/// A token server that gives `token-1`, `token-2` and so on for the credentials that it is told to take.
pub(crate) async fn token_server(
    accepts: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    more: &'static str,
) -> Fake {
    let count = AtomicUsize::new(0);
    Fake::start(|_| {
        move |seen: &Seen| {
            if !accepts(seen) {
                return status(401).body(r#"{"details":"incorrect username or password"}"#);
            }
            let n = count.fetch_add(1, Ordering::SeqCst) + 1;
            give(&format!("token-{n}"), more)
        }
    })
    .await
}

/// The answer with a token.
pub(crate) fn give(token: &str, more: &str) -> Reply {
    status(200)
        .header("content-type", "application/json")
        .body(format!(r#"{{"token":"{token}"{more}}}"#))
}
