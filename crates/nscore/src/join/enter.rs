//! One entry: the joiner, the command that it reports, and its supervision.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;

use crate::child::message::{Fds, Received, Report};
use crate::child::sealed;
use crate::error::{Error, Result};
use crate::exec::candidate::HEADER;
use crate::exec::environ;
use crate::exec::program::Program;
use crate::join::cgroup;
use crate::join::entry::{Change, ENTER, Entry, ended, exposed};
use crate::join::find::Found;
use crate::join::joiner::{self, JoinStep, Started};
use crate::plan::profile::Terms;
use crate::proc::setgroups::setgroups_allowed;
use crate::supervise;
use crate::supervise::console::Console;
use crate::supervise::network::Attached;
use crate::supervise::outcome::Outcome;
use crate::supervise::signals::Signals;
use crate::supervise::state::Role;
use crate::sys::child::Process;
use crate::sys::{descriptors, socket};

/// Runs a command in the container of our own child `init`, without a terminal,
/// in init's kind of environment and with no more rights.
pub(crate) fn run_inside(init: &Process, terms: Terms, command: &[OsString]) -> Result<u8> {
    let environment = environ::own();
    let entry = Entry {
        may_set_groups: setgroups_allowed(init.pid())?,
        found: Found::of_child(init, terms)?,
        program: Program::new(command, &environment, environ::path(&environment))?,
        drop_own_groups: nix::unistd::geteuid().is_root(),
        terminals: [false; 3],
        look: None,
        share_terminal: false,
        exposed: exposed(init.pid())?,
        changes: Change::all(terms.profile, Vec::new()),
        login: None,
        header: vec![0; HEADER],
    };
    entry.run().map(Outcome::status)
}

impl Entry {
    pub(super) fn run(mut self) -> Result<Outcome> {
        let signals = Signals::block()?;
        descriptors::close_at_exec()
            .map_err(|errno| Error::errno("mark inherited descriptors close-on-exec", errno))?;
        let Started { joiner, command } = joiner::start(&mut self)?;
        let life = joiner.life.as_ref().ok_or_else(ended)?;
        let (command, fds) = self.await_command(life, command, &signals)?;
        let console = match fds {
            [Some(master), Some(slave), _] => Some(Console::new(master, slave, self.terminals)?),
            _ => None,
        };
        let role = Role::Command {
            shares_terminal: self.share_terminal,
        };
        let outcome =
            supervise::until_end(command, console, Attached::default(), None, &signals, role)?;
        joiner.release();
        Ok(outcome)
    }

    /// Waits until the command runs; the descriptors are its terminal's.
    pub(super) fn await_command(
        &self,
        life: &OwnedFd,
        socket: OwnedFd,
        signals: &Signals,
    ) -> Result<(Process, Fds)> {
        signals.wait_for(life.as_fd(), ENTER)?;
        let command = match self.next(life)? {
            Some((Report::Started(pid), [Some(pidfd), ..])) => Process::new(pid, pidfd),
            _ => return Err(ended()),
        };
        let (mut running, mut tried) = (None, None);
        loop {
            let limit = sealed::patience(tried.as_ref());
            signals.wait_for_any([socket.as_fd(), command.pidfd()], limit, ENTER)?;
            if !socket::is_readable(socket.as_fd()) {
                break;
            }
            match self.next(&socket)? {
                None => break,
                Some((Report::SetUp, fds)) if running.is_none() => running = Some(fds),
                Some((Report::Trying(candidate), _)) if tried.is_none() => tried = Some(candidate),
                Some((Report::Refused(errno), _)) => {
                    return Err(self.program.explain(&sealed::refusal(tried, errno)));
                }
                _ => return Err(ended()),
            }
        }
        Ok((command, running.ok_or_else(ended)?))
    }

    /// The next report; one of a failure is an error.
    fn next(&self, socket: &OwnedFd) -> Result<Option<Received>> {
        let failed = |errno| self.failed(JoinStep::Prepare as usize, errno);
        match Report::receive(socket).map_err(failed)? {
            Some((Report::Failed(action, errno), _)) => Err(self.failed(action, errno)),
            Some((Report::Exec(_, failure), _)) => Err(self.program.explain(&failure)),
            other => Ok(other),
        }
    }

    /// What went wrong at this step.
    fn failed(&self, step: usize, errno: Errno) -> Error {
        let change = step.checked_sub(JoinStep::ALL.len());
        if let Some(change) = change.and_then(|change| self.changes.get(change)) {
            return change.explain(errno);
        }
        // What the kernel says of a container that ends; its init may take a
        // moment more.
        let ending = [Errno::ESRCH, Errno::ENOMEM].contains(&errno);
        if ending && self.found.ends_within(Duration::from_secs(1)) {
            return ended();
        }
        if errno == Errno::EAGAIN && self.found.terms.cgroup {
            return cgroup::not_entered(errno);
        }
        let step = JoinStep::ALL
            .get(step)
            .copied()
            .unwrap_or(JoinStep::Prepare);
        let error = Error::system(step.op(), step.to_string(), errno);
        match step {
            JoinStep::MakeTerminal if error.hint().is_none() => {
                error.with_hint("--no-console gives the command your own terminal")
            }
            _ => error,
        }
    }
}
