//! The system calls that the program makes, as safe functions.
#![allow(
    unsafe_code,
    reason = "without libc the system calls are made here; nothing outside can misuse them"
)]

use core::ffi::CStr;
use core::mem::MaybeUninit;

use kip_sleep::errno::Errno;

use crate::arch::{number, syscall};

/// Paths are relative to the current folder.
const AT_FDCWD: usize = (-100isize).cast_unsigned();
const O_WRONLY: usize = 0o1;
const O_CREAT: usize = 0o100;
const O_EXCL: usize = 0o200;
const CLOCK_MONOTONIC: usize = 1;
const SIG_SETMASK: usize = 2;
/// Bytes of the kernel's signal set.
const SIGNAL_SET_SIZE: usize = size_of::<SignalSet>();
const SECOND: u64 = 1_000_000_000;

/// Bit n - 1 stands for signal n.
pub(crate) type SignalSet = u64;

/// Seconds and nanoseconds, as the kernel has them on 64-bit machines.
#[repr(C)]
struct Timespec {
    seconds: u64,
    nanoseconds: u64,
}

/// The kernel's `struct statfs` of 64-bit machines, as far as it is read.
#[repr(C)]
struct FileSystem {
    _kind_and_block_size: [u64; 2],
    blocks: u64,
    _free_and_names: [u64; 6],
    /// The unit of `blocks`, whatever the block size.
    fragment_size: u64,
    _flags_and_spare: [u64; 5],
}

/// An open file.
pub(crate) struct File(u32);

#[expect(
    clippy::cast_possible_truncation,
    reason = "error numbers are below 4096"
)]
fn checked(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno(result.unsigned_abs() as u16))
}

/// The bytes up to the first NUL; none if there is no NUL at the very end.
pub(crate) fn c_string(bytes: &[u8]) -> &CStr {
    if bytes.last() != Some(&0) {
        return c"";
    }
    // SAFETY: there is a NUL within the bytes, and they live as long as the result.
    unsafe { CStr::from_ptr(bytes.as_ptr().cast()) }
}

fn address<T: ?Sized>(pointer: *const T) -> usize {
    pointer.cast::<u8>().expose_provenance()
}

/// Tries again while a signal interrupts.
fn uninterrupted(mut call: impl FnMut() -> isize) -> Result<usize, Errno> {
    loop {
        match checked(call()) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Ends the process.
pub(crate) fn exit(status: u8) -> ! {
    loop {
        // SAFETY: takes no pointer. It does not return; were it to, there would be nothing else to do.
        unsafe { syscall(number::EXIT_GROUP, [usize::from(status)]) };
    }
}

/// Nanoseconds since some moment in the past, not counting suspension: Go's clock for sleeping.
pub(crate) fn monotonic_now() -> u64 {
    let mut now = Timespec {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: the kernel writes one `Timespec`. It cannot fail for this clock and a valid pointer.
    unsafe {
        syscall(
            number::CLOCK_GETTIME,
            [CLOCK_MONOTONIC, address(&raw mut now)],
        )
    };
    now.seconds * SECOND + now.nanoseconds
}

/// Blocks the signals of the set and no others.
pub(crate) fn block_signals(set: SignalSet) {
    // SAFETY: the kernel reads one set. It cannot fail for these arguments.
    unsafe {
        syscall(
            number::RT_SIGPROCMASK,
            [SIG_SETMASK, address(&raw const set), 0, SIGNAL_SET_SIZE],
        )
    };
}

/// Waits until one of the blocked signals of the set arrives, or the time (in nanoseconds) is over (`EAGAIN`).
pub(crate) fn wait_for_signal(set: SignalSet, nanoseconds: u64) -> Result<(), Errno> {
    let time = Timespec {
        seconds: nanoseconds / SECOND,
        nanoseconds: nanoseconds % SECOND,
    };
    let arguments = [
        address(&raw const set),
        0,
        address(&raw const time),
        SIGNAL_SET_SIZE,
    ];
    // SAFETY: the kernel reads one set and one `Timespec`; it writes nothing, for the second pointer is null.
    checked(unsafe { syscall(number::RT_SIGTIMEDWAIT, arguments) }).map(drop)
}

/// Deletes a file.
pub(crate) fn unlink(path: &CStr) -> Result<(), Errno> {
    let arguments = [AT_FDCWD, address(path.as_ptr()), 0];
    // SAFETY: the kernel reads a string that ends with NUL.
    checked(unsafe { syscall(number::UNLINKAT, arguments) }).map(drop)
}

/// Gives a file another name; a file that has that name is replaced.
pub(crate) fn rename(from: &CStr, to: &CStr) -> Result<(), Errno> {
    let arguments = [
        AT_FDCWD,
        address(from.as_ptr()),
        AT_FDCWD,
        address(to.as_ptr()),
    ];
    // SAFETY: the kernel reads two strings that end with NUL.
    checked(unsafe { syscall(number::RENAMEAT, arguments) }).map(drop)
}

/// The size in bytes of the file system on which a file lies.
pub(crate) fn disk(path: &CStr) -> Result<u64, Errno> {
    let mut found = MaybeUninit::<FileSystem>::uninit();
    let arguments = [address(path.as_ptr()), address(found.as_mut_ptr())];
    // SAFETY: the kernel reads a string that ends with NUL, and writes one `FileSystem`.
    checked(unsafe { syscall(number::STATFS, arguments) })?;
    // SAFETY: the call has succeeded, so all of it is written.
    let found = unsafe { found.assume_init() };
    Ok(found.blocks.wrapping_mul(found.fragment_size))
}

impl File {
    /// Standard error.
    pub(crate) const STDERR: Self = Self(2);

    /// Opens a file to read it.
    pub(crate) fn open(path: &CStr) -> Result<Self, Errno> {
        Self::openat(path, 0)
    }

    /// Makes a new file that nobody may touch yet, and opens it to write it.
    pub(crate) fn create_new(path: &CStr) -> Result<Self, Errno> {
        Self::openat(path, O_WRONLY | O_CREAT | O_EXCL)
    }

    /// Opens a file that is there to write it.
    pub(crate) fn open_existing(path: &CStr) -> Result<Self, Errno> {
        Self::openat(path, O_WRONLY)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel numbers files by an int"
    )]
    fn openat(path: &CStr, flags: usize) -> Result<Self, Errno> {
        let arguments = [AT_FDCWD, address(path.as_ptr()), flags, 0];
        // SAFETY: the kernel reads a string that ends with NUL.
        let file = uninterrupted(|| unsafe { syscall(number::OPENAT, arguments) })?;
        Ok(Self(file as u32))
    }

    /// Reads at most a buffer's length; nothing at the end of the file.
    pub(crate) fn read<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        let arguments = [self.0 as usize, address(&raw mut *buffer), buffer.len()];
        // SAFETY: the kernel writes at most the buffer's length into it.
        let length = uninterrupted(|| unsafe { syscall(number::READ, arguments) })?;
        Ok(buffer.get(..length).unwrap_or_default())
    }

    /// Writes everything.
    pub(crate) fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let arguments = [self.0 as usize, address(&raw const *bytes), bytes.len()];
            // SAFETY: the kernel reads at most the length of the bytes.
            let written = uninterrupted(|| unsafe { syscall(number::WRITE, arguments) })?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sets the permissions, which the umask has no say in.
    pub(crate) fn set_mode(&self, mode: u16) -> Result<(), Errno> {
        // SAFETY: takes no pointer.
        checked(unsafe { syscall(number::FCHMOD, [self.0 as usize, usize::from(mode)]) }).map(drop)
    }

    /// Closes the file; some file systems report only now that it could not be written.
    pub(crate) fn close(self) -> Result<(), Errno> {
        // SAFETY: takes no pointer, and the number is not used again.
        checked(unsafe { syscall(number::CLOSE, [self.0 as usize]) }).map(drop)
    }
}
