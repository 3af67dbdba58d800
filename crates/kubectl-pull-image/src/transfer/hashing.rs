//! Computes digests behind the workers, as far as there is no gap.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use kip_image::Digest;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::Shared;

/// How much is read again at once, in bytes: what has just been written is still in memory.
const CHUNK: usize = 1 << 20;

/// Tells the hashing thread that an item has grown.
#[derive(Default)]
pub(super) struct Hasher {
    grown: Mutex<Option<Sender<usize>>>,
}

impl Hasher {
    /// The item has grown.
    pub(super) fn grown(&self, item: usize) {
        if let Some(sender) = self.lock().as_ref() {
            // When it has ended it has failed, and says so itself.
            let _ = sender.send(item);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Sender<usize>>> {
        self.grown
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Tells it that nothing grows any more, when it is dropped.
pub(super) struct End(pub(super) Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        *self.0.hasher.lock() = None;
    }
}

/// Starts it. In the end it says of each item whether its digest is right.
pub(super) fn start(shared: &Arc<Shared>) -> JoinHandle<Result<Vec<bool>>> {
    let (sender, receiver) = channel();
    // What another run has left may be whole already.
    for item in 0..shared.items.len() {
        let _ = sender.send(item);
    }
    *shared.hasher.lock() = Some(sender);
    let shared = shared.clone();
    tokio::task::spawn_blocking(move || hash(&shared, &receiver))
}

fn hash(shared: &Shared, receiver: &Receiver<usize>) -> Result<Vec<bool>> {
    let mut states = vec![(Sha256::new(), 0u64); shared.items.len()];
    let mut buffer = vec![0; CHUNK];
    for item in receiver {
        let (state, hashed) = &mut states[item];
        let (_, partial) = &shared.items[item];
        let prefix = partial.prefix();
        while *hashed < prefix {
            let size = usize::try_from(prefix - *hashed).map_or(CHUNK, |rest| rest.min(CHUNK));
            partial.read(&mut buffer[..size], *hashed)?;
            state.update(&buffer[..size]);
            *hashed += size as u64;
        }
    }
    let states = states.into_iter().zip(&shared.items);
    let is_right = |((state, hashed), (item, _)): ((Sha256, u64), &(super::Item, _))| {
        hashed == item.size && Digest::from_sha256(state.finalize().into()) == item.digest
    };
    Ok(states.map(is_right).collect())
}
