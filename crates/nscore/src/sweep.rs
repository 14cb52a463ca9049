//! What a start adds to the root file system, kept so that one that fails leaves
//! nothing there.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns};

use crate::child::NAME;
use crate::message::{Received, Report};
use crate::sys::clone::{self, Fork};
use crate::sys::{Sys, ids, path, process};

/// Mount points and links that were not there before.
#[derive(Default)]
pub(crate) struct Added {
    paths: Vec<CString>,
    from: Option<From>,
}

/// How to get at them.
struct From {
    /// The root file system. What is mounted in it is so in the child's mount
    /// namespace alone, and keeps nothing from being removed in ours.
    root: OwnedFd,
    /// The user namespace of its owner.
    users: OwnedFd,
}

impl Added {
    /// Takes note of what the child has made; any other report is given back.
    pub(crate) fn note(&mut self, received: Received) -> Option<Received> {
        match received {
            Received {
                report: Report::Made(path),
                fds: [root, users, _],
            } => {
                let from = root.zip(users).map(|(root, users)| From { root, users });
                self.from = self.from.take().or(from);
                self.paths.extend(CString::new(path));
                None
            }
            other => Some(other),
        }
    }

    /// Removes it. What fails here comes after a failure that is worth telling.
    #[allow(unsafe_code)]
    pub(crate) fn sweep(&self) {
        let Some(from) = &self.from else {
            return;
        };
        // SAFETY: this process has one thread, see clone::fork.
        match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) } {
            Ok(Fork::Child) => {
                process::rename(NAME);
                let _ = self.remove(from.root.as_fd(), from.users.as_fd());
                process::exit(0)
            }
            Ok(Fork::Parent { pid, .. }) => drop(process::wait(pid)),
            Err(_) => {}
        }
    }

    /// The last first, with the rights of its owner.
    fn remove(&self, root: BorrowedFd, users: BorrowedFd) -> Sys<()> {
        process::die_with_parent()?;
        setns(users, CloneFlags::CLONE_NEWUSER)?;
        ids::become_root(false)?;
        process::die_with_parent()?;
        for path in self.paths.iter().rev() {
            let _ = path::unmake(root, path);
        }
        Ok(())
    }
}
