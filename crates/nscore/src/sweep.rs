//! Removing what a start that fails has added to the root file system: by the
//! process that was to be init, or once it has given its rights up by another.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{Shutdown, shutdown};

use crate::child::NAME;
use crate::process::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::{Sys, ids, path, process};

/// Our conversation with a process that is to be init, or makes it. Broken off,
/// that process takes back what it has made, and ends.
pub(crate) struct Talk<'a> {
    child: &'a Process,
    socket: &'a OwnedFd,
    over: bool,
}

impl<'a> Talk<'a> {
    pub(crate) fn with(child: &'a Process, socket: &'a OwnedFd) -> Talk<'a> {
        Talk {
            child,
            socket,
            over: false,
        }
    }

    /// All is said.
    pub(crate) fn end(mut self) {
        self.over = true;
    }
}

impl Drop for Talk<'_> {
    /// A child that does not come to see it soon, because a helper keeps it, will
    /// be killed.
    fn drop(&mut self) {
        const PATIENCE: u16 = 1000;
        if !self.over {
            let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
            let end = PollFd::new(self.child.pidfd(), PollFlags::POLLIN);
            let _ = poll(&mut [end], PATIENCE);
        }
    }
}

/// What was added to the root file system.
#[derive(Default)]
pub(crate) struct Added {
    pub(crate) paths: Vec<CString>,
    /// That root. What is mounted in it is so in the child's mount namespace alone, and
    /// keeps nothing from being removed in ours.
    pub(crate) root: Option<OwnedFd>,
}

/// Removes it, the last first, with the rights of `init`. What fails here comes
/// after a failure that is worth telling.
#[allow(unsafe_code)]
pub(crate) fn sweep(init: &Process, made: &Added) {
    let Some(root) = &made.root else {
        return;
    };
    // SAFETY: this process has one thread, see clone::fork.
    match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) } {
        Ok(Fork::Child) => {
            process::rename(NAME);
            let _ = remove(init.pidfd(), root.as_fd(), &made.paths);
            process::exit(0)
        }
        Ok(Fork::Parent { pid, .. }) => drop(process::wait(pid)),
        Err(_) => {}
    }
}

fn remove(init: BorrowedFd, root: BorrowedFd, made: &[CString]) -> Sys<()> {
    process::die_with_parent()?;
    setns(init, CloneFlags::CLONE_NEWUSER)?;
    ids::become_root(false)?;
    process::die_with_parent()?;
    for path in made.iter().rev() {
        let _ = path::unmake(root, path);
    }
    Ok(())
}
