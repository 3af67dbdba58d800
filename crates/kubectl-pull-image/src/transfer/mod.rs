//! Brings content from the node into the cache: in pieces, over several connections, each piece checked.

mod hashing;
mod worker;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use kip_agent::protocol::Part;
use kip_image::Digest;
use tokio::task::JoinSet;

use crate::cache::{Begun, Cache, Partial};
use crate::failure::{Status, failure};
use crate::helper::Running;
use crate::link::Link;
use crate::progress::Voice;
use hashing::Hasher;

/// Content that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The digest that it has to have.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// What the agent is asked for.
    pub part: Part,
    /// Whether it may become smaller on the way.
    pub compress: bool,
}

/// How much has come so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Of the content, in bytes, with what was there.
    pub bytes: AtomicU64,
    /// What earlier runs had brought of it, in bytes.
    pub kept: AtomicU64,
    /// Over the connections, in bytes.
    pub wire_bytes: AtomicU64,
    /// Connections that were cut.
    pub cuts: AtomicU64,
}

/// What the workers share.
struct Shared {
    running: Arc<Running>,
    items: Vec<(Item, Partial)>,
    queue: Mutex<VecDeque<Piece>>,
    counters: Arc<Counters>,
    hasher: Hasher,
}

/// Some of an item's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    item: usize,
    /// Where the piece begins, as it is noted.
    begin: u64,
    /// What is still to come of it.
    rest: std::ops::Range<u64>,
}

/// How often content is read from the begin on that turns out to be wrong, though each of its pieces was right.
const ATTEMPTS: usize = 2;

/// How often is looked whether another run has ended that reads the same.
const PAUSE: Duration = Duration::from_millis(300);

/// Content that this run reads, with what is there of it.
pub type Open = Vec<(Item, Partial)>;

/// Begins to read all of it, and waits while other runs read some of it. `link` lets the helper pod know that it is needed.
///
/// # Errors
/// When the cache cannot be written to.
pub async fn begin(
    link: &mut Link,
    cache: &Arc<Cache>,
    items: Vec<Item>,
    counters: &Counters,
    voice: Voice,
) -> Result<Open> {
    let mut open = Vec::new();
    for item in items {
        let begun = link.hold(begin_one(cache, &item, voice)).await??;
        let missing =
            |partial: &Partial| partial.missing().iter().map(|it| it.end - it.start).sum();
        let there = item.size - begun.as_ref().map_or(0, missing);
        counters.bytes.fetch_add(there, Ordering::Relaxed);
        counters.kept.fetch_add(there, Ordering::Relaxed);
        open.extend(begun.map(|partial| (item, partial)));
    }
    Ok(open)
}

/// `None` where another run has read it meanwhile.
async fn begin_one(cache: &Arc<Cache>, item: &Item, voice: Voice) -> Result<Option<Partial>> {
    let mut is_told = false;
    loop {
        let (cache, digest, size) = (cache.clone(), item.digest.clone(), item.size);
        match tokio::task::spawn_blocking(move || cache.begin(&digest, size)).await?? {
            Begun::Whole => return Ok(None),
            Begun::Mine(partial) => return Ok(Some(partial)),
            Begun::Busy if is_told => {}
            Begun::Busy => voice.say(&format!(
                "another run reads {}: waiting for it",
                item.digest
            )),
        }
        is_told = true;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Brings all that is missing.
///
/// # Errors
/// When the node has it no more, or the connections are cut again and again, or its digest stays wrong.
pub async fn fetch(
    running: &Arc<Running>,
    cache: &Cache,
    mut open: Open,
    streams: usize,
    counters: &Arc<Counters>,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        open = round(running, cache, open, streams, counters).await?;
        if open.is_empty() {
            return Ok(());
        }
    }
    let digests: Vec<_> = open
        .iter()
        .map(|(item, _)| item.digest.to_string())
        .collect();
    let text = format!(
        "what the node has is not what it should be: its digest is not {}",
        digests.join(", ")
    );
    Err(failure(Status::Incomplete, text))
}

/// Reads what is missing once, and gives back what turned out wrong.
async fn round(
    running: &Arc<Running>,
    cache: &Cache,
    open: Open,
    streams: usize,
    counters: &Arc<Counters>,
) -> Result<Open> {
    let queue = pieces(&open);
    let streams = streams.min(queue.len());
    let shared = Arc::new(Shared {
        running: running.clone(),
        hasher: Hasher::default(),
        items: open,
        queue: Mutex::new(queue),
        counters: counters.clone(),
    });
    let hashing = hashing::start(&shared);
    // However this ends: who hashes waits for more until it is told that there is none.
    let told = hashing::End(shared.clone());
    let mut workers = JoinSet::new();
    for _ in 0..streams {
        workers.spawn(worker::work(shared.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    drop(told);
    let right = hashing.await??;
    let Some(shared) = Arc::into_inner(shared) else {
        bail!("a worker has not ended");
    };
    let mut wrong = Vec::new();
    for ((item, partial), is_right) in shared.items.into_iter().zip(right) {
        if is_right {
            cache.finish(&item.digest, &partial)?;
        } else {
            partial.restart()?;
            counters.bytes.fetch_sub(item.size, Ordering::Relaxed);
            wrong.push((item, partial));
        }
    }
    Ok(wrong)
}

fn pieces(open: &[(Item, Partial)]) -> VecDeque<Piece> {
    let of_item = |(item, (_, partial)): (usize, &(Item, Partial))| {
        let missing = partial.missing().into_iter();
        missing.map(move |rest| Piece {
            item,
            begin: rest.start,
            rest,
        })
    };
    open.iter().enumerate().flat_map(of_item).collect()
}
