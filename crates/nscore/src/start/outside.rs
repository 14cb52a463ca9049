//! The helper of `-o`: a command on the host whose parent process is in the
//! container's namespaces, so that it can name them by $PPID. A short-lived
//! joiner is that parent: it forks the command, joins, and lets it go.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::unistd;

use crate::child::NAME;
use crate::error::hint::advice::Op;
use crate::error::{Error, Result};
use crate::exec::candidate::HEADER;
use crate::exec::program::Program;
use crate::plan::helper::Helper;
use crate::start::errand;
use crate::supervise::outcome;
use crate::supervise::signals::Signals;
use crate::sys::child::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::{Sys, process, signal};

/// Runs `/bin/sh -c text` in the caller's directory and waits for its end.
///
/// # Errors
/// Its status, when that is not 0.
pub(crate) fn run(
    helper: &Helper,
    init: &Process,
    namespaces: CloneFlags,
    signals: &Signals,
) -> Result<()> {
    let pid = ("CONTAIN_PID", init.pid().to_string());
    let command = Program::shell(&helper.text, &[pid], helper.inherited.clone())?;
    // Children of the joiner follow a PID namespace, the joiner itself cannot.
    let namespaces = namespaces - CloneFlags::CLONE_NEWPID;
    let joiner = || joiner(&command, init.pidfd(), namespaces);
    let status = errand::run("run the outside helper", signals, joiner)?
        .map_err(|errno| Error::system(Op::Join, "start the outside helper", errno))?;
    match status {
        0 => Ok(()),
        status => Err(outcome::helper_failed("outside", status)),
    }
}

/// The joiner's life: the command's wait status.
#[allow(unsafe_code)]
fn joiner(command: &Program, init: BorrowedFd, namespaces: CloneFlags) -> Sys<libc::c_int> {
    let (go, ours) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: this process has one thread, see clone::fork.
    let pid = match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }? {
        Fork::Child => {
            drop(ours);
            process::rename(NAME);
            let mut byte = [0];
            let ready =
                process::die_with_parent().is_ok() && unistd::read(go.as_fd(), &mut byte) == Ok(1);
            if ready && signal::reset_all().is_ok() {
                command.exec(&mut [0; HEADER]);
            }
            process::exit(127)
        }
        Fork::Parent { pid, .. } => pid,
    };
    setns(init, namespaces)?;
    unistd::write(&ours, &[0])?;
    process::wait(pid)
}
