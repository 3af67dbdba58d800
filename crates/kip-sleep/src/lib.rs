//! What `kip-sleep` decides, without doing anything: arguments, durations, messages, names.
//!
//! `kip-sleep` is the program that runs in every container of the Kubernetes Image Puller: it keeps a
//! container alive, and with it the container's image on the node.
//!
//! ```text
//! kip-sleep DURATION        sleeps, e.g. 1h30m, 1.5s, 100ms: exit status 0
//! kip-sleep install TARGET  copies itself to TARGET, mode 0555: exit status 0, or 1 and a message
//! anything else             usage on standard error: exit status 255
//! ```
//!
//! The program (`main.rs` and the modules beside it) has no standard library, no allocator and no libc; it
//! makes the system calls. Everything that can be tested without them is here, safe and pure:
//!
//! ```text
//! argv ─▶ arguments::parse ─▶ Command::Sleep(nanoseconds) ─▶ sleep      (rt_sigtimedwait)
//!              │         └──▶ Command::Install(target) ────▶ install    (temporary::path, rename)
//!              └───────────────▶ Failure ◀────────────────────────┘
//!                                   └─▶ standard error, exit status 255 or 1
//! ```
//!
//! Messages are written to a [`core::fmt::Write`] piece by piece. `format_args!` would do the same and cost
//! more than the rest of the program.
#![no_std]
#![forbid(unsafe_code)]

pub mod arguments;
pub mod duration;
pub mod errno;
pub mod failure;
pub mod temporary;
