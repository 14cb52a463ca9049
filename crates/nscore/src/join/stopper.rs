//! A container's own command that powers it off, run inside by its supervisor.

use std::ffi::OsString;

use nix::fcntl::OFlag;

use crate::child;
use crate::error::{Error, Result};
use crate::join::enter;
use crate::plan::profile::Terms;
use crate::supervise::resting;
use crate::sys::child::Process;
use crate::sys::{clone, descriptors, path, process};

/// Starts the command in the container of `init`, on its terms, with no input and
/// no output. The process returned ends with status 0 when the command did.
#[allow(unsafe_code)]
pub(crate) fn launch(command: &[&str], init: &Process, terms: Terms) -> Result<Process> {
    let failed = |errno| Error::errno("stop the container", errno);
    let command: Vec<OsString> = command.iter().map(OsString::from).collect();
    let life = || {
        process::rename(child::NAME);
        let silent = process::die_with_parent().is_ok() && silence().is_ok();
        let ended = silent
            && resting::resume().is_ok()
            && enter::run_inside(init, terms, &command).is_ok_and(|status| status == 0);
        i32::from(!ended)
    };
    // SAFETY: this process has one thread, see clone::fork.
    let forked = unsafe { clone::fork_to(libc::SIGCHLD, life) };
    let (pid, pidfd) = forked.map_err(failed)?;
    Ok(Process::new(pid, pidfd))
}

/// The caller's standard streams are not for what stops the container.
fn silence() -> crate::sys::Sys<()> {
    use std::os::fd::AsFd as _;
    let null = path::open(c"/dev/null", OFlag::O_RDWR)?;
    (0..3).try_for_each(|stream| descriptors::make_stream(null.as_fd(), stream))
}
