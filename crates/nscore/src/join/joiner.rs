//! The joiner and the command before its exec: copies of our process that
//! allocate nothing and never panic.

use std::fmt;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::child::message::Report;
use crate::child::{NAME, sealed};
use crate::error::hint::advice::Op;
use crate::error::{Error, Result};
use crate::join::cgroup;
use crate::join::entry::{Change, Entry};
use crate::start::guard;
use crate::sys::clone::{self, Fork};
use crate::sys::shim::Image;
use crate::sys::tty::{self, Look};
use crate::sys::{Sys, descriptors, ids, process, signal, socket};

/// The steps that can fail inside. A report names one by its number; the numbers
/// behind these are the changes of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinStep {
    Prepare,
    DropGroups,
    EnterNamespaces,
    BecomeRoot,
    MakeCommand,
    MakeTerminal,
    Run,
    Seal,
}

impl JoinStep {
    /// Each at its number.
    pub(super) const ALL: [JoinStep; 8] = [
        JoinStep::Prepare,
        JoinStep::DropGroups,
        JoinStep::EnterNamespaces,
        JoinStep::BecomeRoot,
        JoinStep::MakeCommand,
        JoinStep::MakeTerminal,
        JoinStep::Run,
        JoinStep::Seal,
    ];

    /// What the hint table knows a failure of this step as.
    pub(super) fn op(self) -> Op {
        match self {
            JoinStep::EnterNamespaces => Op::Join,
            JoinStep::Prepare | JoinStep::MakeCommand => Op::Process,
            JoinStep::MakeTerminal => Op::Terminal,
            JoinStep::DropGroups | JoinStep::BecomeRoot | JoinStep::Run | JoinStep::Seal => {
                Op::Other
            }
        }
    }
}

/// Reads as "VERB OBJECT".
impl fmt::Display for JoinStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinStep::Prepare => "prepare to enter the container",
            JoinStep::DropGroups => "drop our groups",
            JoinStep::EnterNamespaces => "enter the container's namespaces",
            JoinStep::BecomeRoot => "become root of the container",
            JoinStep::MakeCommand => "start a process in the container",
            JoinStep::MakeTerminal => "create a pseudo-terminal in the container",
            JoinStep::Run => "prepare the command",
            JoinStep::Seal => "keep this program's file from the container",
        })
    }
}

/// A step that failed.
struct StepFailed(usize, Errno);

/// Turns an error number into the failure of a step.
fn at(step: JoinStep) -> impl Fn(Errno) -> StepFailed {
    move |errno| StepFailed(step as usize, errno)
}

/// What we keep of a joiner. Dropping it ends the command, if it still runs.
pub(super) struct Joiner {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    /// Where it says which process the command is. Nothing inside ever has the other
    /// end, whose end of file is our end, or that we give up.
    pub(super) life: Option<OwnedFd>,
}

/// The joiner, and where the command says what becomes of it. Once that runs by way
/// of a shim the container could speak in its place.
pub(super) struct Started {
    pub(super) joiner: Joiner,
    pub(super) command: OwnedFd,
}

impl Joiner {
    /// Lets go of a joiner whose command has ended: so does it, and to wait for
    /// that would be most of what it costs.
    pub(super) fn release(mut self) {
        // What is left of it until we end signals nobody, and is seen by no
        // wait(2) of somebody else's.
        self.pid = 0;
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        self.life = None;
        if self.pid > 0 {
            // Then it ends by itself: killed, it could leave the command behind. Unless
            // it is frozen, with all else in the container's cgroup.
            const PATIENCE: u16 = 1000;
            let end = PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN);
            if poll(&mut [end], PATIENCE) == Ok(1) {
                let _ = process::wait(self.pid);
            }
        }
    }
}

/// Starts the joiner.
#[allow(unsafe_code)]
pub(super) fn start(entry: &mut Entry) -> Result<Started> {
    let failed =
        |errno| Error::system(JoinStep::Prepare.op(), JoinStep::Prepare.to_string(), errno);
    process::can_signal().map_err(failed)?;
    let (our_life, life) = socket::pair().map_err(failed)?;
    let (ours, theirs) = socket::pair().map_err(failed)?;
    let cgroup = cgroup::entrance(&entry.found)?;
    let into = cgroup.as_ref().map(OwnedFd::as_fd);
    // SAFETY: this process has one thread, see clone::fork.
    let fork = unsafe { clone::fork_into(into, CloneFlags::empty(), 0) };
    let failed = |errno| into.map_or_else(|| failed(errno), |_| cgroup::not_entered(errno));
    match fork.map_err(failed)? {
        Fork::Child => {
            drop((our_life, ours));
            if let Err(failed) = joiner(entry, theirs.as_fd(), life.as_fd()) {
                failed.tell(life.as_fd());
            }
            process::exit(0)
        }
        Fork::Parent { pid, pidfd } => Ok(Started {
            joiner: Joiner {
                pid,
                pidfd,
                life: Some(our_life),
            },
            command: ours,
        }),
    }
}

impl StepFailed {
    fn tell(self, socket: BorrowedFd) {
        let StepFailed(action, errno) = self;
        // Without a parent there is nobody to tell.
        let _ = Report::Failed(action, errno).send(socket, &[]);
    }
}

/// Enters the namespaces, makes the command there, and goes on as its guard: what
/// kills us who supervise it, in whatever way, ends it. The guard keeps the rights
/// over the container that this takes; nothing inside has a name for it.
#[allow(unsafe_code)]
fn joiner(
    entry: &mut Entry,
    socket: BorrowedFd,
    life: BorrowedFd,
) -> std::result::Result<(), StepFailed> {
    process::rename(NAME);
    process::die_with_parent().map_err(at(JoinStep::Prepare))?;
    // From here on nothing inside can look into us.
    process::forbid_tracing().map_err(at(JoinStep::Prepare))?;
    let init = entry.found.pidfd.as_fd();
    descriptors::close_all_but([
        0,
        1,
        2,
        socket.as_raw_fd(),
        init.as_raw_fd(),
        life.as_raw_fd(),
    ]);
    if entry.drop_own_groups {
        ids::drop_groups_if_allowed().map_err(at(JoinStep::DropGroups))?;
    }
    setns(init, entry.found.namespaces).map_err(at(JoinStep::EnterNamespaces))?;
    // Before there is a process inside: none is to have the caller's ids.
    ids::become_root(entry.may_set_groups).map_err(at(JoinStep::BecomeRoot))?;
    // Both may have allowed it again, see forbid_tracing. The command inherits this.
    process::forbid_tracing().map_err(at(JoinStep::BecomeRoot))?;
    // A guard outlives whom it watches, and a signal to their process group.
    process::outlive_parent().map_err(at(JoinStep::MakeCommand))?;
    if !entry.share_terminal {
        // A session would do as well, and cost a group of the scheduler's.
        let own = unistd::Pid::from_raw(0);
        unistd::setpgid(own, own).map_err(at(JoinStep::MakeCommand))?;
    }
    // Nothing is ever said to us: this is its end.
    if socket::is_readable(life) {
        return Ok(());
    }
    // CLONE_PARENT: the command is our parent's child, whose end tells it the
    // status.
    // SAFETY: this process has one thread, see clone::fork.
    let fork = unsafe { clone::fork(CloneFlags::CLONE_PARENT, 0) };
    match fork.map_err(at(JoinStep::MakeCommand))? {
        Fork::Child => {
            if let Err(failed) = command(entry, socket) {
                failed.tell(socket);
            }
            process::exit(1)
        }
        Fork::Parent { pid, pidfd } => {
            let sent = Report::Started(pid).send(life, &[pidfd.as_fd()]);
            if sent.is_err() {
                // Nobody knows of it.
                let _ = process::kill(pidfd.as_fd());
            }
            guard::keep(life, pidfd.as_fd(), None, None)
        }
    }
}

/// Becomes the command; returns only when it cannot.
fn command(entry: &mut Entry, socket: BorrowedFd) -> std::result::Result<(), StepFailed> {
    process::die_with_parent().map_err(at(JoinStep::MakeCommand))?;
    if !entry.share_terminal {
        // The caller's terminal must not be within reach as /dev/tty.
        unistd::setsid().map_err(at(JoinStep::MakeTerminal))?;
    }
    let look = entry.look.as_ref();
    let terminal = look.map(|look| open_terminal(look, entry.terminals));
    let terminal = terminal.transpose().map_err(at(JoinStep::MakeTerminal))?;
    let sent = match &terminal {
        Some((master, slave)) => Report::SetUp.send(socket, &[master.as_fd(), slave.as_fd()]),
        None => Report::SetUp.send(socket, &[]),
    };
    sent.map_err(at(JoinStep::Run))?;
    let shim = entry.exposed.then(|| sealed::seal(Image::Shim));
    let shim = shim.transpose().map_err(at(JoinStep::Seal))?;
    signal::reset_all().map_err(at(JoinStep::Run))?;
    process::new_session_keyring().map_err(at(JoinStep::Run))?;
    let mut login = entry.login.as_deref_mut();
    let slave = terminal.as_ref().map(|(_, slave)| slave.as_fd());
    for (i, change) in (JoinStep::ALL.len()..).zip(&entry.changes) {
        match change {
            Change::Profile(step) => step.perform(),
            Change::User(step) => step
                .perform(login.as_deref_mut(), entry.may_set_groups, slave)
                .and_then(|()| process::forbid_tracing()),
        }
        .map_err(|errno| StepFailed(i, errno))?;
    }
    let login = login.as_deref();
    let room = entry.header.as_mut_slice();
    let failure = match &shim {
        Some(shim) => sealed::exec(&entry.program, login, shim.as_fd(), socket, room),
        None => entry.program.exec_as_user(login, room),
    };
    // Without a parent there is nobody to tell.
    // Of the one command: the supervisor does not ask which step it was.
    let _ = Report::Exec(0, failure).send(socket, &[]);
    Ok(())
}

/// A pseudo-terminal of the container's own devpts, as controlling terminal and
/// in place of each standard stream that is a terminal. What lies at the path
/// is the container's, so it is checked before it is used.
fn open_terminal(look: &Look, streams: [bool; 3]) -> Sys<(OwnedFd, OwnedFd)> {
    let flags =
        OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let master = nix::fcntl::open(c"/dev/pts/ptmx", flags, Mode::empty())?;
    if nix::sys::statfs::fstatfs(&master)?.filesystem_type() != nix::sys::statfs::DEVPTS_SUPER_MAGIC
    {
        return Err(Errno::ENOTTY);
    }
    let slave = tty::open_slave(&master)?;
    look.apply(&slave)?;
    tty::set_controlling(&slave)?;
    for (stream, terminal) in (0..).zip(streams) {
        if terminal {
            descriptors::make_stream(slave.as_fd(), stream)?;
        }
    }
    Ok((master, slave))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_at_its_number() {
        for (i, step) in JoinStep::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, i, "{step}");
        }
    }
}
