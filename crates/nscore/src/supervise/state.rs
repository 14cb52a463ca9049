//! What is supervised and in what role, and an end that was asked for.

use std::time::Instant;

use crate::error::Result;
use crate::plan::Life;
use crate::plan::profile::Terms;
use crate::supervise::console::Console;
use crate::supervise::network::Attached;
use crate::supervise::ready::Ready;
use crate::supervise::signals::Signals;
use crate::sys::child::Process;

/// Starts a command in the container of this init, on these terms. A hand of who
/// supervises a container, which itself enters none.
pub(crate) type StartStopper = fn(&[&str], &Process, Terms) -> Result<Process>;

/// What the supervised process is.
#[derive(Clone, Copy)]
pub(crate) enum Role<'a> {
    /// A container's init: signals that ask us to end stop it.
    Init {
        life: &'a Life,
        /// Starts the command that stops this kind of init.
        stop: StartStopper,
        /// Whose death ends init, if there is such a process.
        needs: Option<&'a Process>,
    },
    /// A command in a container of someone else's: all signals pass to it, but
    /// those that the terminal has told it already.
    Command { shares_terminal: bool },
}

pub(super) struct Supervisor<'a> {
    pub(super) process: Process,
    /// Without which it ends, as long as that runs.
    pub(super) needs: Option<&'a Process>,
    pub(super) console: Option<Console>,
    pub(super) network: Attached,
    pub(super) ready: Option<Ready>,
    pub(super) signals: &'a Signals,
    pub(super) role: Role<'a>,
    pub(super) stop: Option<Stop>,
    /// When init is stopped for its output that nobody reads, unless it has ended.
    pub(super) unread: Option<Instant>,
    /// When to look whether an emulated init has lost a signal that it had, and which.
    pub(super) doubt: Option<(Instant, libc::c_int)>,
    /// The command that stops this kind of init, while it runs.
    pub(super) stopper: Option<Process>,
}

/// An end that was asked for.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    /// The signal that asked, for the exit status.
    pub(super) signal: libc::c_int,
    /// When it was asked for.
    pub(super) since: Instant,
    /// When patience ends; None when SIGKILL is out already, and init has no say in the
    /// exit status.
    pub(super) deadline: Option<Instant>,
}
