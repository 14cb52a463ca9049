//! Entering a running container: a joiner enters its namespaces, makes the
//! command there as a child of ours, and ends; we stay outside and supervise.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::caller;
use crate::cgroup;
use crate::child::NAME;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::exec::{self, Program};
use crate::harden::{self, Profile};
use crate::hint::Op;
use crate::host::Terminals;
use crate::idmap::IdMap;
use crate::launch::setgroups_allowed;
use crate::message::Report;
use crate::net::Attached;
use crate::plan;
use crate::process::Process;
use crate::record::Record;
use crate::sealed;
use crate::signals::Signals;
use crate::supervise::{self, Outcome, Role};
use crate::sys::clone::{self, Fork};
use crate::sys::shim::Image;
use crate::sys::tty::{self, Look};
use crate::sys::{Sys, process};
use crate::target::{Found, Target};

/// A command to run in a container.
#[derive(Debug, Clone)]
pub struct Join {
    /// The container.
    pub target: Target,
    /// The command; none means $SHELL, else /bin/sh. A name without a slash is
    /// looked up in the caller's PATH, inside.
    pub command: Vec<OsString>,
}

/// Everything the joiner and the command touch, prepared before the fork.
struct Entry {
    found: Found,
    program: Program,
    drop_groups: bool,
    root: bool,
    terminals: [bool; 3],
    look: Option<Look>,
    /// The file of this program is one that the container could change.
    exposed: bool,
}

/// The steps that can fail inside, in their order; those of the profile follow.
const STEPS: [&str; 8] = [
    "prepare to enter the container",
    "drop our groups",
    "enter the container's namespaces",
    "become root of the container",
    "start a process in the container",
    "create a pseudo-terminal in the container",
    "prepare the command",
    "keep this program's file from the container",
];

/// Whether the ids of the container of `init` could change this program's file.
fn exposed(init: libc::pid_t) -> Result<bool> {
    let map = |file| {
        let path = format!("/proc/{init}/{file}");
        let failed = |error| Error::io(format!("read {path}"), &error);
        let text = fs::read_to_string(&path).map_err(failed)?;
        IdMap::from_kernel_text(&text)
            .ok_or_else(|| Error::new("enter the container", "it maps no id"))
    };
    Ok(sealed::due(Image::Shim, &map("uid_map")?, &map("gid_map")?)?.is_some())
}

impl Join {
    /// Runs the command to its end. Single-threaded callers only; blocks all
    /// signals meanwhile and passes them to the command.
    ///
    /// Where systemd has to let us into the container's cgroup, this program is
    /// started again with its own arguments, which are to make the same request:
    /// see [`Scope::enter`](crate::Scope::enter).
    ///
    /// # Errors
    /// Whatever keeps the command from running inside. It never runs outside.
    pub fn run(&self) -> Result<Outcome> {
        caller::refuse_setuid()?;
        let terminals = Terminals::probe();
        let found = self.target.find()?;
        if let Some(scope) = cgroup::scope_to_enter(&found)? {
            return Err(scope.enter());
        }
        let command = exec::command_or_shell(&self.command);
        // An ordinary user's PATH may lack what container root expects of its.
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        path.push(":");
        path.push(exec::PATH);
        Entry {
            drop_groups: setgroups_allowed(found.init)?,
            exposed: exposed(found.init)?,
            found,
            program: Program::new(&command, &exec::callers_environment(), &path)?,
            root: nix::unistd::geteuid().is_root(),
            terminals: terminals.streams,
            look: terminals.any().then_some(terminals.look),
        }
        .run()
        .map_err(|error| self.several(error))
    }

    /// `inject 12 34 CMD` would run "34" in 12: what pgrep printed when two
    /// containers run.
    fn several(&self, error: Error) -> Error {
        let Target::Pid(one) = self.target;
        let word = self
            .command
            .first()
            .and_then(|word| word.to_str()?.parse().ok());
        match word.filter(|pid| matches!(Record::of(*pid), Ok(Some(_)))) {
            Some(two) => error.with_hint(format!(
                "several containers are running, {one} and {two} among them: name one"
            )),
            None => error,
        }
    }
}

/// Runs a command in the container of our own child `init`, without a terminal,
/// in init's kind of environment and with no more rights.
pub(crate) fn run_inside(
    init: &Process,
    cgroup: bool,
    profile: Profile,
    command: &[OsString],
) -> Result<u8> {
    let entry = Entry {
        drop_groups: setgroups_allowed(init.pid())?,
        exposed: exposed(init.pid())?,
        found: Found::of_child(init, cgroup, profile)?,
        program: Program::new(command, &plan::environment(), OsStr::new(exec::PATH))?,
        root: nix::unistd::geteuid().is_root(),
        terminals: [false; 3],
        look: None,
    };
    entry.run().map(Outcome::status)
}

impl Entry {
    /// What makes the command no more than a process of the container's own.
    fn profile_steps(&self) -> impl Iterator<Item = harden::Step> {
        let profile = self.found.profile;
        profile.limits().chain([profile.last()])
    }

    fn run(self) -> Result<Outcome> {
        let signals = Signals::block()?;
        process::close_at_exec()
            .map_err(|errno| Error::errno("mark inherited descriptors close-on-exec", errno))?;
        let (joiner, socket) = start(&self)?;
        let (command, console) = await_command(&self, &socket, &signals)?;
        joiner
            .wait()
            .map_err(|errno| Error::errno(STEPS[4], errno))?;
        supervise::until_end(
            command,
            console,
            Attached::default(),
            &signals,
            Role::Command,
        )
    }
}

#[allow(unsafe_code)]
fn start(entry: &Entry) -> Result<(Process, OwnedFd)> {
    let failed = |errno| Error::errno(STEPS[0], errno);
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(failed)?;
    let cgroup = cgroup::entrance(&entry.found)?;
    let into = cgroup.as_ref().map(OwnedFd::as_fd);
    // SAFETY: the child allocates nothing: it runs joiner alone.
    let fork = unsafe { clone::fork_into(into, CloneFlags::empty(), libc::SIGCHLD) };
    match fork
        .map_err(|errno| into.map_or_else(|| failed(errno), |_| cgroup::not_entered(errno)))?
    {
        Fork::Child => {
            drop(ours);
            if let Err((step, errno)) = joiner(entry, theirs.as_fd()) {
                // Without a parent there is nobody to tell.
                let _ = Report::Failed {
                    action: step,
                    errno,
                }
                .send(theirs.as_fd(), &[]);
            }
            process::exit(0)
        }
        Fork::Parent { pid, pidfd } => Ok((Process::new(pid, pidfd), ours)),
    }
}

type Step = std::result::Result<(), (usize, Errno)>;

/// Enters the namespaces and makes the command there.
#[allow(unsafe_code)]
fn joiner(entry: &Entry, socket: BorrowedFd) -> Step {
    let at = |step| move |errno| (step, errno);
    process::rename(NAME);
    process::die_with_parent().map_err(at(0))?;
    process::forbid_tracing().map_err(at(0))?;
    if entry.root {
        process::drop_groups().map_err(at(1))?;
    }
    process::join(entry.found.pidfd.as_fd(), entry.found.namespaces).map_err(at(2))?;
    // Before there is a process inside: none is to have the caller's ids.
    process::become_root(entry.drop_groups).map_err(at(3))?;
    process::die_with_parent().map_err(at(3))?;
    // CLONE_PARENT: the command is our parent's child, which outlives us, and
    // its end signals as ours does.
    // SAFETY: neither this process nor its child allocates.
    match unsafe { clone::fork(CloneFlags::CLONE_PARENT, 0) }.map_err(at(4))? {
        Fork::Child => {
            if let Err((step, errno)) = command(entry, socket) {
                // Without a parent there is nobody to tell.
                let _ = Report::Failed {
                    action: step,
                    errno,
                }
                .send(socket, &[]);
            }
            process::exit(1)
        }
        Fork::Parent { pid, pidfd } => {
            let sent = Report::Started { pid }.send(socket, &[pidfd.as_fd()]);
            if sent.is_err() {
                // Nobody is left who would end it.
                let _ = process::kill(pidfd.as_fd());
            }
            Ok(())
        }
    }
}

/// Becomes the command.
fn command(entry: &Entry, socket: BorrowedFd) -> Step {
    let at = |step| move |errno| (step, errno);
    process::die_with_parent().map_err(at(4))?;
    // The caller's terminal must not be within reach as /dev/tty.
    unistd::setsid().map_err(at(5))?;
    let sent = match &entry.look {
        Some(look) => {
            let (master, slave) = open_terminal(look, entry.terminals).map_err(at(5))?;
            Report::Running.send(socket, &[master.as_fd(), slave.as_fd()])
        }
        None => Report::Running.send(socket, &[]),
    };
    sent.map_err(at(6))?;
    let shim = entry.exposed.then(|| sealed::seal(Image::Shim));
    let shim = shim.transpose().map_err(at(7))?;
    process::reset_signals().map_err(at(6))?;
    process::new_session_keyring().map_err(at(6))?;
    for (i, step) in (STEPS.len()..).zip(entry.profile_steps()) {
        step.perform().map_err(at(i))?;
    }
    let failure = match &shim {
        Some(shim) => sealed::exec(&entry.program, shim.as_fd(), socket),
        None => entry.program.exec(),
    };
    // Without a parent there is nobody to tell.
    let _ = Report::Exec { action: 0, failure }.send(socket, &[]);
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
            process::make_stream(slave.as_fd(), stream)?;
        }
    }
    Ok((master, slave))
}

/// Waits until the command runs.
fn await_command(
    entry: &Entry,
    socket: &OwnedFd,
    signals: &Signals,
) -> Result<(Process, Option<Console>)> {
    let mut command = None;
    let mut running = None;
    let mut tried = None;
    loop {
        signals.wait_for(socket.as_fd(), "enter the container")?;
        let received = Report::receive(socket).map_err(|errno| Error::errno(STEPS[0], errno))?;
        let Some(received) = received else { break };
        match received.report {
            Report::Started { pid } if command.is_none() => {
                let [pidfd, ..] = received.fds;
                command = pidfd.map(|pidfd| Process::new(pid, pidfd));
            }
            Report::Running if running.is_none() => running = Some(received.fds),
            Report::Exec { failure, .. } => return Err(entry.program.explain(&failure)),
            Report::Failed { action, errno } => {
                let step = match action.checked_sub(STEPS.len()) {
                    None => STEPS[action].to_string(),
                    Some(i) => match entry.profile_steps().nth(i) {
                        Some(step) => step.to_string(),
                        None => STEPS[0].to_string(),
                    },
                };
                return Err(match (step, errno) {
                    (_, Errno::ESRCH) => Error::new("enter the container", "it has ended"),
                    (_, Errno::EAGAIN) if entry.found.cgroup => cgroup::not_entered(errno),
                    (step, errno) => {
                        Error::system(if action == 2 { Op::Join } else { Op::Other }, step, errno)
                    }
                });
            }
            Report::Trying(failure) => tried = Some(failure),
            Report::Refused { errno } => {
                return Err(entry.program.explain(&sealed::refusal(tried, errno)));
            }
            Report::Helper { status } => return Err(supervise::helper_failed("inside", status)),
            // Once there is a shim, the container could speak in its place.
            Report::Started { .. } | Report::Running | Report::Made(_) => {}
        }
    }
    match (command, running) {
        (Some(command), Some([Some(master), Some(slave), _])) => {
            Ok((command, Some(Console::new(master, slave, entry.terminals)?)))
        }
        (Some(command), Some(_)) => Ok((command, None)),
        _ => Err(Error::new("enter the container", "it has ended")),
    }
}
