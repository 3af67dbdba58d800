//! Running the program and looking at the process: what it waits for, its memory, its threads.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::panic, reason = "this is test code outside of a test function")]

use std::env;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

/// The program under test: this build's, or that which `KIP_SLEEP_PROGRAM` names, such as one for another processor.
pub(crate) static KIP_SLEEP: LazyLock<PathBuf> = LazyLock::new(|| {
    let other = env::var_os("KIP_SLEEP_PROGRAM");
    other.map_or_else(|| env!("CARGO_BIN_EXE_kip-sleep").into(), PathBuf::from)
});

/// What runs it: nothing, or the words of `KIP_SLEEP_RUNNER`, such as `/usr/bin/qemu-aarch64 -p 65536`.
static RUNNER: LazyLock<Vec<String>> = LazyLock::new(|| {
    let words = env::var("KIP_SLEEP_RUNNER").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
});

/// How long to wait for what should happen at once, on a machine that does much else.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A child process that does not outlive the test.
pub(crate) struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it runs in an emulator, which has signals, threads and memory of its own.
pub(crate) fn emulated() -> bool {
    !RUNNER.is_empty()
}

/// The words that start a program.
pub(crate) fn words(program: &Path) -> impl Iterator<Item = &Path> {
    RUNNER.iter().map(Path::new).chain([program])
}

/// A command in a process group of its own, with an environment of one short variable: the environment
/// lies on the stack, whose pages count as the process's.
pub(crate) fn command(program: &Path) -> Command {
    let mut words = words(program);
    let mut command = Command::new(words.next().expect("the program at least"));
    command
        .args(words)
        .env_clear()
        .env("PATH", "/bin")
        .stdin(Stdio::null())
        .process_group(0);
    command
}

impl Sleeper {
    /// Starts it and waits until it sleeps.
    pub(crate) fn start(command: &mut Command) -> Self {
        let sleeper = Self(command.spawn().expect("it starts"));
        sleeper.wait_until("waits for signals", || sleeper.waits());
        sleeper
    }

    /// Starts the program under test, which sleeps as long as `duration` says.
    pub(crate) fn of(duration: &str) -> Self {
        Self::start(command(&KIP_SLEEP).arg(duration))
    }

    /// Starts it as PID 1 of a new PID namespace, which takes root.
    pub(crate) fn start_as_pid_1(command: &mut Command) -> Self {
        // The namespace is for the children of one thread, so that it does not hold for the other tests.
        let spawned = thread::scope(|scope| {
            let spawn = || {
                unshare_pid_namespace().expect(
                    "a new PID namespace needs root (CAP_SYS_ADMIN): run this test as root",
                );
                command.spawn().expect("it starts")
            };
            scope
                .spawn(spawn)
                .join()
                .expect("the thread does not panic")
        });
        let sleeper = Self(spawned);
        let pids = sleeper.proc("status");
        let pids = field(&pids, "NSpid:");
        assert_eq!(
            pids.split_whitespace().last(),
            Some("1"),
            "not PID 1: {pids}"
        );
        sleeper.wait_until("waits for signals", || sleeper.waits());
        sleeper
    }

    pub(crate) fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.0.id());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Waits until the condition holds.
    pub(crate) fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(
                start.elapsed() < DEADLINE,
                "not after {DEADLINE:?}: {what}\n{}",
                self.proc("status")
            );
            thread::yield_now();
        }
    }

    pub(crate) fn state(&self) -> char {
        field(&self.proc("status"), "State:")
            .trim()
            .chars()
            .next()
            .expect("a state")
    }

    /// Whether it is blocked in `rt_sigtimedwait` with no signal left to look at.
    pub(crate) fn waits(&self) -> bool {
        // First the signals: had one come that ends it, it would never again be seen to wait after this.
        let status = self.proc("status");
        let pending = ["SigPnd:", "ShdPnd:"]
            .iter()
            .any(|name| field(&status, name).trim().contains(|c| c != '0'));
        !pending && self.state() == 'S' && self.timeout().is_some()
    }

    /// What `rt_sigtimedwait`, if it is blocked there, was asked to wait: read from the process's registers
    /// and memory.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let call = self.proc("syscall");
        let mut words = call.split_whitespace();
        let number: i64 = words.next()?.parse().ok()?;
        if number != libc::SYS_rt_sigtimedwait {
            return None;
        }
        let address = u64::from_str_radix(words.nth(2)?.strip_prefix("0x")?, 16).ok()?;
        let memory = fs::File::open(format!("/proc/{}/mem", self.0.id())).ok()?;
        let mut time = [0; 16];
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut time, address).ok()?;
        let word = |at: usize| u64::from_ne_bytes(time[at..at + 8].try_into().expect("8 bytes"));
        Some(Duration::new(word(0), u32::try_from(word(8)).ok()?))
    }

    pub(crate) fn signal(&self, number: i32) {
        let pid = i32::try_from(self.0.id()).expect("a PID");
        // SAFETY: takes no pointer; the child is not reaped yet, so that the PID is its own.
        #[allow(unsafe_code, reason = "the standard library sends no signals")]
        let result = unsafe { libc::kill(pid, number) };
        assert_eq!(result, 0, "signal {number}: {}", io::Error::last_os_error());
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return status;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "still there after {DEADLINE:?}\n{}",
                self.proc("status")
            );
            thread::yield_now();
        }
    }

    /// Sends the signal; the time until the process is gone.
    pub(crate) fn time_to_end_after(mut self, signal: i32) -> Duration {
        let end = pidfd(self.0.id());
        let start = Instant::now();
        self.signal(signal);
        wait_readable(&end);
        let elapsed = start.elapsed();
        let status = self.0.wait().expect("it is our child");
        assert!(status.success(), "{status}");
        elapsed
    }
}

/// The rest of the line of a `/proc` file that begins with `name`.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[allow(unsafe_code, reason = "the standard library has no namespaces")]
fn unshare_pid_namespace() -> io::Result<()> {
    // SAFETY: takes no pointer, and changes nothing but where the thread's children are born.
    match unsafe { libc::unshare(libc::CLONE_NEWPID) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A descriptor that becomes readable when the process ends.
#[allow(unsafe_code, reason = "the standard library has no stable pidfd")]
fn pidfd(pid: u32) -> OwnedFd {
    // SAFETY: takes no pointer.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    assert!(
        descriptor >= 0,
        "pidfd_open: {}",
        io::Error::last_os_error()
    );
    let descriptor = i32::try_from(descriptor).expect("a descriptor is an int");
    // SAFETY: it is new and nobody else's.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

#[allow(unsafe_code, reason = "the standard library has no poll")]
fn wait_readable(descriptor: &OwnedFd) {
    let mut poll = libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let milliseconds = i32::try_from(DEADLINE.as_millis()).expect("seconds");
    // SAFETY: one `pollfd`, which lives through the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    assert_eq!(ready, 1, "still there after {DEADLINE:?}");
}

/// Makes the command start with this umask.
#[allow(unsafe_code, reason = "code between fork and exec")]
pub(crate) fn with_umask(command: &mut Command, umask: libc::mode_t) -> &mut Command {
    // SAFETY: umask is async-signal-safe and cannot fail.
    unsafe {
        command.pre_exec(move || {
            libc::umask(umask);
            Ok(())
        })
    }
}

/// Makes the command start with no right to write more than so many bytes into a file; with the signal that says so
/// ignored, the write fails with `EFBIG` instead.
#[allow(unsafe_code, reason = "code between fork and exec")]
pub(crate) fn with_file_limit(command: &mut Command, bytes: u64, ignore: bool) -> &mut Command {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: both calls are async-signal-safe; the limit was moved into the closure.
    unsafe {
        command.pre_exec(move || {
            if ignore {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            }
            match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })
    }
}

/// A mount that one command sees and nobody else.
pub(crate) struct Mount {
    from: CString,
    at: CString,
    flags: libc::c_ulong,
    options: &'static CStr,
}

impl Mount {
    /// An empty file system in memory.
    pub(crate) fn memory(at: &Path, flags: libc::c_ulong, options: &'static CStr) -> Self {
        Self::new(Path::new("tmpfs"), at, flags, options)
    }

    /// What is at another path.
    pub(crate) fn bind(from: &Path, at: &Path) -> Self {
        Self::new(from, at, libc::MS_BIND, c"")
    }

    /// What [`Mount::bind`] has brought, now not to be written.
    pub(crate) fn bound_read_only(at: &Path) -> Self {
        let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
        Self::new(at, at, flags, c"")
    }

    fn new(from: &Path, at: &Path, flags: libc::c_ulong, options: &'static CStr) -> Self {
        let text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes());
        Self {
            from: text(from).expect("no NUL"),
            at: text(at).expect("no NUL"),
            flags,
            options,
        }
    }
}

/// Makes the command see these mounts, which takes root.
#[allow(unsafe_code, reason = "code between fork and exec")]
pub(crate) fn with_mounts(command: &mut Command, mounts: Vec<Mount>) -> &mut Command {
    let done = |result| match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: all are system calls; the strings were made before the fork and live in the closure. The new mount
    // namespace keeps the mounts from everybody else.
    unsafe {
        command.pre_exec(move || {
            let none = std::ptr::null();
            done(libc::unshare(libc::CLONE_NEWNS))?;
            done(libc::mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REC | libc::MS_PRIVATE,
                none.cast(),
            ))?;
            mounts.iter().try_for_each(|mount| {
                done(libc::mount(
                    mount.from.as_ptr(),
                    mount.at.as_ptr(),
                    c"tmpfs".as_ptr(),
                    mount.flags,
                    mount.options.as_ptr().cast(),
                ))
            })
        })
    }
}

/// Makes one system call fail with `ENOSYS` for the command, as an old kernel or a sandbox does.
#[allow(unsafe_code, reason = "code between fork and exec")]
pub(crate) fn without_syscall(command: &mut Command, number: libc::c_long) -> &mut Command {
    let statement = |code: u32, value: u32| libc::sock_filter {
        code: u16::try_from(code).expect("16 bits"),
        jt: 0,
        jf: 0,
        k: value,
    };
    let refusal = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let mut filter = [
        // The call's number is what the data begins with.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            jf: 1,
            ..statement(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                u32::try_from(number).expect("a number of a call"),
            )
        },
        statement(libc::BPF_RET | libc::BPF_K, refusal),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    // SAFETY: both calls are async-signal-safe; the filter was moved into the closure, and the kernel copies it.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog {
                len: 4,
                filter: filter.as_mut_ptr(),
            };
            let done = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0;
            done.then_some(()).ok_or_else(io::Error::last_os_error)
        })
    }
}
