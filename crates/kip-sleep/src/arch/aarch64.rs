//! arm64: entry, system call, and the five functions that the compiler may call unasked.

use core::arch::{asm, global_asm, naked_asm};
use core::mem::MaybeUninit;

/// What Kubernetes calls it: the value of the label `kubernetes.io/arch`.
pub(crate) const NAME: &str = "arm64";

/// Numbers of the system calls, `include/uapi/asm-generic/unistd.h`.
pub(crate) mod number {
    pub(crate) const UNLINKAT: usize = 35;
    pub(crate) const RENAMEAT: usize = 38;
    pub(crate) const STATFS: usize = 43;
    pub(crate) const FCHMOD: usize = 52;
    pub(crate) const OPENAT: usize = 56;
    pub(crate) const CLOSE: usize = 57;
    pub(crate) const READ: usize = 63;
    pub(crate) const WRITE: usize = 64;
    pub(crate) const EXIT_GROUP: usize = 94;
    pub(crate) const CLOCK_GETTIME: usize = 113;
    pub(crate) const RT_SIGPROCMASK: usize = 135;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 137;
}

/// Where the kernel starts the program: hands the initial stack (argc, argv, …) to [`crate::entry`].
///
/// Not called `_start`, for a musl target links a start file with that name.
///
/// # Safety
/// Only the kernel enters here, by the program's ELF header.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn kip_sleep_start() -> ! {
    // sp is always aligned to 16 bytes; frame pointer and link register 0 mark the outermost frame.
    naked_asm!("mov x29, xzr", "mov x30, xzr", "mov x0, sp", "b {entry}", entry = sym crate::entry)
}

/// Makes a system call with its arguments, at most four; the result is negative for an error.
///
/// # Safety
/// The arguments must be what the call takes; pointers must be valid for what the kernel does with them.
#[inline]
pub(crate) unsafe fn syscall<const N: usize>(number: usize, arguments: [usize; N]) -> isize {
    const { assert!(N <= 4) };
    // What a call does not take is left as it is, which costs no instruction.
    let argument = |index| match arguments.get(index) {
        Some(argument) => MaybeUninit::new(*argument),
        None => MaybeUninit::uninit(),
    };
    let result;
    // SAFETY: the kernel keeps every register but x0; memory is not declared untouched.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") argument(0) => result,
            in("x1") argument(1),
            in("x2") argument(2),
            in("x3") argument(3),
            options(nostack),
        );
    }
    result
}

// In assembly, for the compiler would turn a loop in Rust into a call of the very function. Each has a section
// of its own, so that the linker drops what nobody calls.
global_asm!(
    ".macro kip_function name",
    ".section .text.\\name,\"ax\",%progbits",
    ".p2align 2",
    ".globl \\name",
    ".type \\name,%function",
    "\\name:",
    ".endm",
    "kip_function memcpy",
    "mov x3, xzr",
    "2: cmp x3, x2",
    "b.eq 3f",
    "ldrb w4, [x1, x3]",
    "strb w4, [x0, x3]",
    "add x3, x3, #1",
    "b 2b",
    "3: ret",
    "kip_function memmove",
    "sub x3, x0, x1",
    "cmp x3, x2",
    "b.lo 4f",
    "mov x3, xzr",
    "2: cmp x3, x2",
    "b.eq 3f",
    "ldrb w4, [x1, x3]",
    "strb w4, [x0, x3]",
    "add x3, x3, #1",
    "b 2b",
    "3: ret",
    // The target begins inside the source: from the end.
    "4: cbz x2, 3b",
    "sub x2, x2, #1",
    "ldrb w4, [x1, x2]",
    "strb w4, [x0, x2]",
    "b 4b",
    "kip_function memset",
    "mov x3, xzr",
    "2: cmp x3, x2",
    "b.eq 3f",
    "strb w1, [x0, x3]",
    "add x3, x3, #1",
    "b 2b",
    "3: ret",
    "kip_function memcmp",
    ".globl bcmp",
    "bcmp:",
    "mov x3, xzr",
    "2: cmp x3, x2",
    "b.eq 3f",
    "ldrb w4, [x0, x3]",
    "ldrb w5, [x1, x3]",
    "add x3, x3, #1",
    "cmp w4, w5",
    "b.eq 2b",
    "sub w0, w4, w5",
    "ret",
    "3: mov w0, wzr",
    "ret",
    "kip_function strlen",
    "mov x1, x0",
    "mov x0, xzr",
    "2: ldrb w2, [x1, x0]",
    "cbz w2, 3f",
    "add x0, x0, #1",
    "b 2b",
    "3: ret",
    ".purgem kip_function",
    ".text",
);
