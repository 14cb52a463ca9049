//! Finding a container: from what a caller names to its supervisor and init,
//! by what the kernel says of them and never by what a container could write.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use std::os::fd::AsFd as _;

use crate::error::{Error, Result, quoted};
use crate::harden::Profile;
use crate::namespaces;
use crate::process::Process;
use crate::record::Record;
use crate::sys::{Sys, process};

/// What a caller names as a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The supervisor's process id, or that of any process inside.
    Pid(i32),
}

/// A container that was found, with its init held by pidfd.
pub(crate) struct Found {
    pub(crate) init: libc::pid_t,
    pub(crate) pidfd: OwnedFd,
    /// Its namespaces that are not ours.
    pub(crate) namespaces: CloneFlags,
    /// It has a cgroup of its own.
    pub(crate) cgroup: bool,
    /// What its processes may do.
    pub(crate) profile: Profile,
}

impl TryFrom<OsString> for Target {
    type Error = Error;

    fn try_from(word: OsString) -> Result<Target> {
        let what = || format!("enter container {}", quoted(&word));
        let digits = word
            .to_str()
            .filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()));
        let Some(digits) = digits else {
            return Err(Error::usage(what(), "it is not a process id"));
        };
        match digits.parse() {
            Ok(pid @ 1..) => Ok(Target::Pid(pid)),
            _ => Err(Error::usage(what(), "there is no such process id")),
        }
    }
}

impl Target {
    /// Finds the container.
    ///
    /// # Errors
    /// Why this is none, or none of the caller's.
    pub(crate) fn find(self) -> Result<Found> {
        let Target::Pid(pid) = self;
        let what = format!("enter container {pid}");
        let named = process::pidfd_open(pid).map_err(|errno| match errno {
            Errno::ESRCH | Errno::EINVAL => no_process(&what, pid),
            errno => Error::errno(what.clone(), errno),
        })?;
        let (supervisor, record) = supervisor(pid, &what)?;
        if !shares(supervisor, "user") || !shares(supervisor, "pid") {
            return Err(Error::new(what, "it is a container inside another")
                .with_hint("enter the outer container first, and inject from there"));
        }
        let init = record.init;
        let ended = |_| Error::new(what.clone(), "it has ended");
        let pidfd = process::pidfd_open(init).map_err(ended)?;
        // The pidfd is open, so what /proc says now is of that very process.
        let is_init = parent(init) == Some(supervisor) && is_pid_one(init);
        if !is_init || !alive(&named) || !alive(&pidfd) {
            return Err(Error::new(what, "it has ended"));
        }
        let namespaces = differing(init, &what)?;
        if !namespaces.contains(CloneFlags::CLONE_NEWUSER) {
            return Err(Error::new(what, "its user namespace is our own"));
        }
        Ok(Found {
            init,
            pidfd,
            namespaces,
            cgroup: record.cgroup,
            profile: record.profile,
        })
    }
}

impl Found {
    /// The container of an init that is our own child.
    pub(crate) fn of_child(init: &Process, cgroup: bool, profile: Profile) -> Result<Found> {
        let what = "enter our own container";
        let pidfd = init
            .pidfd()
            .try_clone_to_owned()
            .map_err(|error| Error::io(what, &error))?;
        Ok(Found {
            init: init.pid(),
            pidfd,
            namespaces: differing(init.pid(), what)?,
            cgroup,
            profile,
        })
    }
}

/// How long a container that is being started is waited for.
const STARTING: Duration = Duration::from_secs(2);

/// The record of process `pid`; of one whose init is about to run, once it
/// does.
fn record_of(pid: libc::pid_t) -> Sys<Option<Record>> {
    let begun = Instant::now();
    loop {
        match Record::of(pid) {
            Err(Errno::EAGAIN) if begun.elapsed() < STARTING => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

/// The nearest process at or above `pid` that holds a record.
fn supervisor(pid: libc::pid_t, what: &str) -> Result<(libc::pid_t, Record)> {
    let mut at = pid;
    loop {
        match record_of(at) {
            Ok(Some(record)) => return Ok((at, record)),
            Ok(None) => {}
            Err(Errno::ENOENT | Errno::ESRCH) => return Err(no_process(what, at)),
            Err(Errno::EAGAIN) => return Err(Error::new(what, "it is still being started")),
            // Whoever started a container may look at all that runs in it.
            Err(Errno::EACCES | Errno::EPERM) if at == pid => {
                return Err(Error::new(what, "it belongs to another user")
                    .with_hint("only root and the user who started a container can enter it"));
            }
            Err(Errno::EACCES | Errno::EPERM) => return Err(no_container(what, pid)),
            Err(errno) => return Err(Error::errno(what, errno)),
        }
        match parent(at) {
            Some(parent) if parent > 1 => at = parent,
            _ => return Err(no_container(what, pid)),
        }
    }
}

fn no_process(what: &str, pid: libc::pid_t) -> Error {
    Error::new(what, format!("there is no process {pid}"))
}

fn no_container(what: &str, pid: libc::pid_t) -> Error {
    Error::new(what, format!("process {pid} is not a container's"))
        .with_hint("pgrep -x contain lists those that run")
}

/// The number behind `key` in /proc/PID/status.
fn status(pid: libc::pid_t, key: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .map(|rest| rest.trim().to_string())
}

fn parent(pid: libc::pid_t) -> Option<libc::pid_t> {
    status(pid, "PPid:")?.parse().ok()
}

/// Whether it is the first process of a PID namespace right below ours.
fn is_pid_one(pid: libc::pid_t) -> bool {
    status(pid, "NSpid:").is_some_and(|ids| {
        let ids: Vec<&str> = ids.split_whitespace().collect();
        ids.len() >= 2 && ids.last() == Some(&"1")
    })
}

fn alive(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) == Ok(0)
}

/// Whether the process is in our own namespace of this kind, as far as we may
/// see: what cannot be seen is not shared.
fn shares(pid: libc::pid_t, kind: &str) -> bool {
    let theirs = fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    let ours = fs::read_link(format!("/proc/self/ns/{kind}"));
    theirs.is_ok_and(|theirs| ours.is_ok_and(|ours| ours == theirs))
}

/// Those of its namespaces that differ from ours: setns(2) of one that is
/// shared fails for anyone but root.
fn differing(init: libc::pid_t, what: &str) -> Result<CloneFlags> {
    let mut flags = CloneFlags::empty();
    for kind in &namespaces::ALL {
        let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{}", kind.file));
        let theirs = match link(&init.to_string()) {
            Ok(theirs) => theirs,
            // A kernel without this kind has none to differ.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(Error::io(what, &error)),
        };
        if link("self").map_err(|error| Error::io(what, &error))? != theirs {
            flags |= kind.flag;
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_process_ids() {
        let target = |word: &str| Target::try_from(OsString::from(word));
        assert_eq!(target("12").unwrap(), Target::Pid(12));
        for word in ["0", "-1", "4294967297", "1x", "", "+1", " 1"] {
            assert_eq!(target(word).unwrap_err().status(), 64, "{word:?}");
        }
    }
}
