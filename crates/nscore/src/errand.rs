//! A short-lived process of ours for what has to be done in another namespace,
//! where this one is not to go.

use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::wait::WaitStatus;
use nix::unistd;

use crate::child::NAME;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::signals::Signals;
use crate::sys::clone::{self, Fork};
use crate::sys::{Sys, process};

/// Runs `work` in a process of its own, which ends with the number that it returns,
/// and waits for that: how it ended, or why the work could not be done.
///
/// # Errors
/// No process, or a signal that asks us to end.
#[allow(unsafe_code)]
pub(crate) fn run(
    doing: &str,
    signals: &Signals,
    work: impl FnOnce() -> Sys<libc::c_int>,
) -> Result<Sys<WaitStatus>> {
    let failed = |errno| Error::errno(doing, errno);
    let (errors, theirs) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    // SAFETY: this process has one thread, see clone::fork.
    let errand = match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }.map_err(failed)? {
        Fork::Child => {
            process::rename(NAME);
            let number = process::die_with_parent().and_then(|()| work());
            process::exit(number.unwrap_or_else(|errno| {
                // Nobody reads it only when the supervisor is gone.
                let _ = unistd::write(theirs, &(errno as i32).to_ne_bytes());
                1
            }))
        }
        Fork::Parent { pid, pidfd } => Process::new(pid, pidfd),
    };
    drop(theirs);
    signals.wait_for(errand.pidfd(), doing)?;
    let status = errand.wait().map_err(failed)?;
    let mut number = [0; 4];
    match unistd::read(errors.as_fd(), &mut number).map_err(failed)? {
        0 => Ok(Ok(status)),
        _ => Ok(Err(Errno::from_raw(i32::from_ne_bytes(number)))),
    }
}
