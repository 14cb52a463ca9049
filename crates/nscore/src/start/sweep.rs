//! What a start adds to the root file system, kept so that one that fails leaves
//! nothing there.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CloneFlags, setns};

use crate::child::NAME;
use crate::child::message::{Received, Report};
use crate::start::store::lock_soon;
use crate::sys::{Sys, clone, ids, make, process};

/// A share in a root file system. The kernel unmounts, in every other container too,
/// what is mounted on a directory that is removed; so nothing is removed from a root
/// in which somebody else has a share.
pub(crate) enum Share {
    Taken(Flock<File>),
    /// There was none to be had, so nothing will be removed.
    None(File),
}

impl Share {
    /// Takes one in this directory.
    pub(crate) fn in_root(root: OwnedFd) -> Share {
        // Who removes something has it alone, for far less than this.
        let (how, pause) = (FlockArg::LockSharedNonblock, Duration::from_millis(2));
        lock_soon(root.into(), how, pause).map_or_else(|(file, _)| Share::None(file), Share::Taken)
    }

    /// Whether it is the only one, and no other can be taken now.
    fn is_whole(&self) -> bool {
        match self {
            Share::Taken(share) => share.relock(FlockArg::LockExclusiveNonblock).is_ok(),
            Share::None(_) => false,
        }
    }
}

/// The root file system's directory.
impl AsFd for Share {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Share::Taken(root) => root.as_fd(),
            Share::None(root) => root.as_fd(),
        }
    }
}

/// Mount points and links that were not there before.
#[derive(Default)]
pub(crate) struct Added {
    paths: Vec<CString>,
    origin: Option<Origin>,
}

/// How to get at them.
struct Origin {
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
            (Report::Made(path), [root, users, _]) => {
                let origin = root.zip(users).map(|(root, users)| Origin { root, users });
                self.origin = self.origin.take().or(origin);
                self.paths.extend(CString::new(path));
                None
            }
            other => Some(other),
        }
    }

    /// Removes it, unless somebody else may need it by now. What fails here comes
    /// after a failure that is worth telling.
    #[allow(unsafe_code)]
    pub(crate) fn sweep(&self, share: &Share) {
        let Some(origin) = self.origin.as_ref().filter(|_| share.is_whole()) else {
            return;
        };
        let life = || {
            process::rename(NAME);
            let _ = self.remove(origin.root.as_fd(), origin.users.as_fd());
            0
        };
        // SAFETY: this process has one thread, see clone::fork.
        if let Ok((pid, _)) = unsafe { clone::fork_to(libc::SIGCHLD, life) } {
            let _ = process::wait(pid);
        }
    }

    /// The last first, with the rights of its owner.
    fn remove(&self, root: BorrowedFd, users: BorrowedFd) -> Sys<()> {
        process::die_with_parent()?;
        setns(users, CloneFlags::CLONE_NEWUSER)?;
        ids::become_root(false)?;
        process::die_with_parent()?;
        for path in self.paths.iter().rev() {
            let _ = make::unmake(root, path);
        }
        Ok(())
    }
}
