//! Ctrl-C and the other ways to be asked to end. The first time there is time to leave nothing behind; the second time ends at once.

use std::sync::{Arc, OnceLock};

use anyhow::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Status, failure};
use crate::progress::Voice;

/// Whether this program was asked to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    token: CancellationToken,
    by: Arc<OnceLock<&'static str>>,
}

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub fn listen() -> Result<Self> {
        let kinds = [
            ("Ctrl-C", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
        ];
        let own = Self::default();
        for (name, kind) in kinds {
            tokio::spawn(own.clone().take(name, signal(kind)?));
        }
        Ok(own)
    }

    async fn take(self, name: &'static str, mut signal: Signal) {
        while signal.recv().await.is_some() {
            if self.token.is_cancelled() {
                Voice::new(false, 0)
                    .say("error: interrupted again; what is left behind: kubectl pull-image prune");
                std::process::exit(Status::Interrupted as i32);
            }
            let _ = self.by.set(name);
            self.token.cancel();
        }
    }

    /// Whether it was.
    pub fn is_set(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is, and gives the failure that it is.
    pub async fn wait(&self) -> Error {
        self.token.cancelled().await;
        self.error()
    }

    /// The failure.
    pub fn error(&self) -> Error {
        let by = self.by.get().copied().unwrap_or("a signal");
        failure(Status::Interrupted, format!("interrupted by {by}"))
    }

    /// Does it unless it is asked to end before that.
    ///
    /// # Errors
    /// The work's, and that it was interrupted.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            error = self.wait() => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::status;

    #[tokio::test]
    async fn work_ends_when_it_is_interrupted() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.or(async { Ok(1) }).await.unwrap(), 1);
        assert!(!interrupt.is_set());
        let waiting = interrupt.or(std::future::pending::<Result<()>>());
        let (ended, ()) = tokio::join!(waiting, async { interrupt.token.cancel() });
        assert_eq!(status(&ended.unwrap_err()), Status::Interrupted);
        assert!(interrupt.is_set());
    }
}
