//! Processes: names, pidfds, exec, exit and memory, in forms that neither allocate
//! nor panic.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::sys::{Sys, cvt, cvt_fd};

/// Sets the name that ps and pgrep see, at most 15 bytes.
pub(crate) fn rename(name: &CStr) {
    // A name is a comfort: nothing depends on this.
    // SAFETY: the name is NUL-terminated.
    let _ = unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Puts this name, as far as there is room, where the command line of this process
/// has our program's, by which pidof(8) and `pgrep -f` find it.
pub(crate) fn rename_in_command_line(name: &CStr) {
    unsafe extern "C" {
        /// program_invocation_name(3): the caller's own first argument.
        static program_invocation_name: *mut libc::c_char;
    }
    // SAFETY: it is a NUL-terminated string of this process's own memory, which may be
    // written to, execve(2); nobody else has a reference to it, for copies are what
    // std hands out. No more is written than its length, which leaves its NUL.
    unsafe {
        let at = program_invocation_name;
        if !at.is_null() {
            let room = libc::strlen(at);
            at.write_bytes(0, room);
            at.copy_from(name.as_ptr(), room.min(name.count_bytes()));
        }
    }
}

/// Another name for as long as this value lives, for processes made meanwhile.
pub(crate) struct Renamed([u8; 16]);

impl Renamed {
    pub(crate) fn to(name: &CStr) -> Renamed {
        let mut before = [0; 16];
        // SAFETY: the kernel writes at most 16 bytes, the last of them NUL.
        unsafe { libc::prctl(libc::PR_GET_NAME, before.as_mut_ptr()) };
        rename(name);
        Renamed(before)
    }
}

impl Drop for Renamed {
    fn drop(&mut self) {
        if let Ok(name) = CStr::from_bytes_until_nul(&self.0) {
            rename(name);
        }
    }
}

/// Asks the kernel to kill us when the thread that made us ends.
pub(crate) fn die_with_parent() -> Sys<()> {
    // SAFETY: integers only.
    cvt(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }.into()).map(drop)
}

/// Takes that back.
pub(crate) fn outlive_parent() -> Sys<()> {
    // SAFETY: integers only.
    cvt(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) }.into()).map(drop)
}

/// Nobody but root may trace us or see our descriptors: until the next change of
/// an effective id, or of capabilities to any but fewer of the same user namespace.
/// From then on the sysctl fs.suid_dumpable decides, commit_creds() in
/// kernel/cred.c: they may where it is 1, which is not its default.
pub(crate) fn forbid_tracing() -> Sys<()> {
    // SAFETY: integers only.
    cvt(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }.into()).map(drop)
}

/// Who has our ids may trace us, and our files under /proc are ours again.
pub(crate) fn allow_tracing() -> Sys<()> {
    // SAFETY: integers only.
    cvt(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }.into()).map(drop)
}

/// A session keyring of our own, keyctl(2). A kernel without keys has none to
/// share; and a filter that refuses us, inside another container, is on all
/// that we start as well.
pub(crate) fn new_session_keyring() -> Sys<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    match cvt(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0) }) {
        Err(Errno::ENOSYS) => Ok(()),
        Err(Errno::EPERM) if filtered() => Ok(()),
        other => other.map(drop),
    }
}

/// Whether a filter of system calls is on this process.
pub(crate) fn filtered() -> bool {
    const SECCOMP_MODE_FILTER: libc::c_int = 2;
    // SAFETY: integers only.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP) == SECCOMP_MODE_FILTER }
}

/// Sends a signal through a pidfd: it reaches that process or none.
pub(crate) fn signal(pidfd: BorrowedFd, signal: libc::c_int) -> Sys<()> {
    // SAFETY: integers, and no siginfo.
    cvt(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0, 0) })
        .map(drop)
}

/// Whether [`signal`] works at all. A guard that cannot kill is none.
pub(crate) fn can_signal() -> Sys<()> {
    if crate::sys::is_missing(libc::SYS_pidfd_send_signal) {
        return Err(Errno::ENOSYS);
    }
    Ok(())
}

/// SIGKILL through a pidfd.
pub(crate) fn kill(pidfd: BorrowedFd) -> Sys<()> {
    signal(pidfd, Signal::SIGKILL as libc::c_int)
}

/// A pidfd of a process that is not our child, pidfd_open(2).
pub(crate) fn pidfd_open(pid: libc::pid_t) -> Sys<OwnedFd> {
    // SAFETY: integers only; the call returns a new descriptor.
    unsafe { cvt_fd(libc::syscall(libc::SYS_pidfd_open, pid, 0)) }
}

/// execve(2): returns only to say why not.
///
/// # Safety
/// `argv` and `envp` must point to null-terminated arrays of NUL-terminated
/// strings.
pub(crate) unsafe fn exec(
    path: &CStr,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
) -> Errno {
    // SAFETY: the caller vouches for the arrays.
    unsafe { libc::execve(path.as_ptr(), argv, envp) };
    Errno::last()
}

/// Ends this process at once: no handler, no buffer, no destructor.
pub(crate) fn exit(status: libc::c_int) -> ! {
    // SAFETY: _exit takes any status and touches nothing of ours.
    unsafe { libc::_exit(status) }
}

/// Waits for a child of any kind and returns its wait status.
pub(crate) fn wait(pid: libc::pid_t) -> Sys<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to an int for the time of the call.
        match cvt(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }.into()) {
            Err(Errno::EINTR) => {}
            other => return other.map(|_| status),
        }
    }
}

/// The clocks that a time namespace offsets, in whole seconds:
/// (monotonic, boottime).
pub(crate) fn clocks() -> Sys<(i64, i64)> {
    let read = |clock| {
        // SAFETY: timespec is plain data that the call fills in.
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a timespec for the time of the call.
        cvt(unsafe { libc::clock_gettime(clock, &raw mut time) }.into()).map(|_| time.tv_sec)
    };
    Ok((read(libc::CLOCK_MONOTONIC)?, read(libc::CLOCK_BOOTTIME)?))
}

/// Brings the interface lo of this network namespace up, netdevice(7).
pub(crate) fn loopback_up() -> Sys<()> {
    // SAFETY: integers only; the call returns a new descriptor.
    let socket = unsafe {
        cvt_fd(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into())
    }?;
    // SAFETY: ifreq is plain data; zeros are an empty request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the pointer is to an ifreq for the time of the call.
    cvt(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into())
        .map(drop)
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn send(pid: libc::pid_t, signal: libc::c_int) {
    // ESRCH alone is possible, and then there is nobody to tell.
    // SAFETY: integers only.
    unsafe { libc::kill(pid, signal) };
}

/// Waits for a child that has ended, if one has: its id and wait status.
pub(crate) fn reap_any() -> Option<(libc::pid_t, libc::c_int)> {
    let mut status = 0;
    // SAFETY: the pointer is to an int for the time of the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
    (pid > 0).then_some((pid, status))
}

/// Gives back what deeper calls than this have left on the stack: to a process
/// that sleeps for the rest of its life it is most of its memory.
// Inlined, it would have its caller's frame, which may reach further down than
// a page.
#[inline(never)]
pub(crate) fn forget_deep_stack() {
    const PAGE: usize = 4096;
    const DEPTH: usize = 128 * 1024;
    let here = 0_u8;
    // A page down, where neither this frame nor the call below reaches.
    let end = (std::ptr::from_ref(&here).addr() & !(PAGE - 1)).saturating_sub(PAGE);
    let start = std::ptr::without_provenance_mut(end.saturating_sub(DEPTH));
    // SAFETY: this frame, which is its own and holds a few words, is the deepest
    // but for madvise's, and both end within the page left out. Only memory below
    // every live frame is affected, then, and it holds no value that a later call
    // may expect. Where no stack is mapped yet, nothing is done there.
    unsafe { libc::madvise(start, DEPTH, libc::MADV_DONTNEED) };
}

/// The same for the heap of a process that will never use it again, allocating
/// included. A static glibc keeps a thread's own variables at its beginning, and
/// they stay; what another C library has there is not known, and stays too.
pub(crate) fn forget_heap() {
    const PAGE: usize = 4096;
    const MOST: usize = 16 << 20;
    if !cfg!(all(target_env = "gnu", target_feature = "crt-static")) {
        return;
    }
    // SAFETY: errno's address is that of a live variable; sbrk moves nothing.
    let (own, end) = unsafe { (libc::__errno_location().addr(), libc::sbrk(0).addr()) };
    // Two pages are more than the variables and what describes the thread.
    let start = (own | (PAGE - 1)) + 1 + PAGE;
    if own < end && end - own < MOST && start < end {
        // SAFETY: the range is heap alone, because a static glibc takes the room of
        // errno from the program's break, which grows from there to end without a
        // gap, and the caller uses none of what is behind it.
        unsafe {
            let start = std::ptr::without_provenance_mut(start);
            libc::madvise(start, end - start.addr(), libc::MADV_DONTNEED)
        };
    }
}
