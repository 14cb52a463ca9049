//! The event loop: the process, our signals and its console, until it ends.

pub(crate) mod console;
pub(crate) mod network;
pub(crate) mod outcome;
pub(crate) mod ready;
pub(crate) mod record;
pub(crate) mod resolv;
pub(crate) mod resting;
pub(crate) mod signals;
pub(crate) mod state;
pub(crate) mod stopping;
pub(crate) mod terminal;

use std::os::fd::AsFd as _;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use crate::error::{Error, Result};
use crate::supervise::console::{Console, Event};
use crate::supervise::network::Attached;
use crate::supervise::outcome::Outcome;
use crate::supervise::ready::Ready;
use crate::supervise::resting::Resting;
use crate::supervise::signals::{Arrived, Signals};
use crate::supervise::state::{Role, Supervisor};
use crate::supervise::stopping::TO_NOTICE;
use crate::sys::Sys;
use crate::sys::child::Process;

/// Supervises `process` to its end.
///
/// # Errors
/// Only when polling itself fails, or giving up rights meanwhile.
pub(crate) fn until_end(
    process: Process,
    console: Option<Console>,
    network: Attached,
    ready: Option<Ready>,
    signals: &Signals,
    role: Role<'_>,
) -> Result<Outcome> {
    let _resting = Resting::begin()?;
    let mut supervisor = Supervisor {
        process,
        needs: match role {
            Role::Init { needs, .. } => needs,
            Role::Command { .. } => None,
        },
        console,
        network,
        ready,
        signals,
        role,
        stop: None,
        unread: None,
        doubt: None,
        stopper: None,
    };
    supervisor
        .run()
        .map_err(|errno| Error::errno("supervise the container", errno))
}

impl Supervisor<'_> {
    fn run(&mut self) -> Sys<Outcome> {
        self.console.iter_mut().for_each(Console::resume);
        // Those that arrived during the start wake no poll.
        self.handle_signals();
        while !self.turn()? {}
        let status = self.process.wait()?;
        if let Some(console) = &mut self.console {
            let patient = self.stop.is_none_or(|stop| stop.deadline.is_some());
            console.finish(self.signals, patient);
        }
        Ok(self.outcome(status))
    }

    /// Waits for something to happen and handles it; true once the process has
    /// ended.
    fn turn(&mut self) -> Sys<bool> {
        let none = || PollFd::new(self.signals.as_fd(), PollFlags::empty());
        let console = self.console.as_ref().map(Console::poll_fds);
        let console = console.unwrap_or_default();
        let [master, keyboard, screen] = console.map(|fd| fd.unwrap_or_else(none));
        let process = PollFd::new(self.process.pidfd(), PollFlags::POLLIN);
        let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let stopper = match &self.stopper {
            Some(stopper) => PollFd::new(stopper.pidfd(), PollFlags::POLLIN),
            None => none(),
        };
        let needs = match self.needs {
            Some(needs) => PollFd::new(needs.pidfd(), PollFlags::POLLIN),
            None => none(),
        };
        let ready = match &self.ready {
            Some(ready) => PollFd::new(ready.as_fd(), PollFlags::POLLOUT),
            None => none(),
        };
        let network = self.network.poll_fds();
        let network = network.map(|fd| fd.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let [pasta, resolv] = network.map(|fd| fd.unwrap_or_else(none));
        let mut fds = [
            process, signals, needs, stopper, ready, pasta, resolv, master, keyboard, screen,
        ];
        match poll(&mut fds, self.patience()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let [process, _, needs, stopper, ready, pasta, resolv, found @ ..] =
            fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        if process.contains(PollFlags::POLLIN) {
            return Ok(true);
        }
        self.handle_signals();
        if needs.contains(PollFlags::POLLIN) {
            self.needed_ended();
        }
        if stopper.contains(PollFlags::POLLIN) {
            self.stopper_ended();
        }
        if !ready.is_empty() {
            // Who cannot be told is no worse off than one who has left.
            self.ready.take_if(|ready| ready.tell().unwrap_or(true));
        }
        if let Some(news) = self.network.handle([pasta, resolv]) {
            terminal::tell(&news);
        }
        match self.console.as_mut().map(|console| console.handle(found)) {
            None | Some(Event::Nothing) => {}
            Some(Event::Kill) => {
                terminal::tell_below(match self.role {
                    Role::Init { .. } => "^] has killed the container",
                    Role::Command { .. } => "^] has killed the command",
                });
                self.kill(libc::SIGKILL);
            }
            Some(Event::Unread) => self.unread = Some(Instant::now() + TO_NOTICE),
            Some(Event::Broken) => self.unread = Some(Instant::now()),
        }
        self.lose_patience();
        Ok(false)
    }

    fn patience(&self) -> PollTimeout {
        let stop = self.stop.and_then(|stop| stop.deadline);
        let doubt = self.doubt.map(|(end, _)| end);
        let ends = [stop, self.unread, doubt, self.network.deadline()];
        match ends.into_iter().flatten().min() {
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                // One millisecond more: a timeout rounded down would spin.
                PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    fn handle_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            self.handle(signal);
        }
    }

    fn handle(&mut self, signal: Arrived) {
        match signal.number {
            libc::SIGCHLD | libc::SIGTTIN | libc::SIGTTOU => {}
            // Our own, for what we wrote.
            libc::SIGPIPE if signal.from_us => {}
            libc::SIGWINCH => self.console.iter_mut().for_each(Console::resume),
            libc::SIGTSTP => self.suspend(signal),
            libc::SIGCONT => self.resume(),
            number if signal.from_kernel && self.is_key(number) => {}
            _ if self.is_init() && signal.ends() => self.end(signal),
            // It shares our process group, and the terminal has told it already.
            _ if signal.from_kernel && self.shares_terminal() => {}
            number => self.process.signal(number),
        }
    }

    /// Whether it was a key for the container, which has it now.
    fn is_key(&mut self, signal: libc::c_int) -> bool {
        let console = self.console.as_mut();
        console.is_some_and(|console| console.take_key(signal))
    }

    pub(super) fn shares_terminal(&self) -> bool {
        match self.role {
            Role::Init { life, .. } => life.shares_terminal,
            Role::Command { shares_terminal } => shares_terminal,
        }
    }

    /// Who is needed has ended; one that has come to its end is needed no more.
    fn needed_ended(&mut self) {
        let status = self.needs.take().map(Process::wait);
        if !matches!(status, Some(Ok(WaitStatus::Exited(_, 0)))) {
            terminal::tell("cannot go on: the process that answers for owners was killed");
            self.process.signal(libc::SIGKILL);
        }
    }

    fn is_init(&self) -> bool {
        matches!(self.role, Role::Init { .. })
    }

    /// Stops it and us together, and both go on together.
    fn suspend(&mut self, signal: Arrived) {
        self.console.iter_mut().for_each(Console::suspend);
        self.process.signal(libc::SIGSTOP);
        signal.stop();
        self.resume();
    }

    fn resume(&mut self) {
        self.process.signal(libc::SIGCONT);
        self.console.iter_mut().for_each(Console::resume);
    }

    fn outcome(&self, status: WaitStatus) -> Outcome {
        match (status, self.stop, self.role) {
            (WaitStatus::Signaled(_, Signal::SIGKILL, _), Some(stop), _) => {
                Outcome::Killed(stop.signal)
            }
            // One that was asked to stop does not come back.
            (WaitStatus::Signaled(_, Signal::SIGHUP, _), Some(stop), Role::Init { .. }) => {
                Outcome::Killed(stop.signal)
            }
            // reboot(2) ends a PID 1 in this way, and nothing else can.
            (WaitStatus::Signaled(_, Signal::SIGHUP, _), _, Role::Init { .. }) => Outcome::Reboot,
            (WaitStatus::Signaled(_, Signal::SIGINT, _), _, Role::Init { .. }) => Outcome::Halt,
            (WaitStatus::Signaled(_, signal, _), ..) => Outcome::Killed(signal as i32),
            (WaitStatus::Exited(_, status), ..) => {
                Outcome::Exited(u8::try_from(status).unwrap_or(1))
            }
            _ => Outcome::Exited(1),
        }
    }
}
