//! One connection's work: takes pieces from the queue until it is empty, and connects again where it was cut.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use kip_agent::protocol::Request;

use super::{Piece, Shared};
use crate::failure::{Failure, Status, failure};
use crate::link::{Declined, Frame, Link};

/// How many requests are on their way on a connection: the next one is there before the one before it is answered.
const AHEAD: usize = 2;

/// How often a connection may be cut or refused in a row without a single byte.
const PATIENCE: u32 = 6;

/// Works until there is nothing left to do.
pub(super) async fn work(shared: Arc<Shared>) -> Result<()> {
    let mut failed = 0;
    let mut under_way = VecDeque::new();
    loop {
        let mut came = 0;
        let ended = match shared.running.connect().await {
            Ok(mut link) => read(&shared, &mut link, &mut under_way, &mut came).await,
            Err(error) => Err(error),
        };
        let Err(error) = ended else { return Ok(()) };
        shared.give_back(&mut under_way);
        if let Some(Declined(text)) = error.downcast_ref() {
            return Err(failure(Status::Incomplete, text.clone()));
        }
        if error.is::<Failure>() {
            return Err(error);
        }
        shared.counters.cuts.fetch_add(1, Ordering::Relaxed);
        failed = if came > 0 { 1 } else { failed + 1 };
        if failed > PATIENCE {
            return Err(error.context(format!("the connection failed {failed} times in a row")));
        }
        tokio::time::sleep(Duration::from_millis(100) * 2u32.pow(failed.min(6))).await;
    }
}

/// Reads pieces over this connection until the queue is empty. `came` counts its bytes.
async fn read(
    shared: &Shared,
    link: &mut Link,
    under_way: &mut VecDeque<Piece>,
    came: &mut u64,
) -> Result<()> {
    loop {
        while under_way.len() < AHEAD {
            let Some(piece) = shared.queue().pop_front() else {
                break;
            };
            let (item, _) = &shared.items[piece.item];
            let request = Request::Read {
                part: item.part.clone(),
                offset: piece.rest.start,
                length: piece.rest.end - piece.rest.start,
                compress: item.compress,
            };
            under_way.push_back(piece);
            link.send(&request).await?;
        }
        let Some(piece) = under_way.front_mut() else {
            return Ok(());
        };
        read_piece(shared, link, piece, came).await?;
        under_way.pop_front();
    }
}

async fn read_piece(
    shared: &Shared,
    link: &mut Link,
    piece: &mut Piece,
    came: &mut u64,
) -> Result<()> {
    let (_, partial) = &shared.items[piece.item];
    while let Frame::Data(bytes, wire) = link.next().await? {
        let size = bytes.len() as u64;
        if size > piece.rest.end - piece.rest.start {
            bail!("the agent sent more than it was asked for");
        }
        partial.write(bytes, piece.rest.start).map_err(of_disk)?;
        piece.rest.start += size;
        *came += size;
        shared.counters.bytes.fetch_add(size, Ordering::Relaxed);
        shared
            .counters
            .wire_bytes
            .fetch_add(wire as u64, Ordering::Relaxed);
    }
    if !piece.rest.is_empty() {
        let missing = piece.rest.end - piece.rest.start;
        let text = format!("{missing} bytes fewer are on the node than there should be");
        return Err(failure(Status::Incomplete, text));
    }
    partial.note(piece.begin).map_err(of_disk)?;
    shared.hasher.grown(piece.item);
    Ok(())
}

/// No other connection helps against it.
#[expect(clippy::needless_pass_by_value, reason = "that is what map_err has")]
fn of_disk(error: std::io::Error) -> anyhow::Error {
    failure(
        Status::Sink,
        format!("the cache cannot be written to: {error}"),
    )
}

impl Shared {
    /// What has come of the first piece counts; the others have not begun.
    fn give_back(&self, under_way: &mut VecDeque<Piece>) {
        let mut queue = self.queue();
        while let Some(piece) = under_way.pop_back() {
            queue.push_front(piece);
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Piece>> {
        self.queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
