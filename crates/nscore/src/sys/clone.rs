//! clone3(2), and clone(2) where it is missing, as fork with flags: the child
//! continues in a copy of our memory.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::unistd;

use crate::sys::{Sys, cgroup};

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
/// This process must have one thread. Another could hold a lock, the allocator's
/// for one, that nobody would ever release in the child (fork(2), "NOTES"); where
/// there is none the child may do all that its parent may. This crate makes no
/// thread, and what leads here is for processes of one: [`run`](fn@crate::run),
/// [`Join::run`](crate::Join::run) and [`Pseudo::exec`](crate::Pseudo::exec).
pub(crate) unsafe fn fork(flags: CloneFlags, signal: libc::c_int) -> Sys<Fork> {
    // SAFETY: the caller's own promise.
    unsafe { fork_into(None, flags, signal) }
}

/// [`fork`]s a process that leads this life and ends with the status that comes of it.
///
/// # Safety
/// That of [`fork`].
pub(crate) unsafe fn fork_to(
    signal: libc::c_int,
    life: impl FnOnce() -> libc::c_int,
) -> Sys<(libc::pid_t, OwnedFd)> {
    // SAFETY: the caller's own promise.
    match unsafe { fork(CloneFlags::empty(), signal) }? {
        Fork::Child => crate::sys::process::exit(life()),
        Fork::Parent { pid, pidfd } => Ok((pid, pidfd)),
    }
}

/// [`fork`] into this directory of cgroup v2, where one is given: the child is
/// never anywhere else, or is not made.
///
/// # Safety
/// That of [`fork`].
pub(crate) unsafe fn fork_into(
    cgroup: Option<BorrowedFd>,
    flags: CloneFlags,
    signal: libc::c_int,
) -> Sys<Fork> {
    let mut pidfd: libc::c_int = -1;
    let flags = flags.bits() | libc::CLONE_PIDFD;
    // SAFETY: an all-zero clone_args asks for nothing.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(flags.cast_unsigned());
    args.pidfd = std::ptr::from_mut(&mut pidfd).addr() as u64;
    args.exit_signal = u64::from(signal.cast_unsigned());
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        // A descriptor in use is never negative.
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    let size = size_of::<libc::clone_args>();
    // SAFETY: args is a clone_args of the size given and outlives the call; a
    // null stack without CLONE_VM makes the child continue on its copy of ours.
    let mut result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size) };
    let old = result < 0 && Errno::last() == Errno::ENOSYS;
    let gate = match cgroup {
        // Opened here: whoever opens it is who has to have the right.
        Some(cgroup) if old => Some((cgroup::door(cgroup)?, unistd::pipe2(OFlag::O_CLOEXEC)?)),
        _ => None,
    };
    if old {
        let flags = libc::c_long::from(flags | signal);
        // SAFETY: as above; clone's pidfd goes where its parent_tid would.
        // Order of the last arguments differs between architectures, but they
        // are unused.
        result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    }
    match crate::sys::cvt(result)? {
        0 => {
            if let Some((door, (_, told))) = gate {
                enter_or_exit(&door, &told);
            }
            Ok(Fork::Child)
        }
        pid => {
            // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor of
            // ours there, close-on-exec.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::ERANGE)?;
            if let Some((_, (told, theirs))) = gate {
                drop(theirs);
                await_entry(pid, &told)?;
            }
            Ok(Fork::Parent { pid, pidfd })
        }
    }
}

/// CLONE_INTO_CGROUP, which no flag of clone(2) has room for.
const INTO_CGROUP: u64 = 1 << 33;

/// Where the kernel did not put the child into its cgroup, the child goes there
/// before anything else, and says how that went.
fn enter_or_exit(door: &OwnedFd, told: &OwnedFd) {
    let errno = match unistd::write(door, b"0") {
        Ok(_) => 0,
        Err(errno) => errno as i32,
    };
    // Without a parent there is nobody to tell.
    let sent = unistd::write(told, &errno.to_ne_bytes());
    if errno != 0 || sent.is_err() {
        crate::sys::process::exit(1);
    }
}

fn await_entry(pid: libc::pid_t, told: &OwnedFd) -> Sys<()> {
    let mut number = [0; 4];
    match unistd::read(told, &mut number)? {
        4 if number == [0; 4] => Ok(()),
        read => {
            // It has ended, or does so now.
            crate::sys::process::wait(pid)?;
            let errno = i32::from_ne_bytes(number);
            Err(if read == 4 {
                Errno::from_raw(errno)
            } else {
                Errno::ESRCH
            })
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
        if crate::sys::process::die_with_parent().is_err()
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
    let pid = crate::sys::cvt(
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
