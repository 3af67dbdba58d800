//! Sleeping until the time is over or a signal ends it.

use kip_sleep::errno::Errno;
use kip_sleep::failure::{Cause, Failure};

use crate::linux::{self, SignalSet};

/// All signals but CHLD, CONT, STOP, TSTP, TTIN, TTOU and URG, which are 17 to 23 on both architectures.
///
/// A runtime stops a container by the image's own STOPSIGNAL, which may be any: QUIT, WINCH and RTMIN+3 occur.
/// So each of these ends the sleep, also one that the parent ignored (`nohup`). Those left out keep what they do by
/// default: CHLD, CONT and URG nothing; the others stop the process until CONT (not as PID 1, which ignores
/// them), and then it sleeps on for what is left of its time. The kernel lets nobody block KILL and STOP.
const ENDING: SignalSet = !(0x7f << 16);

/// Returns when so many nanoseconds are over, or when a signal has arrived and so many more are over or a second one has
/// arrived; at once for none or fewer.
pub(crate) fn sleep(nanoseconds: i64, linger: i64) -> Result<(), Failure<'static>> {
    // Blocked, because the kernel drops an unblocked signal sent to PID 1.
    linux::block_signals(ENDING);
    let nanoseconds = u64::try_from(nanoseconds).unwrap_or(0);
    // Both are less than 2^63.
    let deadline = linux::monotonic_now().wrapping_add(nanoseconds);
    loop {
        let now = linux::monotonic_now();
        if now >= deadline {
            return Ok(());
        }
        match linux::wait_for_signal(ENDING, deadline - now) {
            // Over, or stopped and continued: the clock tells which.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => {
                let reason = "cannot wait";
                return Err(Failure {
                    reason,
                    argument: None,
                    cause: Cause::System(errno),
                });
            }
            Ok(()) => {
                // Whatever ends it: what is to be done is done.
                let _ = linux::wait_for_signal(ENDING, u64::try_from(linger).unwrap_or(0));
                return Ok(());
            }
        }
    }
}
