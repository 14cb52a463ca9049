//! clone3(2), and clone(2) where it is missing, as fork with flags: the child
//! continues in a copy of our memory.

use std::os::fd::{FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Sys;

/// Which of the two returns of a fork this is.
pub(crate) enum Fork {
    /// In the new process.
    Child,
    /// In the old one: the new process, and a pidfd of it.
    Parent { pid: libc::pid_t, pidfd: OwnedFd },
}

/// Forks with `flags`; the parent gets `signal` at the child's end, 0 for none.
///
/// # Safety
/// The caller must be single-threaded, or the child must call nothing but
/// async-signal-safe functions until it execs or exits (fork(2), "NOTES").
pub(crate) unsafe fn fork(flags: CloneFlags, signal: libc::c_int) -> Sys<Fork> {
    let mut pidfd: libc::c_int = -1;
    let flags = flags.bits() | libc::CLONE_PIDFD;
    // SAFETY: an all-zero clone_args asks for nothing.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(flags.cast_unsigned());
    args.pidfd = std::ptr::from_mut(&mut pidfd).addr() as u64;
    args.exit_signal = u64::from(signal.cast_unsigned());
    // SAFETY: args is a clone_args of the size given and outlives the call; a
    // null stack without CLONE_VM makes the child continue on its copy of ours.
    let mut result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    };
    if result < 0 && Errno::last() == Errno::ENOSYS {
        let flags = libc::c_long::from(flags | signal);
        // SAFETY: as above; clone's pidfd goes where its parent_tid would.
        // Order of the last arguments differs between architectures, but they
        // are unused.
        result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    }
    match super::cvt(result)? {
        0 => Ok(Fork::Child),
        pid => {
            // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor of
            // ours there, close-on-exec.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::ERANGE)?;
            Ok(Fork::Parent { pid, pidfd })
        }
    }
}

/// Makes a process in a new user namespace that holds it and does nothing. It
/// shares our memory, because a copy would be all of its cost, and ends with
/// us. Its stack is never given back: an exec follows.
pub(crate) fn hold_user_namespace() -> Sys<(libc::pid_t, OwnedFd)> {
    /// Three system calls need little.
    const STACK: usize = 16 * 1024;
    extern "C" fn hold(parent: *mut libc::c_void) -> libc::c_int {
        if super::process::die_with_parent().is_err()
            || nix::unistd::getppid().as_raw() as usize != parent.addr()
        {
            return 1;
        }
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    }
    let mut pidfd: libc::c_int = -1;
    let parent = nix::unistd::getpid().as_raw() as usize;
    let top = Box::leak(vec![0_u128; STACK / 16].into_boxed_slice())
        .as_mut_ptr_range()
        .end;
    let flags = libc::CLONE_NEWUSER | libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the stack is the child's alone, aligned, and lives for ever. The
    // child touches no memory but that; it shares our errno, which is written
    // only where it gives up, and which we read only after a failure of ours.
    let pid = super::cvt(
        unsafe {
            libc::clone(
                hold,
                top.cast(),
                flags,
                std::ptr::without_provenance_mut(parent),
                &raw mut pidfd,
            )
        }
        .into(),
    )?;
    // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor of ours there.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((
        libc::pid_t::try_from(pid).map_err(|_| Errno::ERANGE)?,
        pidfd,
    ))
}
