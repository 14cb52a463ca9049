//! A child process of ours, by pidfd: waited for once, and never left behind.

use std::cell::Cell;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::sys::{Sys, process};

/// A child that is killed and waited for when it is dropped.
pub(crate) struct Process {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    ended: Cell<Option<WaitStatus>>,
}

impl Process {
    /// Takes charge of a child of this process.
    pub(crate) fn new(pid: libc::pid_t, pidfd: OwnedFd) -> Process {
        Process {
            pid,
            pidfd,
            ended: Cell::new(None),
        }
    }

    /// Its process id in our PID namespace.
    pub(crate) fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Readable once it has ended.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> Sys<WaitStatus> {
        if let Some(status) = self.ended.get() {
            return Ok(status);
        }
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::__WALL;
        loop {
            match waitid(Id::PIDFd(self.pidfd.as_fd()), flags) {
                Err(Errno::EINTR) => {}
                other => {
                    let status = other?;
                    self.ended.set(Some(status));
                    return Ok(status);
                }
            }
        }
    }

    /// Sends it a signal; one that has ended is none to send to.
    pub(crate) fn signal(&self, number: libc::c_int) {
        match process::signal(self.pidfd.as_fd(), number) {
            // Sent, or it has ended meanwhile.
            Ok(()) | Err(Errno::ESRCH) => {}
            // A filter keeps the call away. Nobody else waits for our child, so
            // its id is its own until we have.
            Err(_) if self.ended.get().is_none() => process::send(self.pid, number),
            Err(_) => {}
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.get().is_none() {
            self.signal(libc::SIGKILL);
            let _ = self.wait();
        }
    }
}
