//! x86-64: entry, system call, and the five functions that the compiler may call unasked.

use core::arch::{asm, global_asm, naked_asm};
use core::mem::MaybeUninit;

/// What Kubernetes calls it: the value of the label `kubernetes.io/arch`.
pub(crate) const NAME: &str = "amd64";

/// Numbers of the system calls, `arch/x86/entry/syscalls/syscall_64.tbl`.
pub(crate) mod number {
    pub(crate) const READ: usize = 0;
    pub(crate) const WRITE: usize = 1;
    pub(crate) const CLOSE: usize = 3;
    pub(crate) const RT_SIGPROCMASK: usize = 14;
    pub(crate) const FCHMOD: usize = 91;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 128;
    pub(crate) const CLOCK_GETTIME: usize = 228;
    pub(crate) const STATFS: usize = 137;
    pub(crate) const EXIT_GROUP: usize = 231;
    pub(crate) const OPENAT: usize = 257;
    pub(crate) const UNLINKAT: usize = 263;
    pub(crate) const RENAMEAT: usize = 264;
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
    // rsp is aligned to 16 bytes here, as the ABI wants it before a call; rbp = 0 marks the outermost frame.
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "call {entry}", "ud2", entry = sym crate::entry)
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
    // SAFETY: rcx and r11 are all that the instruction itself changes; memory is not declared untouched.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") argument(0),
            in("rsi") argument(1),
            in("rdx") argument(2),
            in("r10") argument(3),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

// In assembly, for the compiler would turn a loop in Rust into a call of the very function. Each has a section
// of its own, so that the linker drops what nobody calls.
global_asm!(
    ".macro kip_function name",
    ".section .text.\\name,\"ax\",@progbits",
    ".globl \\name",
    ".type \\name,@function",
    "\\name:",
    ".endm",
    "kip_function memcpy",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "kip_function memmove",
    "mov rax, rdi",
    "mov rcx, rdx",
    "mov r8, rdi",
    "sub r8, rsi",
    "cmp r8, rdx",
    "jae 2f",
    // The target begins inside the source: from the end.
    "lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "2: rep movsb",
    "cld",
    "ret",
    "kip_function memset",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "kip_function memcmp",
    ".globl bcmp",
    "bcmp:",
    "mov rcx, rdx",
    "xor eax, eax",
    "test rcx, rcx",
    "jz 3f",
    "repe cmpsb",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub ecx, eax",
    "mov eax, ecx",
    "3: ret",
    "kip_function strlen",
    "xor eax, eax",
    "2: cmp byte ptr [rdi + rax], 0",
    "je 3f",
    "inc rax",
    "jmp 2b",
    "3: ret",
    ".purgem kip_function",
    ".text",
);
