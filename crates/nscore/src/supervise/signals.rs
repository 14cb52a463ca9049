//! Signals of the supervisor: blocked before anything else, then read one by
//! one, so that none interrupts anything and none is lost, signalfd(2).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::{Error, Result};
use crate::supervise::outcome::{killed_by, signal_name};
use crate::sys::signal;

/// Those that a failing program raises against itself.
const FAULTS: [Signal; 6] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGABRT,
    Signal::SIGTRAP,
];

/// Those that nohup(1) and a shell without job control make a background command
/// ignore: such a command is not to end by them.
const IGNORABLE: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT];

/// All signals of this thread. They stay blocked when it is dropped: one that
/// arrives as a container ends would end us, and nobody would learn how that one
/// ended.
pub(crate) struct Signals {
    fd: SignalFd,
    /// Those that arrived before there was an init to have them.
    later: RefCell<VecDeque<Arrived>>,
    /// What the caller did about ended children, and does again afterwards.
    _children: signal::Disposition,
}

/// A signal that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) number: libc::c_int,
    /// The kernel sent it: a key of the terminal, for its whole process group.
    pub(crate) from_kernel: bool,
    /// This process has sent it to itself, as a write does to which nobody listens.
    pub(crate) from_us: bool,
}

impl Signals {
    /// Blocks every signal but those of faults, and opens the queue for all that
    /// the caller does not have us ignore.
    pub(crate) fn block() -> Result<Signals> {
        let what = "block signals";
        let mut set = SigSet::all();
        for fault in FAULTS {
            set.remove(fault);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None)
            .map_err(|errno| Error::errno(what, errno))?;
        // Blocked all the same: what we fork for a start inherits that, and makes
        // every signal do its default before it unblocks any.
        for ignored in IGNORABLE {
            if signal::is_ignored(ignored as libc::c_int) {
                set.remove(ignored);
            }
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags).map_err(|errno| Error::errno(what, errno))?;
        // An ignored SIGCHLD would take away every child's status.
        let children = signal::Disposition::default_for(libc::SIGCHLD);
        Ok(Signals {
            fd,
            later: RefCell::default(),
            _children: children,
        })
    }

    /// Waits until `fd` is readable or hung up, during a start.
    ///
    /// # Errors
    /// A signal that asks us to end. One that stops us does so, and the others stay
    /// for init.
    pub(crate) fn wait_for(&self, fd: BorrowedFd, doing: &str) -> Result<()> {
        self.wait_for_any([fd], PollTimeout::NONE, doing)
    }

    /// Waits until one of them is, or for this long.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn wait_for_any<const N: usize>(
        &self,
        awaited: [BorrowedFd; N],
        limit: PollTimeout,
        doing: &str,
    ) -> Result<()> {
        let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let is_ready = || poll(&mut awaited.map(watch), PollTimeout::ZERO).is_ok_and(|n| n > 0);
        loop {
            let mut fds = Vec::from(awaited.map(watch));
            fds.push(watch(self.fd.as_fd()));
            match poll(&mut fds, limit) {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::errno(doing, errno)),
            }
            while let Some(signal) = self.take() {
                // Looked at after the signal was taken: one that was sent to
                // what we wait for finds that ready.
                if signal.ends() && !is_ready() {
                    let reason = format!("interrupted by {}", signal_name(signal.number));
                    return Err(Error::new(doing, reason).with_status(killed_by(signal.number)));
                }
                if signal.number == libc::SIGTSTP {
                    // A helper is in our process group, and has stopped already.
                    signal.stop();
                } else {
                    self.later.borrow_mut().push_back(signal);
                }
            }
            fds.pop();
            if fds.iter().any(|fd| fd.any().unwrap_or(false)) {
                return Ok(());
            }
        }
    }

    /// The next signal that waits, if any.
    pub(crate) fn next(&self) -> Option<Arrived> {
        self.later.borrow_mut().pop_front().or_else(|| self.take())
    }

    fn take(&self) -> Option<Arrived> {
        // Nothing can fail in reading our own queue.
        let info = self.fd.read_signal().ok()??;
        Some(Arrived {
            number: info.ssi_signo.cast_signed(),
            from_kernel: info.ssi_code == libc::SI_KERNEL,
            from_us: info.ssi_pid == std::process::id(),
        })
    }
}

impl Arrived {
    /// Whether it asks us to end.
    pub(crate) fn ends(self) -> bool {
        [libc::SIGTERM, libc::SIGINT, libc::SIGHUP].contains(&self.number)
    }

    /// Stops us, as it asks, until somebody lets us go on. A key does so only where
    /// there is a shell for that, which the kernel knows, setpgid(2).
    pub(crate) fn stop(self) {
        // None of these can fail: the signals are real and we are who is signalled.
        if self.from_kernel {
            let stop = SigSet::from(Signal::SIGTSTP);
            let _ = raise(Signal::SIGTSTP);
            let _ = stop.thread_unblock();
            let _ = stop.thread_block();
        } else {
            let _ = raise(Signal::SIGSTOP);
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
