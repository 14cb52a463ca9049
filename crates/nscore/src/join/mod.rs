//! Entering a running container: a joiner enters its namespaces, makes the
//! command there as a child of ours, and guards it; we stay outside and supervise.

pub(crate) mod cgroup;
pub(crate) mod containers;
pub(crate) mod enter;
pub(crate) mod entry;
pub(crate) mod find;
pub(crate) mod joiner;
pub(crate) mod json;
pub mod list;
pub(crate) mod stopper;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::child;
use crate::error::{Error, Result};
use crate::exec;
use crate::exec::candidate::HEADER;
use crate::exec::environ::{self, Variables};
use crate::exec::program::Program;
use crate::host::{Terminals, caller};
use crate::join::entry::{Change, Entry, exposed, give_streams};
use crate::plan::user;
use crate::proc::setgroups::setgroups_allowed;
use crate::spec::environ::Assignment;
use crate::spec::target::Target;
use crate::spec::user::UserSpec;
use crate::supervise::outcome::Outcome;
use crate::supervise::record::{Allowance, Record};

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
            login: child::user::room(user.iter()),
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
            // Our home need not be there; root's is.
            let mut base = environ::callers();
            base.retain(|(name, _)| name != "HOME");
            base.push(("HOME".into(), environ::HOME.into()));
            base
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
        let is_one = |pid: &i32| matches!(Record::of(*pid, &mut Allowance::default()), Ok(Some(_)));
        error.with_any_hint(word.filter(is_one).map(|two| {
            let them = format!("{one} and {two} among them");
            format!("several containers are running, {them}: inject -l lists them")
        }))
    }
}

/// Where the command is looked up. An ordinary user's PATH may lack what
/// container root expects of its.
pub(super) fn path(environment: &Variables) -> OsString {
    let mut path = environ::path(environment).to_os_string();
    if path != environ::PATH {
        path.push(":");
        path.push(environ::PATH);
    }
    path
}
