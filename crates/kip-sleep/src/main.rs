//! The program: entry, and the way from the arguments to the exit status. See the library's documentation.
//!
//! It is static, needs no libc and no allocator, has one thread, no writable data and one page of code.
//! Built with `cargo build -p kip-sleep --features freestanding --profile sleep`.
#![no_std]
#![no_main]

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("feature `freestanding` needs Linux on x86_64 or aarch64");

#[cfg(panic = "unwind")]
compile_error!("feature `freestanding` needs `--profile sleep` (panic = \"abort\")");

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[allow(
    unsafe_code,
    reason = "entry and system calls are instructions of the machine"
)]
mod arch;
mod install;
mod linux;
mod output;
mod sleep;
mod termination;

use core::ffi::{CStr, c_char};
use core::slice;

use kip_sleep::arguments::{self, Command};
use kip_sleep::failure::Failure;

use crate::linux::File;
use crate::output::Output;

/// What a panic would exit with; the library and the program have none that is known.
const PANIC_STATUS: u8 = 134;

/// Goes on where the architecture's entry has put the initial stack into a register.
///
/// # Safety
/// `stack` must be what the kernel gives a new process: the number of arguments, then that many pointers to
/// strings that end with NUL.
#[allow(
    unsafe_code,
    reason = "only here can the kernel's layout be given a type"
)]
unsafe extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: the caller's promise; the process has no other thread, and nobody writes to its arguments.
    let arguments: &[*const c_char] = unsafe { slice::from_raw_parts(stack.add(1).cast(), *stack) };
    let argument = |index: usize| {
        let text = *arguments.get(index)?;
        // SAFETY: the caller's promise, as above.
        Some(unsafe { CStr::from_ptr(text) })
    };
    linux::exit(match run([argument(1), argument(2), argument(3)]) {
        Ok(()) => 0,
        Err(failure) => report(&failure),
    })
}

/// Does what the arguments say.
fn run(arguments: [Option<&CStr>; 3]) -> Result<(), Failure<'_>> {
    match arguments::parse(arguments)? {
        Command::Sleep { time, linger } => sleep::sleep(time, linger),
        Command::Install(target) => install::install(target),
    }
}

/// Writes the failure to standard error; the result is the exit status.
// Not inlined, so that the buffer does not grow the stack of a sleeping process.
#[inline(never)]
fn report(failure: &Failure<'_>) -> u8 {
    let mut stderr = Output::new(File::STDERR);
    // Writing to memory cannot fail.
    let _ = failure.describe(&mut stderr);
    stderr.flush();
    failure.cause.exit_status()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    linux::exit(PANIC_STATUS)
}
