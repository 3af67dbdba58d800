//! Whose turn it is: tests run side by side on one cluster, but for those that need it for themselves.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static CLUSTER: RwLock<()> = RwLock::new(());

thread_local! {
    /// A test and all that it awaits is on one thread.
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

/// While this lives no other test runs.
#[must_use]
pub struct Alone {
    _turn: RwLockWriteGuard<'static, ()>,
}

/// Waits until no other test runs. For a test that stops or changes what all share (the registry, the API server, the
/// nodes, an API of the cluster), counts what all make (the registry's requests), or takes times: call it first.
pub fn alone() -> Alone {
    let turn = CLUSTER.write().unwrap_or_else(PoisonError::into_inner);
    IS_ALONE.set(true);
    Alone { _turn: turn }
}

impl Drop for Alone {
    fn drop(&mut self) {
        IS_ALONE.set(false);
    }
}

/// While this lives no test is alone, but for the one that asks.
pub(super) struct Beside {
    _turn: Option<RwLockReadGuard<'static, ()>>,
}

/// Waits until nobody else is alone.
pub(super) fn beside() -> Beside {
    let turn = || CLUSTER.read().unwrap_or_else(PoisonError::into_inner);
    Beside {
        _turn: (!IS_ALONE.get()).then(turn),
    }
}
