//! Finding a container: from what a caller names to its init, held by pidfd.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::unistd::getuid;

use crate::error::digits::digits;
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::host::accounts::Account;
use crate::join::containers::{Container, is_ours, record_of};
use crate::join::list;
use crate::plan::profile::Terms;
use crate::proc::namespaces::{self, is_user_initial};
use crate::proc::process::Status;
use crate::spec::name::Name;
use crate::spec::target::Target;
use crate::supervise::record::{Allowance, Record};
use crate::sys::child::Process;
use crate::sys::process;

/// A container that was found, with its init held by pidfd.
pub(crate) struct Found {
    pub(crate) init: libc::pid_t,
    pub(crate) pidfd: OwnedFd,
    /// Its namespaces that are not ours. setns(2) by pidfd is asked for exactly these:
    /// of one that is ours already it fails for an ordinary user, as the network's
    /// under -n.
    pub(crate) namespaces: CloneFlags,
    /// On what terms it is entered.
    pub(crate) terms: Terms,
}

/// What no container shares with who started it.
const OWN: CloneFlags = CloneFlags::CLONE_NEWUSER
    .union(CloneFlags::CLONE_NEWNS)
    .union(CloneFlags::CLONE_NEWPID);

fn of_user(user: u32, what: &str) -> Result<Vec<Container>> {
    Container::of_user(user).map_err(|errno| Error::errno(what, errno))
}

/// The only one of them.
fn one_of(found: Vec<Container>, what: String, none: &str) -> Result<Found> {
    match &found[..] {
        [one] => Found::new(one.supervisor, one.init, one.terms, &what),
        [] => match &Container::all()?.running[..] {
            [] => Err(Error::new(what, none).with_hint("no container of yours is running")),
            running => Err(Error::new(what, none).with_list(list::on_stderr(running))),
        },
        several => Err(
            Error::new(what, format!("there are {} of them", several.len()))
                .with_list(list::on_stderr(several))
                .with_hint("name one by its PID"),
        ),
    }
}

/// The caller's containers of that directory; for root also those of USER/NAME,
/// which looks like one.
fn by_dir(dir: &Path, what: &str) -> Result<Vec<Container>> {
    let mut found = Vec::new();
    let named = getuid().is_root().then(|| users_name(dir.as_os_str()));
    let named = named.flatten();
    if let Some((user, name)) = &named {
        found = of_user(*user, what)?;
        found.retain(|container| container.name.as_ref() == Some(name));
    }
    match dir.canonicalize() {
        Ok(root) => {
            let own = of_user(getuid().as_raw(), what)?;
            found.extend(own.into_iter().filter(|container| container.root == root));
            found.sort_unstable_by_key(|container| container.supervisor);
            found.dedup();
            Ok(found)
        }
        Err(_) if !found.is_empty() => Ok(found),
        Err(_) if named.is_some() => {
            let reason = "that user runs no container of this name, and no directory has it";
            Err(Error::new(what, reason))
        }
        Err(error) => Err(Error::io(what, &error)),
    }
}

/// USER/NAME, if it reads so and there is such a user.
fn users_name(word: &OsStr) -> Option<(u32, Name)> {
    let (user, name) = word.to_str()?.split_once('/')?;
    let name = name.parse().ok()?;
    let user = digits(user).or_else(|| Some(Account::named(user)?.uid))?;
    Some((user, name))
}

/// By the supervisor itself, or by a process inside.
fn by_pid(pid: libc::pid_t) -> Result<Found> {
    let what = format!("enter container {pid}");
    let named = process::pidfd_open(pid).map_err(|errno| match errno {
        Errno::ESRCH | Errno::EINVAL => no_process(&what, pid),
        errno => Error::errno(&*what, errno),
    })?;
    // Most name a supervisor, and a process that is where one must be and holds
    // the record of one needs no longer look.
    let found = match is_ours(pid).then(|| Record::of(pid, &mut Allowance::default())) {
        Some(Ok(Some(record))) => Found::new(pid, record.init, record.terms, &what)?,
        _ => by_ancestor(pid, &what)?,
    };
    if !alive(&named) {
        return Err(ended(&what));
    }
    Ok(found)
}

/// By a process inside: its nearest ancestor outside is the supervisor, or the
/// inject that brought it there.
fn by_ancestor(pid: libc::pid_t, what: &str) -> Result<Found> {
    let status_of = |pid| Status::of(pid).map_err(|errno| Error::errno(what, errno));
    let mut status = status_of(pid)?.ok_or_else(|| no_process(what, pid))?;
    let (mut inside, mut at) = (None, pid);
    while !status.is_beside_us() {
        inside = Some(at);
        at = status.parent;
        status = status_of(at)?.ok_or_else(|| no_container(what, pid))?;
    }
    let record = match record_of(at) {
        Err(Errno::EAGAIN) => Err(Error::new(what, "it is still being started")),
        Err(Errno::EDQUOT) => Err(Error::new(what, "its descriptors take too long to look at")),
        // What a record would say of it cannot be read from below either.
        Err(Errno::EACCES | Errno::EPERM) if !is_user_initial() => {
            Err(Error::new(what, "this user namespace may not look at it")
                .with_hint("inject from the one in which the container was started"))
        }
        Err(Errno::EACCES | Errno::EPERM) if status.user != getuid().as_raw() => {
            Err(Error::new(what, "it belongs to another user")
                .with_hint("only root and the user who started a container can enter it"))
        }
        Err(Errno::EACCES | Errno::EPERM) => Err(no_container(what, pid)),
        Err(Errno::ENOENT | Errno::ESRCH) => Err(no_process(what, pid)),
        Err(errno) => Err(Error::errno(what, errno)),
        Ok(record) => Ok(record),
    }?;
    match (record, inside) {
        (Some(_), _) if !is_ours(at) => {
            Err(Error::new(what, "it was started in another user namespace")
                .with_hint("inject from there"))
        }
        (Some(record), _) if record.owner == status.user => {
            Found::new(at, record.init, record.terms, what)
        }
        (None, Some(inside)) => {
            let injected = |it: &Container| {
                namespaces::share(&it.init.to_string(), &inside.to_string(), "pid")
            };
            let found = Container::all()?.running.into_iter().find(injected);
            let found = found.ok_or_else(|| no_container(what, pid))?;
            Found::new(found.supervisor, found.init, found.terms, what)
        }
        (Some(_), _) | (None, None) => Err(no_container(what, pid)),
    }
}

impl Found {
    /// Takes hold of the container of this supervisor and init.
    fn new(supervisor: libc::pid_t, init: libc::pid_t, terms: Terms, what: &str) -> Result<Found> {
        let failed = |errno| match errno {
            Errno::ESRCH | Errno::EINVAL => ended(what),
            errno => Error::errno(what, errno),
        };
        let pidfd = process::pidfd_open(init).map_err(failed)?;
        // The pidfd is open, so what /proc says now is of that very process.
        let is_init = |status: &Status| status.parent == supervisor && status.is_pid_one();
        let status = Status::of(init).map_err(failed)?.filter(is_init);
        if status.is_none() || !alive(&pidfd) {
            return Err(ended(what));
        }
        let namespaces = namespaces::differing(init).map_err(|errno| Error::errno(what, errno))?;
        if !namespaces.contains(OWN) {
            let shared = crate::sys::namespaces::Set(OWN - namespaces);
            let reason = format!("its {shared} namespace is our own");
            return Err(Error::new(what, reason));
        }
        Ok(Found {
            init,
            pidfd,
            namespaces,
            terms,
        })
    }

    /// Whether its init ends in this time.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        !lives_on(&self.pidfd, timeout)
    }

    /// The container of an init that is our own child.
    pub(crate) fn of_child(init: &Process, terms: Terms) -> Result<Found> {
        let what = "enter our own container";
        let pidfd = init
            .pidfd()
            .try_clone_to_owned()
            .map_err(|error| Error::io(what, &error))?;
        Ok(Found {
            init: init.pid(),
            pidfd,
            namespaces: namespaces::differing(init.pid())
                .map_err(|errno| Error::errno(what, errno))?,
            terms,
        })
    }
}

fn no_process(what: &str, pid: libc::pid_t) -> Error {
    Error::new(what, format!("there is no process {pid}"))
}

fn ended(what: &str) -> Error {
    Error::new(what, "it has ended")
}

fn no_container(what: &str, pid: libc::pid_t) -> Error {
    Error::new(what, format!("process {pid} is not a container's"))
        .with_hint("inject -l lists those that you can enter")
}

fn alive(pidfd: &OwnedFd) -> bool {
    lives_on(pidfd, PollTimeout::ZERO)
}

fn lives_on(pidfd: &OwnedFd, timeout: PollTimeout) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, timeout) == Ok(0)
}

impl Target {
    /// Finds the container.
    ///
    /// # Errors
    /// Why this is none, or none of the caller's, or more than one.
    pub(crate) fn find(&self) -> Result<Found> {
        match self {
            Target::Pid(pid) => by_pid(*pid),
            Target::Name(name) => {
                let what = format!("enter container {name}");
                let mut own = of_user(getuid().as_raw(), &what)?;
                own.retain(|container| container.name.as_ref() == Some(name));
                one_of(own, what, "you run no container of this name").map_err(|error| {
                    let is_dir = Path::new(name.as_str()).is_dir();
                    let hint = || format!("a directory is told by its slash: ./{name}");
                    error.with_any_hint(is_dir.then(hint))
                })
            }
            Target::Dir(dir) => {
                let what = format!("enter container {}", quoted(dir));
                let found = by_dir(dir, &what)?;
                one_of(found, what, "you run no container from this directory")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_name() {
        let read = |word: &str| users_name(OsStr::new(word));
        assert_eq!(read("7/web"), Some((7, "web".parse().unwrap())));
        assert_eq!(read("root/web"), Some((0, "web".parse().unwrap())));
        for word in [
            "web",
            "/web",
            "root/",
            "root/web/x",
            "./web",
            "root/12",
            "-x/web",
            "+5/web",
        ] {
            assert_eq!(read(word), None, "{word}");
        }
    }
}
