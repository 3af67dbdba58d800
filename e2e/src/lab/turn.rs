//! Whose turn it is: some tests run side by side on one cluster, and those that need it for themselves come after them, one by
//! one. All of a program's tests may begin at once (`--test-threads`): whoever waits here costs nothing, and nobody has to be
//! waited for in between.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many run side by side unless `KIP_E2E_THREADS` says it: nodes and tests share two processors.
const BESIDE: usize = 4;

static CLUSTER: Mutex<Turns> = Mutex::new(Turns {
    beside: 0,
    waiting: 0,
    alone: false,
});
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// A test and all that it awaits is on one thread.
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

struct Turns {
    /// How many run side by side.
    beside: usize,
    /// How many wait to do so.
    waiting: usize,
    /// Whether one has the cluster for itself.
    alone: bool,
}

/// While this lives no other test runs.
#[must_use]
pub struct Alone {
    began: Instant,
}

/// Waits until no other test runs and none is left that may run beside others. For a test that stops or changes what all share
/// (the registry, the API server, the nodes, an API of the cluster), counts what all make (the registry's requests), or takes
/// times: call it first.
pub fn alone() -> Alone {
    let busy = |turns: &mut Turns| turns.alone || turns.beside + turns.waiting > 0;
    let mut turns = wait_while(lock(), busy);
    turns.alone = true;
    IS_ALONE.set(true);
    Alone {
        began: Instant::now(),
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        IS_ALONE.set(false);
        lock().alone = false;
        CHANGED.notify_all();
        tell("alone", self.began);
    }
}

/// While this lives no test is alone, but for the one that asks.
pub(super) struct Beside {
    /// Nothing is held by one that is alone.
    began: Option<Instant>,
}

/// Waits until nobody is alone and there is room for one more.
pub(super) fn beside() -> Beside {
    if IS_ALONE.get() {
        return Beside { began: None };
    }
    let most = most_beside();
    let mut turns = lock();
    turns.waiting += 1;
    let full = |turns: &mut Turns| turns.alone || turns.beside >= most;
    turns = wait_while(turns, full);
    turns.waiting -= 1;
    turns.beside += 1;
    Beside {
        began: Some(Instant::now()),
    }
}

impl Beside {
    /// Whether the test that asked has the cluster for itself.
    pub(super) fn is_alone(&self) -> bool {
        self.began.is_none()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            lock().beside -= 1;
            CHANGED.notify_all();
            tell("beside others", began);
        }
    }
}

fn most_beside() -> usize {
    let Ok(text) = std::env::var("KIP_E2E_THREADS") else {
        return BESIDE;
    };
    let most = text.parse();
    let most = most.expect("KIP_E2E_THREADS: a number of tests, for example 4");
    assert!(most > 0, "KIP_E2E_THREADS=0: at least 1 is needed");
    most
}

fn lock() -> MutexGuard<'static, Turns> {
    CLUSTER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while(
    turns: MutexGuard<'static, Turns>,
    condition: impl FnMut(&mut Turns) -> bool,
) -> MutexGuard<'static, Turns> {
    let turns = CHANGED.wait_while(turns, condition);
    turns.unwrap_or_else(PoisonError::into_inner)
}

/// The runner says how long all took, and not which of them did.
fn tell(how: &str, began: Instant) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    eprintln!("lab: {name}, {how}: {:.0} s", began.elapsed().as_secs_f64());
}
