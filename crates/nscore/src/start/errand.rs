//! A short-lived process of ours for what has to be done in another namespace,
//! where this one is not to go.

use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;

use crate::child::NAME;
use crate::error::{Error, Result};
use crate::supervise::outcome;
use crate::supervise::signals::Signals;
use crate::sys::child::Process;
use crate::sys::{Sys, clone, process};

/// Runs `work` in a process of its own and waits for that: the number that it
/// returned, or why the work could not be done.
///
/// # Errors
/// No process, one that was killed, or a signal that asks us to end.
#[allow(unsafe_code)]
pub(crate) fn run(
    doing: &str,
    signals: &Signals,
    work: impl FnOnce() -> Sys<libc::c_int>,
) -> Result<Sys<libc::c_int>> {
    let failed = |errno| Error::errno(doing, errno);
    let (result, theirs) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let life = || {
        process::rename(NAME);
        let said = match process::die_with_parent().and_then(|()| work()) {
            Ok(number) => [0, number],
            Err(errno) => [errno as i32, 0],
        };
        // Nobody reads it only when the supervisor is gone.
        let _ = unistd::write(&theirs, said.map(i32::to_ne_bytes).as_flattened());
        0
    };
    // SAFETY: this process has one thread, see clone::fork.
    let (pid, pidfd) = unsafe { clone::fork_to(libc::SIGCHLD, life) }.map_err(failed)?;
    let errand = Process::new(pid, pidfd);
    drop(theirs);
    signals.wait_for(errand.pidfd(), doing)?;
    let status = errand.wait().map_err(failed)?;
    let mut said = [[0; 4]; 2];
    // An exit status has no room for a wait status.
    let len = unistd::read(result.as_fd(), said.as_flattened_mut()).map_err(failed)?;
    if len < said.as_flattened().len() {
        return Err(outcome::ended_early(status));
    }
    Ok(match said.map(i32::from_ne_bytes) {
        [0, number] => Ok(number),
        [errno, _] => Err(Errno::from_raw(errno)),
    })
}
