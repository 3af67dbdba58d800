//! What `kip-sleep` decides, without doing anything: arguments, durations, messages, names.
//!
//! `kip-sleep` is the program that runs in every container of the Kubernetes Image Puller: it keeps a
//! container alive, and with it the container's image on the node.
//!
//! ```text
//! kip-sleep DURATION [LINGER]  sleeps, e.g. 1h30m, 1.5s, 100ms: exit status 0
//! kip-sleep install TARGET     copies itself to TARGET, mode 0555: exit status 0, or 1 and a message
//! anything else                usage on standard error: exit status 255
//! ```
//!
//! A signal ends the sleep, at once or LINGER later. A second one does not wait for that.
//!
//! An installation that has succeeded also tells about the node it was made on, since a container sees what nobody else
//! may have to ask for: the architecture, in Kubernetes' words, and the bytes of the file system on which TARGET lies,
//! e.g. `amd64 107374182400`. It writes them to `/dev/termination-log`, which kubelet shows as the message of the
//! container that has ended. Where that cannot be had, nobody is told, and nothing has failed.
//!
//! The program (`main.rs` and the modules beside it) has no standard library, no allocator and no libc; it
//! makes the system calls. Everything that can be tested without them is here, safe and pure:
//!
//! ```text
//! argv ─▶ arguments::parse ─▶ Command::Sleep ───────────▶ sleep      (rt_sigtimedwait)
//!              │         └──▶ Command::Install(target) ────▶ install    (temporary::path, rename; node::describe)
//!              └───────────────▶ Failure ◀────────────────────────┘
//!                                   └─▶ standard error, exit status 255 or 1
//! ```
//!
//! Messages are written to a [`core::fmt::Write`] piece by piece. `format_args!` would do the same and cost
//! more than the rest of the program.
#![no_std]
#![forbid(unsafe_code)]

pub mod arguments;
pub mod decimal;
pub mod duration;
pub mod errno;
pub mod failure;
pub mod node;
pub mod temporary;
