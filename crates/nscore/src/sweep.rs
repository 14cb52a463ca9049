//! Removing what a start has added to the root file system after its exec has
//! failed: the process that was to be init has given its rights up by then.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;

use crate::child::NAME;
use crate::process::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::{Sys, ids, mount, path, process};

/// Removes these paths in the root of `init`, the last first. That process is
/// still one of ours, and nothing of the container's has run beside it. What
/// fails here comes after a failure that is worth telling.
#[allow(unsafe_code)]
pub(crate) fn sweep(init: &Process, made: &[CString]) {
    if made.is_empty() {
        return;
    }
    // SAFETY: starting a container is for processes of one thread alone, so
    // there is no lock that another thread could hold.
    match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) } {
        Ok(Fork::Child) => {
            process::rename(NAME);
            let _ = remove(init.pidfd(), made);
            process::exit(0)
        }
        Ok(Fork::Parent { pid, .. }) => drop(process::wait(pid)),
        Err(_) => {}
    }
}

fn remove(init: BorrowedFd, made: &[CString]) -> Sys<()> {
    process::die_with_parent()?;
    process::join(init, CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    ids::become_root(false)?;
    process::die_with_parent()?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(c"/", flags, Mode::empty())?;
    let _ = mount::set_writable(root.as_fd());
    for path in made.iter().rev() {
        let _ = path::unmake(root.as_fd(), path);
    }
    Ok(())
}
