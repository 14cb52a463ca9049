//! What signals do to this process.

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use crate::sys::Sys;

/// What a signal did before it was made to do its default, and does again when
/// this value is dropped.
#[must_use]
pub(crate) struct Disposition {
    signal: libc::c_int,
    before: libc::sighandler_t,
}

impl Disposition {
    /// Makes the signal do its default.
    pub(crate) fn default_for(signal: libc::c_int) -> Disposition {
        // SAFETY: SIG_DFL runs none of our code.
        let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
        Disposition { signal, before }
    }
}

impl Drop for Disposition {
    fn drop(&mut self) {
        if self.before != libc::SIG_ERR {
            // SAFETY: it was this process's own disposition.
            unsafe { libc::signal(self.signal, self.before) };
        }
    }
}

/// Whether the signal is ignored, as a caller may hand it down through exec.
pub(crate) fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: sigaction is plain data that the call fills in.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is set, and the other pointer is to a live value.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } == 0;
    known && action.sa_sigaction == libc::SIG_IGN
}

/// SIGPIPE as it is in any program but one in Rust, whose runtime ignores it.
pub(crate) fn default_pipe() {
    // SAFETY: SIG_DFL runs none of our code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// SIGPIPE is no end, but an error of whoever writes.
pub(crate) fn ignore_pipe() {
    // SAFETY: SIG_IGN runs none of our code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Default action for every signal, none blocked.
pub(crate) fn reset_all() -> Sys<()> {
    default_all();
    unblock_all()
}

/// Default action for every signal.
pub(crate) fn default_all() {
    /// The kernel's sigaction of every architecture, in zeros: SIG_DFL, no
    /// flags, an empty mask of 64 bits.
    const DEFAULT: [u64; 4] = [0; 4];
    const MASK_BYTES: usize = 8;
    let default = DEFAULT.as_ptr();
    for signal in 1..=64 {
        // Raw, because the C library keeps two signals to itself, which a
        // caller may have ignored all the same. Refused for KILL and STOP.
        // SAFETY: the pointer is to a sigaction for the call's time.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default, 0, MASK_BYTES) };
    }
}

/// No signal is blocked.
pub(crate) fn unblock_all() -> Sys<()> {
    let none = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&none), None)
}

/// Waits for a signal of `set`: its number, and whether the kernel sent it.
pub(crate) fn take(set: &SigSet) -> Option<(libc::c_int, bool)> {
    // SAFETY: siginfo_t is plain data that the call fills in.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values for the time of the call.
    let signal = unsafe { libc::sigwaitinfo(set.as_ref(), &raw mut info) };
    (signal > 0).then_some((signal, info.si_code == libc::SI_KERNEL))
}
