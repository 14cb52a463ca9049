//! The guard: a second process that outlives a supervisor killed in any way
//! just long enough to kill init and to remove its cgroup. The kernel's own
//! parent-death signal is not enough, because an init can clear it and a change
//! of ids does.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;

use crate::child::NAME;
use crate::error::hint::advice::Op;
use crate::error::{Error, Result};
use crate::start::cgroup::traces::Traces;
use crate::start::store::Lock;
use crate::sys::caps::Set;
use crate::sys::harden::drop_capabilities;
use crate::sys::{clone, descriptors, process, socket};

/// A guard at work; dropping it lets it do its work and end.
pub(crate) struct Guard {
    pid: libc::pid_t,
    /// Its other end is the guard's: it hangs up at our end.
    life: Option<OwnedFd>,
}

impl Guard {
    /// Forks a guard that kills the process behind `init` at our end, and
    /// `companion`, which ends with it. It shares `lock`, so that nobody else
    /// gets what is locked while that one ends.
    ///
    /// # Errors
    /// When no process or pipe can be made.
    pub(crate) fn of(
        init: BorrowedFd,
        companion: Option<BorrowedFd>,
        lock: Option<&Lock>,
    ) -> Result<Guard> {
        let (theirs, ours) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        Guard::fork(ours, || {
            // The owner of a container may kill in it, by its user namespace alone.
            // To ask for less than one has cannot fail.
            let _ = drop_capabilities(Set::NONE);
            keep(theirs.as_fd(), init, companion, lock.map(Lock::fd))
        })
    }

    /// Forks a guard that removes these traces at our end. It shares `lock`, so
    /// that nobody else gets what is locked while that goes on.
    ///
    /// # Errors
    /// When no process or socket can be made.
    pub(crate) fn new(lock: Option<&Lock>, traces: &Traces) -> Result<Guard> {
        let (ours, theirs) = socket::pair().map_err(failed)?;
        Guard::fork(ours, || watch(theirs.as_fd(), lock.map(Lock::fd), traces))
    }

    /// Forks a guard that leads this life.
    #[allow(unsafe_code)]
    fn fork(ours: OwnedFd, life: impl FnOnce()) -> Result<Guard> {
        process::can_signal().map_err(failed)?;
        // Renamed before it exists, so that nobody ever takes it for us.
        let _renamed = process::Renamed::to(NAME);
        let life = || {
            life();
            0
        };
        // SAFETY: this process has one thread, see clone::fork.
        let (pid, _) = unsafe { clone::fork_to(0, life) }.map_err(failed)?;
        let life = Some(ours);
        Ok(Guard { pid, life })
    }

    pub(crate) fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// From now on it kills the process behind `init` at our end, and `companion`
    /// with it; `users` is the user namespace of init.
    pub(crate) fn watch(
        &self,
        init: BorrowedFd,
        companion: Option<BorrowedFd>,
        users: BorrowedFd,
    ) -> Result<()> {
        let Some(life) = &self.life else {
            return Ok(());
        };
        let fds = [init, companion.unwrap_or(init), users];
        socket::send(life.as_fd(), [&[0], &[]], &fds).map_err(failed)
    }

    /// Lets it do its work, and says whether it has: somebody may have killed it.
    pub(crate) fn finish(mut self) -> bool {
        self.end() == Some(0)
    }

    fn end(&mut self) -> Option<libc::c_int> {
        self.life.take()?;
        // It is our child, and all that it waits for has ended or ends now.
        process::wait(self.pid).ok()
    }
}

fn failed(errno: nix::errno::Errno) -> Error {
    Error::system(Op::Process, "start the guard process", errno)
}

/// Keeps these descriptors alone: no pipe of the caller's stays open for a guard's
/// sake, and no signal to the supervisor's process group is for it.
fn detach<const N: usize>(kept: [BorrowedFd; N]) {
    let _ = unistd::setsid();
    process::rename_in_command_line(NAME);
    descriptors::close_all_but(kept.map(|fd| fd.as_raw_fd()));
}

/// The rest of the life of a guard: until `life` hangs up, or `target` ends.
pub(crate) fn keep(
    life: BorrowedFd,
    target: BorrowedFd,
    companion: Option<BorrowedFd>,
    lock: Option<BorrowedFd>,
) -> ! {
    detach([Some(life), Some(target), companion, lock].map(|fd| fd.unwrap_or(life)));
    process::forget_deep_stack();
    process::forget_heap();
    hold(life, target, companion);
    process::exit(0)
}

/// Until `life` or the process behind `target` ends; then both have.
fn hold(life: BorrowedFd, target: BorrowedFd, companion: Option<BorrowedFd>) {
    let end = PollFd::new(target, PollFlags::POLLIN);
    // All signals are blocked, so nothing interrupts this.
    let _ = poll(
        &mut [PollFd::new(life, PollFlags::POLLIN), end.clone()],
        PollTimeout::NONE,
    );
    // Either it is dead already or it dies now; there is nobody to tell.
    let _ = process::kill(target);
    if let Some(companion) = companion {
        let _ = process::kill(companion);
    }
    let _ = poll(&mut [end], PollTimeout::NONE);
}

/// The life of a guard that removes traces, and learns later what to hold.
fn watch(life: BorrowedFd, lock: Option<BorrowedFd>, traces: &Traces) {
    detach([life, traces.fd(), lock.unwrap_or(life)]);
    let [init, companion, users] = receive(life);
    // What is left is for the directories that the container made in its cgroup.
    let _ = drop_capabilities(Set::DAC_OVERRIDE);
    process::forget_deep_stack();
    if let Some(init) = init {
        hold(life, init.as_fd(), companion.as_ref().map(OwnedFd::as_fd));
    }
    // At the end of init the supervisor still looks at them. Its hanging up alone is
    // awaited: a word that could not be received is there to be read.
    let _ = poll(
        &mut [PollFd::new(life, PollFlags::empty())],
        PollTimeout::NONE,
    );
    traces.clear(users.as_ref().map(OwnedFd::as_fd));
}

/// What there is to watch; nothing, when our maker ended before it said so.
fn receive(life: BorrowedFd) -> [Option<OwnedFd>; 3] {
    let Ok(received) = socket::receive(life, &mut [0]) else {
        return [const { None }; 3];
    };
    let [init, companion, users, ..] = received.fds;
    [init, companion, users]
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}
