//! Tells when a copy hardly moves: a registry that sends a byte now and then would else hold a place for ever. One that sends
//! nothing at all is given up by the client itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kip_registry::{Event, Progress};

/// It is looked at so often.
const LOOK: Duration = Duration::from_secs(120);
/// So many bytes at least come in that time, where any do and no blob comes to its end.
const LEAST: u64 = 1 << 20;

/// How far a copy is.
#[derive(Default)]
pub(super) struct Pace {
    bytes: AtomicU64,
    ended: AtomicU64,
}

impl Pace {
    /// What the copy tells.
    pub(super) fn progress(self: &Arc<Self>) -> Progress {
        let pace = Arc::clone(self);
        Progress::new(move |event| pace.tell(event))
    }

    fn tell(&self, event: Event<'_>) {
        match event {
            Event::Bytes(count) => {
                self.bytes.fetch_add(count, Ordering::Relaxed);
            }
            Event::Blob { .. } | Event::Manifest { .. } => {
                self.ended.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Ends when the copy hardly moves.
    pub(super) async fn too_slow(&self) {
        let now = || {
            (
                self.bytes.load(Ordering::Relaxed),
                self.ended.load(Ordering::Relaxed),
            )
        };
        let mut before = now();
        loop {
            tokio::time::sleep(LOOK).await;
            let (bytes, ended) = now();
            let come = bytes - before.0;
            if ended == before.1 && come > 0 && come < LEAST {
                return;
            }
            before = (bytes, ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use kip_image::Digest;
    use kip_registry::How;
    use tokio::time::timeout;

    use super::*;

    /// Whether a copy that does this each minute, for half an hour, is too slow.
    async fn is_too_slow(each: impl Fn(&Pace)) -> bool {
        let pace = Arc::new(Pace::default());
        let work = async {
            for _ in 0..30 {
                tokio::time::sleep(LOOK / 2).await;
                each(&pace);
            }
        };
        tokio::select! {
            () = pace.too_slow() => true,
            () = work => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_trickles_is_too_slow_and_one_that_moves_or_waits_is_not() {
        let digest = Digest::parse(&format!("sha256:{:064x}", 1)).unwrap();
        assert!(is_too_slow(|pace| pace.tell(Event::Bytes(1))).await);
        assert!(!is_too_slow(|pace| pace.tell(Event::Bytes(LEAST))).await);
        assert!(!is_too_slow(|_| {}).await, "it may be put into its place");
        let small = |pace: &Pace| {
            pace.tell(Event::Bytes(1));
            let how = How::Copied;
            pace.tell(Event::Blob {
                digest: &digest,
                how,
            });
        };
        assert!(!is_too_slow(small).await);
        let endless = Pace::default();
        assert!(timeout(LOOK * 10, endless.too_slow()).await.is_err());
    }
}
