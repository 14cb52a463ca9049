//! A container's own command that powers it off, run inside by its supervisor.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;

use crate::child;
use crate::error::{Error, Result};
use crate::join::enter;
use crate::plan::profile::Terms;
use crate::supervise::resting;
use crate::sys::child::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::{descriptors, process};

/// Starts the command in the container of `init`, on its terms, with no input and
/// no output. The process returned ends with status 0 when the command did.
#[allow(unsafe_code)]
pub(crate) fn start(command: &[&str], init: &Process, terms: Terms) -> Result<Process> {
    let failed = |errno| Error::errno("stop the container", errno);
    let command: Vec<OsString> = command.iter().map(OsString::from).collect();
    // SAFETY: this process has one thread, see clone::fork.
    match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }.map_err(failed)? {
        Fork::Child => {
            process::rename(child::NAME);
            let silent = process::die_with_parent().is_ok()
                && silence().is_ok()
                && resting::resume().is_ok();
            let ended =
                silent && enter::run_inside(init, terms, &command).is_ok_and(|status| status == 0);
            process::exit(i32::from(!ended))
        }
        Fork::Parent { pid, pidfd } => Ok(Process::new(pid, pidfd)),
    }
}

/// The caller's standard streams are not for what stops the container.
fn silence() -> crate::sys::Sys<()> {
    use std::os::fd::AsFd as _;
    let null: OwnedFd = open(
        c"/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    (0..3).try_for_each(|stream| descriptors::make_stream(null.as_fd(), stream))
}
