//! How a container is brought to its end: asked once, in the way of its init, and
//! killed when that is lost on it or takes too long.

use std::time::{Duration, Instant};

use nix::sys::wait::WaitStatus;

use crate::host::inits::{self, Method};
use crate::proc;
use crate::supervise::signals::Arrived;
use crate::supervise::state::{Role, Stop, Supervisor};

/// Requests to end that are no further apart are one.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// A reader that leaves is noticed by us and by whoever writes next. One that ends
/// by itself for that does so within this time, and its status is its own.
pub(super) const TO_NOTICE: Duration = Duration::from_millis(100);

/// An emulator that has a signal which its program does not handle has given it up after
/// this time.
const TO_GIVE_UP: Duration = Duration::from_millis(100);

impl Supervisor<'_> {
    /// A signal asks us to end.
    pub(super) fn end(&mut self, signal: Arrived) {
        if signal.from_kernel && self.shares_terminal() {
            // The terminal has told init as well. One that handles it decides
            // for itself; any other would never know.
            if self.catches(signal.number) {
                self.doubt(signal.number);
            } else {
                self.kill(signal.number);
            }
            return;
        }
        self.request_stop(signal.number, signal.number);
    }

    /// Asks init to stop as its kind is stopped, else by `signal`, for a reason
    /// that the exit status will tell. Asked twice, it is killed.
    pub(super) fn request_stop(&mut self, reason: libc::c_int, signal: libc::c_int) {
        let Role::Init { life, stop, .. } = self.role else {
            return self.process.signal(signal);
        };
        match self.stop {
            // timeout(1) signals its child and then its group: one request.
            Some(stop) if stop.since.elapsed() < SAME_REQUEST => return,
            Some(_) => return self.kill(reason),
            None => {}
        }
        let since = Instant::now();
        let deadline = Some(since + life.stop_timeout);
        self.stop = Some(Stop {
            since,
            signal: reason,
            deadline,
        });
        let method = match life.stop_signal {
            Some(signal) => Some(Method::Signal(signal.number())),
            None => {
                // Our own init is no emulator, and calls itself init as well.
                let foreign = life.foreign.as_ref().filter(|_| life.under_init.is_none());
                inits::of(self.process.pid(), foreign)
            }
        };
        match method {
            // Known or said to be waited for: an init that takes its signals
            // by sigwait(3) shows no handler.
            Some(Method::Signal(signal)) => self.process.signal(signal),
            Some(Method::Command(command)) => match stop(command, &self.process, life.terms) {
                Ok(stopper) => self.stopper = Some(stopper),
                Err(_) => self.signal_or_kill(reason, signal),
            },
            None => self.signal_or_kill(reason, signal),
        }
    }

    /// Does what waits no longer.
    pub(super) fn lose_patience(&mut self) {
        let now = Instant::now();
        if self.unread.take_if(|end| now >= *end).is_some() && self.stop.is_none() {
            // One that stops already has no second request of this.
            self.request_stop(libc::SIGPIPE, libc::SIGTERM);
        }
        if let Some((_, signal)) = self.doubt.take_if(|(end, _)| now >= *end)
            && !self.catches(signal)
        {
            self.kill(self.stop.map_or(signal, |stop| stop.signal));
        }
        let overdue = |stop: &Stop| stop.deadline.is_some_and(|end| now >= end);
        if let Some(stop) = self.stop.filter(overdue) {
            self.kill(stop.signal);
        }
    }

    /// The command that stops init has ended; one that failed has stopped
    /// nothing.
    pub(super) fn stopper_ended(&mut self) {
        let status = self.stopper.take().map(|stopper| stopper.wait());
        let done = matches!(status, Some(Ok(WaitStatus::Exited(_, 0))));
        if let (false, Some(stop)) = (done, self.stop) {
            self.signal_or_kill(stop.signal, stop.signal);
        }
    }

    /// Sends a signal that init handles; one that it does not handle would be
    /// lost, so it is killed.
    fn signal_or_kill(&mut self, reason: libc::c_int, signal: libc::c_int) {
        if self.catches(signal) {
            self.process.signal(signal);
            self.doubt(signal);
        } else {
            self.kill(reason)
        }
    }

    pub(super) fn kill(&mut self, reason: libc::c_int) {
        if self.stop.is_some_and(|stop| stop.deadline.is_none()) {
            return;
        }
        self.stop = Some(Stop {
            since: Instant::now(),
            signal: reason,
            deadline: None,
        });
        self.process.signal(libc::SIGKILL);
    }

    /// QEMU has a handler for every signal that ends a program. Where the program has
    /// none, QEMU takes its own away and signals itself, which PID 1 never hears of: it
    /// waits for ever. So it shows a moment later whether the signal was lost.
    fn doubt(&mut self, signal: libc::c_int) {
        let emulated = matches!(self.role, Role::Init { life, .. }
            if life.foreign.is_some() && life.under_init.is_none());
        if emulated {
            self.doubt = Some((Instant::now() + TO_GIVE_UP, signal));
        }
    }

    /// Whether init has a handler, or blocks the signal to read it later: the
    /// kernel drops any other signal to a PID 1 but SIGKILL and SIGSTOP,
    /// pid_namespaces(7).
    fn catches(&self, signal: libc::c_int) -> bool {
        // Our own init waits for all signals and passes them on.
        if matches!(self.role, Role::Init { life, .. } if life.under_init.is_some()) {
            return true;
        }
        let status = proc::read(format!("/proc/{}/status", self.process.pid()));
        let status = status.unwrap_or_default();
        ["SigCgt:", "SigBlk:"].iter().any(|set| {
            let mask = status.lines().find_map(|line| line.strip_prefix(set));
            let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
        })
    }
}
