//! The start of a listener, and what ends it.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::error::hint::advice::Op;
use crate::error::{Error, Result};
use crate::fake::file::Ids;
use crate::fake::{asker, call, listener};
use crate::sys::caps::Set;
use crate::sys::child::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::harden::drop_capabilities;
use crate::sys::{Sys, descriptors, ids, notify, process, signal, socket};

/// What these processes are called, for nobody is to take one for the program.
const NAME: &std::ffi::CStr = c"nscore";

/// Puts the filter on this process, which becomes a program next, and starts whoever
/// answers. Nothing of that is a child of this process. Where a listener answers for
/// this process already it goes on doing so.
///
/// For a process of one thread that is root of the user namespace.
///
/// # Errors
/// A machine without what this needs, and processes that cannot be made.
pub(crate) fn answer_in_place(ids: &Ids) -> Result<()> {
    check()?;
    let asker = process::pidfd_open(unistd::getpid().as_raw()).map_err(failed)?;
    let (ours, theirs) = socket::pair().map_err(failed)?;
    let watcher = Watcher {
        program: "pseudo",
        asker: asker.as_fd(),
        socket: theirs.as_fd(),
        users: None,
        ids,
        bound: Set::ALL,
    };
    fork_orphan(&watcher).map_err(failed)?;
    drop(theirs);
    match ask(ours.as_fd()) {
        Ok(()) | Err(Errno::EBUSY) => Ok(()),
        Err(errno) => Err(Error::system(Op::Filter, "filter system calls", errno)),
    }
}

/// Whether this machine has what is needed.
///
/// # Errors
/// What it lacks.
pub(crate) fn check() -> Result<()> {
    if !call::available() {
        let arch = std::env::consts::ARCH;
        let reason = format!("{arch} has no table of system calls");
        return Err(Error::new("tell owners that are not there", reason));
    }
    process::can_signal().map_err(failed)
}

fn failed(errno: Errno) -> Error {
    Error::system(Op::Process, "start the listener for owners", errno)
}

/// Puts the filter on this process, and hands its listener's descriptor to whoever is
/// to listen, with the root as it is now. EBUSY: somebody listens already. Allocates
/// nothing.
pub(crate) fn ask(socket: BorrowedFd) -> Sys<()> {
    let find = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(c"/", find, Mode::empty())?;
    let listener = notify::listen(call::program())?;
    socket::send(socket, [b"l", &[]], &[listener.as_fd(), root.as_fd()])
}

/// The watcher: it starts the listener, and when that is killed it ends the program.
/// It holds what the listener listens to as well: calls that nobody answers any more
/// wait, and do not fail before the program is ended.
pub(crate) struct Watcher<'a> {
    /// Whose complaints these are.
    pub(crate) program: &'static str,
    /// The program.
    pub(crate) asker: BorrowedFd<'a>,
    /// Where [`ask`] is heard.
    pub(crate) socket: BorrowedFd<'a>,
    /// The user namespace of the program, where that is not ours. Then we are its
    /// supervisor's, and end with it.
    pub(crate) users: Option<BorrowedFd<'a>>,
    pub(crate) ids: &'a Ids,
    /// The most that programs can do.
    pub(crate) bound: Set,
}

/// Forks a process whose parent is gone at once, so that the program never meets it.
#[allow(unsafe_code)]
fn fork_orphan(watcher: &Watcher) -> Sys<()> {
    // Renamed before they exist.
    let _renamed = process::Renamed::to(NAME);
    // SAFETY: this process has one thread, see clone::fork.
    match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }? {
        Fork::Parent { pid, .. } => match process::wait(pid)? {
            0 => Ok(()),
            _ => Err(Errno::EAGAIN),
        },
        // SAFETY: a copy of a process of one thread.
        Fork::Child => match unsafe { clone::fork(CloneFlags::empty(), 0) } {
            Ok(Fork::Child) => watcher.live(),
            Ok(Fork::Parent { .. }) => process::exit(0),
            Err(_) => process::exit(1),
        },
    }
}

impl Watcher<'_> {
    /// Forks it as a child of this process.
    ///
    /// # Errors
    /// When no process can be made.
    #[allow(unsafe_code)]
    pub(crate) fn fork(&self) -> Result<Process> {
        let _renamed = process::Renamed::to(NAME);
        // SAFETY: this process has one thread, see clone::fork.
        match unsafe { clone::fork(CloneFlags::empty(), 0) }.map_err(failed)? {
            Fork::Child => self.live(),
            Fork::Parent { pid, pidfd } => Ok(Process::new(pid, pidfd)),
        }
    }

    #[allow(unsafe_code)]
    fn live(&self) -> ! {
        let supervised = self.users.is_some();
        if supervised {
            // Its own death signal ends the listener in turn.
            let _ = process::die_with_parent();
        }
        self.detach();
        let Ok(received) = socket::receive(self.socket, &mut [0]) else {
            process::exit(1)
        };
        let [Some(listener), Some(root), ..] = received.fds else {
            // Another answers, or there is no program.
            process::exit(0)
        };
        // SAFETY: a copy of a process of one thread.
        let pid = match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) } {
            Ok(Fork::Child) => {
                let served = self
                    .become_listener()
                    .and_then(|()| listener::serve(listener, root, self.ids, self.program));
                process::exit(i32::from(served.is_err()))
            }
            Ok(Fork::Parent { pid, .. }) => Some(pid),
            Err(_) => None,
        };
        drop(root);
        process::forget_deep_stack();
        if pid.and_then(|pid| process::wait(pid).ok()) != Some(0) {
            self.complain();
            let _ = process::kill(self.asker);
            let mut end = [PollFd::new(self.asker, PollFlags::POLLIN)];
            let _ = poll(&mut end, PollTimeout::NONE);
        }
        process::exit(0)
    }

    /// Root of the program's user namespace, with no more of its rights than are
    /// needed.
    fn become_listener(&self) -> Sys<()> {
        if let Some(users) = self.users {
            setns(users, CloneFlags::CLONE_NEWUSER)?;
            ids::become_root(false)?;
            // The change of ids has cleared it.
            process::die_with_parent()?;
        }
        // Of a single id all files are its own, which takes no right that root has not.
        let single = self.ids.user.count() == 1 && self.ids.group.count() == 1;
        let bound = if single { Set::ALL } else { self.bound };
        drop_capabilities(Set::listener(bound))
    }

    /// Is no part of the program's session: no pipe of the caller's stays open for our
    /// sake, and no key on the terminal is for us. A supervisor's standard error is
    /// ours as well.
    fn detach(&self) {
        let _ = unistd::setsid();
        // Who reads what we say may be gone.
        signal::ignore_pipe();
        process::rename_in_command_line(NAME);
        let (asker, socket) = (self.asker.as_raw_fd(), self.socket.as_raw_fd());
        let users = self.users.map_or(asker, |users| users.as_raw_fd());
        let stderr = if self.users.is_some() { 2 } else { asker };
        descriptors::close_all_but([asker, socket, users, stderr]);
        // What is opened later is to be nobody's standard stream.
        let _ = descriptors::complete_streams();
        let _ = unistd::chdir("/");
    }

    /// On the standard error of the supervisor, else of the program, unless that has
    /// ended.
    fn complain(&self) {
        let reason = "the process that answers for owners was killed";
        let text = format!("{}: cannot go on: {reason}", self.program);
        if self.users.is_some() {
            let [.., stderr] = descriptors::streams();
            asker::say(stderr, &text);
        } else if let Ok(stream) = notify::copy_descriptor(self.asker, 2) {
            asker::say(stream.as_fd(), &text);
        }
    }
}
