//! Entering a running container: a joiner enters its namespaces, makes the
//! command there as a child of ours, and guards it; we stay outside and supervise.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

use crate::caller;
use crate::cgroup;
use crate::console::Console;
use crate::environ::{self, Assignment, Variables};
use crate::error::{Error, Result};
use crate::exec::{self, HEADER, Program};
use crate::harden::{self, Profile};
use crate::host::Terminals;
use crate::idmap::{IdMap, setgroups_allowed};
use crate::message::{Fds, Report};
use crate::net::Attached;
use crate::outcome::Outcome;
use crate::process::Process;
use crate::procfs;
use crate::record::{Record, Terms};
use crate::sealed;
use crate::signals::Signals;
use crate::supervise::{self, Role};
use crate::sys::shim::Image;
use crate::sys::tty::Look;
use crate::sys::{descriptors, socket};
use crate::target::{Found, Target};
use crate::user::{self, Login, UserSpec};

mod inside;
#[cfg(test)]
mod tests;

use inside::{Started, Step};

/// What most errors are about.
const ENTER: &str = "enter the container";

/// A command to run in a container.
#[derive(Debug, Clone)]
pub struct Join {
    /// The container.
    pub target: Target,
    /// The command; none means $SHELL, else /bin/sh. A name without a slash is
    /// looked up in the PATH of its environment, inside.
    pub command: Vec<OsString>,
    /// A fresh pseudo-terminal inside for each of our standard streams that is
    /// a terminal. Without, the command gets our streams as they are.
    pub console: bool,
    /// Give it init's kind of environment instead of ours.
    pub clear_environment: bool,
    /// What is added to the environment.
    pub environment: Vec<Assignment>,
    /// Where it starts, an absolute path inside; None means /.
    pub workdir: Option<PathBuf>,
    /// Whom it runs as; None means the container's root.
    pub user: Option<UserSpec>,
}

/// Everything the joiner and the command touch, prepared before the fork.
struct Entry {
    found: Found,
    program: Program,
    may_set_groups: bool,
    /// Drop ours before we enter. A user may once inside, if anybody may there.
    drop_own_groups: bool,
    /// The streams that become a terminal inside.
    terminals: [bool; 3],
    look: Option<Look>,
    /// Stay in the session of the caller's terminal.
    share_terminal: bool,
    /// The file of this program is one that the container could change.
    exposed: bool,
    /// What the command gives up, who it becomes, and where.
    changes: Vec<Change>,
    /// Room for that user, and for a file that could not be run.
    login: Option<Box<Login>>,
    header: Vec<u8>,
}

/// A step that makes the command no more than a process of the container's own,
/// or somebody else than its root.
#[derive(Debug)]
enum Change {
    Profile(harden::Step),
    User(user::Step),
}

impl Change {
    /// Those of the profile that take container root's rights come before the
    /// change of user, which takes them as well, and the last of all after it.
    fn all(profile: Profile, user: Vec<user::Step>) -> Vec<Change> {
        let limits = profile.limits().map(Change::Profile);
        let user = user.into_iter().map(Change::User);
        let last = Change::Profile(profile.last());
        limits.chain(user).chain([last]).collect()
    }

    fn explain(&self, errno: Errno) -> Error {
        match self {
            Change::Profile(step) => Error::errno(step.to_string(), errno),
            Change::User(step) => match step.reason(errno) {
                Some(reason) => Error::new(step.to_string(), reason),
                None => Error::errno(step.to_string(), errno),
            },
        }
    }
}

/// Which ids of ours the container of `init` has, by the name of the file that says
/// so.
fn ids(init: libc::pid_t, file: &str) -> Result<IdMap> {
    let path = format!("/proc/{init}/{file}");
    let failed = |error| Error::io(format!("read {path}"), &error);
    let text = procfs::read(&path).map_err(failed)?;
    IdMap::from_kernel_text(&text).ok_or_else(|| Error::new(ENTER, "it maps no id"))
}

/// Whether the container of `init` could change this program's file.
fn exposed(init: libc::pid_t) -> Result<bool> {
    let users = ids(init, "uid_map")?;
    let due = sealed::due(Image::Shim, |id| users.has_outside(id))?;
    Ok(due.is_some())
}

/// Gives the container's root what it can have of our standard streams.
fn give_streams(init: libc::pid_t) -> Result<()> {
    let (users, groups) = (ids(init, "uid_map")?, ids(init, "gid_map")?);
    if let Some(root) = users.outside(0).zip(groups.outside(0)) {
        descriptors::give_pipes(root, |user| users.has_outside(user));
    }
    Ok(())
}

impl Join {
    /// A command in this container, with all defaults.
    #[must_use]
    pub fn new(target: Target) -> Join {
        Join {
            target,
            command: Vec::new(),
            console: true,
            clear_environment: false,
            environment: Vec::new(),
            workdir: None,
            user: None,
        }
    }

    /// Runs the command to its end. Single-threaded callers only; blocks all
    /// signals, for good, and passes them to the command.
    ///
    /// Where systemd has to let us into the container's cgroup, this program is
    /// started again with its own arguments, which are to make the same request:
    /// see [`Scope::enter`](crate::Scope::enter).
    ///
    /// # Errors
    /// Whatever keeps the command from running inside. It never runs outside.
    pub fn run(&self) -> Result<Outcome> {
        caller::refuse_setuid()?;
        let user = user::steps(self.user.as_ref(), self.workdir.as_deref())?;
        let program = self.program()?;
        let terminals = Terminals::probe();
        let found = self.target.find()?;
        if let Some(scope) = cgroup::scope_to_enter(&found)? {
            return Err(scope.enter());
        }
        let fresh = self.console && terminals.any();
        // Ours are an ordinary user's own, and so container root's.
        if nix::unistd::geteuid().is_root() {
            give_streams(found.init)?;
        }
        Entry {
            may_set_groups: setgroups_allowed(found.init)?,
            program,
            drop_own_groups: nix::unistd::geteuid().is_root(),
            terminals: terminals.streams.map(|terminal| fresh && terminal),
            look: fresh.then_some(terminals.look),
            share_terminal: !self.console,
            exposed: exposed(found.init)?,
            login: Login::room(user.iter()),
            header: vec![0; HEADER],
            changes: Change::all(found.terms.profile, user),
            found,
        }
        .run()
        .map_err(|error| self.several(error))
    }

    fn program(&self) -> Result<Program> {
        let base = if self.clear_environment {
            environ::own()
        } else {
            environ::callers()
        };
        let environment = environ::of(base, &self.environment, self.user.as_ref());
        exec::command_or_shell(&self.command, &environment, &path(&environment))
    }

    /// `inject 12 34 CMD` would run "34" in 12: what pgrep printed when two
    /// containers run.
    fn several(&self, error: Error) -> Error {
        let Target::Pid(one) = self.target else {
            return error;
        };
        let word = self
            .command
            .first()
            .and_then(|word| word.to_str()?.parse().ok());
        match word.filter(|pid| matches!(Record::of(*pid), Ok(Some(_)))) {
            Some(two) => error.with_hint(format!(
                "several containers are running, {one} and {two} among them: inject -l lists them"
            )),
            None => error,
        }
    }
}

/// Where the command is looked up. An ordinary user's PATH may lack what
/// container root expects of its.
fn path(environment: &Variables) -> OsString {
    let mut path = exec::path(environment).to_os_string();
    if path != exec::PATH {
        path.push(":");
        path.push(exec::PATH);
    }
    path
}

/// Runs a command in the container of our own child `init`, without a terminal,
/// in init's kind of environment and with no more rights.
pub(crate) fn run_inside(init: &Process, terms: Terms, command: &[OsString]) -> Result<u8> {
    let environment = environ::own();
    let entry = Entry {
        may_set_groups: setgroups_allowed(init.pid())?,
        found: Found::of_child(init, terms)?,
        program: Program::new(command, &environment, exec::path(&environment))?,
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
    fn run(mut self) -> Result<Outcome> {
        let signals = Signals::block()?;
        descriptors::close_at_exec()
            .map_err(|errno| Error::errno("mark inherited descriptors close-on-exec", errno))?;
        let Started { joiner, command } = inside::start(&mut self)?;
        let life = joiner.life.as_ref().ok_or_else(ended)?;
        let (command, fds) = self.await_command(life, command, &signals)?;
        let console = match fds {
            [Some(master), Some(slave), _] => Some(Console::new(master, slave, self.terminals)?),
            _ => None,
        };
        let role = Role::Command {
            shares_terminal: self.share_terminal,
        };
        let outcome = supervise::until_end(command, console, Attached::default(), &signals, role)?;
        joiner.release();
        Ok(outcome)
    }

    /// Waits until the command runs; the descriptors are its terminal's.
    fn await_command(
        &self,
        life: &OwnedFd,
        socket: OwnedFd,
        signals: &Signals,
    ) -> Result<(Process, Fds)> {
        signals.wait_for(life.as_fd(), ENTER)?;
        let command = match self.next(life)? {
            Some((Report::Started { pid }, [Some(pidfd), ..])) => Process::new(pid, pidfd),
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
                Some((Report::Running, fds)) if running.is_none() => running = Some(fds),
                Some((Report::Trying(candidate), _)) if tried.is_none() => tried = Some(candidate),
                Some((Report::Refused { errno }, _)) => {
                    return Err(self.program.explain(&sealed::refusal(tried, errno)));
                }
                _ => return Err(ended()),
            }
        }
        Ok((command, running.ok_or_else(ended)?))
    }

    /// The next report; one of a failure is an error.
    fn next(&self, socket: &OwnedFd) -> Result<Option<(Report<'static>, Fds)>> {
        let received =
            Report::receive(socket).map_err(|errno| self.failed(Step::Prepare as usize, errno))?;
        match received.map(|received| (received.report, received.fds)) {
            Some((Report::Failed { action, errno }, _)) => Err(self.failed(action, errno)),
            Some((Report::Exec { failure, .. }, _)) => Err(self.program.explain(&failure)),
            other => Ok(other),
        }
    }

    /// What went wrong at this step.
    fn failed(&self, step: usize, errno: Errno) -> Error {
        let change = step.checked_sub(Step::ALL.len());
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
        let step = Step::ALL.get(step).copied().unwrap_or(Step::Prepare);
        Error::system(step.op(), step.to_string(), errno)
    }
}

fn ended() -> Error {
    Error::new(ENTER, "it has ended")
}
