//! The supervisor's side of a start: what it says to the process that becomes
//! init, and what it hears from it. `child::talk` is the other side.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::child::message::{Fds, Go, Received, Report};
use crate::child::sealed;
use crate::error::{Error, Result};
use crate::exec::candidate::Failure;
use crate::plan::Plan;
use crate::start::sweep::{Added, Share};
use crate::supervise::outcome;
use crate::supervise::signals::Signals;
use crate::sys::child::Process;
use crate::sys::path::FIND_DIR;
use crate::sys::socket;

/// A conversation with the child, and what it has said of the root file system.
pub(crate) struct Talk<'a> {
    plan: &'a Plan,
    signals: &'a Signals,
    child: Process,
    socket: OwnedFd,
    made: Added,
    /// A mount that is to last as long as the container.
    kept: Option<OwnedFd>,
    /// How long the child has, in milliseconds, to see that it is over.
    patience: u16,
}

impl<'a> Talk<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        signals: &'a Signals,
        child: Process,
        socket: OwnedFd,
    ) -> Talk<'a> {
        Talk {
            plan,
            signals,
            child,
            socket,
            made: Added::default(),
            kept: None,
            patience: 1000,
        }
    }

    /// Whom we talk with: init, or until there is one its maker.
    pub(crate) fn child(&self) -> &Process {
        &self.child
    }

    /// Tells the child that it may go on, with these trees.
    pub(crate) fn say_go(&self, trees: &[OwnedFd]) -> Result<()> {
        let trees: Vec<_> = trees.iter().map(OwnedFd::as_fd).collect();
        match Go::send(self.socket.as_fd(), &trees) {
            // A child that has ended has said why, and is listened to next.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::errno("start init", errno)),
        }
    }

    /// Tells it the last time: from here on it may become init any moment, and is
    /// given no more time.
    pub(crate) fn let_go(&mut self) -> Result<()> {
        self.say_go(&[])?;
        self.patience = 0;
        Ok(())
    }

    /// Waits until the child has made its mounts and cloned init, with whom we talk
    /// from then on.
    pub(crate) fn await_init(&mut self) -> Result<()> {
        match self.await_report()? {
            (Report::Started(pid), [Some(pidfd), ..]) => {
                self.child = Process::new(pid, pidfd);
                Ok(())
            }
            (report, _) => Err(self.explain(report)),
        }
    }

    /// Waits until the child is ready to become init; what it says then carries the
    /// console.
    pub(crate) fn await_set_up(&mut self) -> Result<Fds> {
        match self.await_report()? {
            (Report::SetUp, fds) => Ok(fds),
            (report, _) => Err(self.explain(report)),
        }
    }

    /// Waits for what the child has to say, and notes what it has made before.
    fn await_report(&mut self) -> Result<Received> {
        loop {
            self.signals
                .wait_for(self.socket.as_fd(), "start the container")?;
            let Some(received) = self.receive()? else {
                let ended = self.child.wait();
                let status = ended.map_err(|errno| Error::errno("wait for init", errno))?;
                return Err(outcome::ended_early(status));
            };
            match self.made.note(received) {
                Some((Report::Kept, [mount, ..])) => self.kept = mount,
                Some(received) => return Ok(received),
                None => {}
            }
        }
    }

    /// Waits for the exec of init. Signals wait as well, because init is to have them;
    /// unless it takes long: a file system, or somebody's lease on the file, can keep
    /// an exec for as long as it likes.
    pub(crate) fn await_exec(&self) -> Result<()> {
        const LONG: u16 = 1000;
        let mut tried = None;
        loop {
            let fds = [self.socket.as_fd(), self.child.pidfd()];
            let mut watched = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let ready = poll(&mut watched, LONG);
            if ready.map_err(|errno| Error::errno("start init", errno))? == 0 {
                let limit = sealed::patience(tried.as_ref());
                self.signals.wait_for_any(fds, limit, "start init")?;
            }
            if !socket::is_readable(self.socket.as_fd()) {
                return Ok(());
            }
            let Some((report, _)) = self.receive()? else {
                return Ok(());
            };
            let report = match report {
                Report::Trying(candidate) => {
                    tried = Some(candidate);
                    continue;
                }
                Report::Refused(errno) => {
                    // The exec is the last of all.
                    let action = self.plan.actions.len() - 1;
                    Report::Exec(action, sealed::refusal(tried, errno))
                }
                report => report,
            };
            return Err(self.explain(report));
        }
    }

    fn receive(&self) -> Result<Option<Received>> {
        Report::receive(&self.socket).map_err(|errno| Error::errno("start init", errno))
    }

    /// Init runs. What it has given us to keep comes along.
    pub(crate) fn end(self) -> (Process, Option<OwnedFd>) {
        (self.child, self.kept)
    }

    /// It never will: the child ends, by itself if it comes to see this soon, and
    /// what it has made is removed.
    pub(crate) fn break_off(mut self, share: &Share) {
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
        let end = PollFd::new(self.child.pidfd(), PollFlags::POLLIN);
        let _ = poll(&mut [end], self.patience);
        self.child.signal(libc::SIGKILL);
        let _ = self.child.wait();
        while socket::is_readable(self.socket.as_fd()) {
            match self.receive() {
                Ok(Some(received)) => drop(self.made.note(received)),
                _ => break,
            }
        }
        self.made.sweep(share);
    }

    /// Why nothing that may be executed is.
    fn noexec(&self, failure: &Failure) -> Option<String> {
        let executable = failure.candidate.mode & 0o111 != 0;
        if failure.errno != Errno::EACCES || !executable {
            return None;
        }
        let mount = fstatvfs(self.plan.root.open(FIND_DIR).ok()?).ok()?;
        let noexec = mount.flags().contains(FsFlags::ST_NOEXEC);
        noexec.then(|| "DIR is on a mount that is noexec: move it, or mount that with exec".into())
    }

    /// What the child met, as an error.
    fn explain(&self, report: Report) -> Error {
        let plan = self.plan;
        match report {
            Report::Failed(action, errno) => match plan.actions.get(action) {
                Some(action) => match action.reason(errno) {
                    Some(reason) => Error::new(action.to_string(), reason),
                    None => Error::system(action.op(), action.to_string(), errno),
                },
                None => Error::errno("start init", errno),
            },
            Report::Helper(status) => outcome::helper_failed("inside", status),
            Report::Exec(action, failure) => {
                let step = plan.actions.get(action).and_then(|action| action.program());
                match step.or(plan.life.under_init.as_ref()) {
                    Some(program) => program
                        .explain(&failure)
                        .with_any_hint(self.noexec(&failure)),
                    None => Error::errno("start init", failure.errno),
                }
            }
            Report::SetUp
            | Report::Started(_)
            | Report::Made(_)
            | Report::Kept
            | Report::Trying(_)
            | Report::Refused(_) => Error::errno("start init", Errno::EBADMSG),
        }
    }
}
