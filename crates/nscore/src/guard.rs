//! The guard: a second process that outlives a supervisor killed in any way
//! just long enough to kill init. The kernel's own parent-death signal is not
//! enough, because an init can clear it and a change of ids does.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::unistd;

use crate::child::NAME;
use crate::error::{Error, Result};
use crate::store::Lock;
use crate::sys::clone::{self, Fork};
use crate::sys::process;

/// A guard at work; dropping it ends it, because then we are here ourselves.
pub(crate) struct Guard {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    /// The guard reads the other end: its end of file is our end.
    _life: OwnedFd,
}

impl Guard {
    /// Forks the guard of the process behind `target`. It shares `lock`, so that
    /// nobody else gets what is locked while that process still ends.
    ///
    /// # Errors
    /// When no process or pipe can be made.
    #[allow(unsafe_code)]
    pub(crate) fn new(target: BorrowedFd, lock: Option<&Lock>) -> Result<Guard> {
        let failed = |errno| Error::errno("start the guard process", errno);
        let (life, ours) = unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(failed)?;
        // Renamed before it exists, so that nobody ever takes it for us.
        let _renamed = process::Renamed::to(NAME);
        // SAFETY: the child calls nothing that allocates or locks.
        match unsafe { clone::fork(CloneFlags::empty(), 0) }.map_err(failed)? {
            Fork::Child => watch(life.as_fd(), target, lock.map_or(target, Lock::fd)),
            Fork::Parent { pid, pidfd } => Ok(Guard {
                pid,
                pidfd,
                _life: ours,
            }),
        }
    }
}

/// The guard's whole life: until `life` or the process behind `target` ends. These
/// descriptors are all it keeps, so that no pipe of the caller's stays open for its
/// sake.
pub(crate) fn watch(life: BorrowedFd, target: BorrowedFd, lock: BorrowedFd) -> ! {
    // A signal to the supervisor's process group is not for us.
    let _ = unistd::setsid();
    process::close_all_but([life, target, lock].map(|fd| fd.as_raw_fd()));
    process::forget_deep_stack();
    let end = PollFd::new(target, PollFlags::POLLIN);
    // All signals are blocked, so nothing interrupts this.
    let _ = poll(
        &mut [PollFd::new(life, PollFlags::POLLIN), end.clone()],
        PollTimeout::NONE,
    );
    // Either it is dead already or it dies now; there is nobody to tell.
    let _ = process::kill(target);
    let _ = poll(&mut [end], PollTimeout::NONE);
    process::exit(0)
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It cannot refuse, and it is our child.
        let _ = process::kill(self.pidfd.as_fd());
        let _ = process::wait(self.pid);
    }
}
