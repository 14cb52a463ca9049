//! The containers that run, by what the kernel says of processes: a supervisor
//! in our own user and PID namespace that holds a record, and its child that is
//! the first process of a namespace. Never by what a container could write.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::child;
use crate::error::{Error, Result};
use crate::host::caller;
use crate::plan::profile::Terms;
use crate::proc::process::{Status, comm, processes};
use crate::proc::{self, namespaces};
use crate::spec::name::Name;
use crate::supervise::record::Record;
use crate::sys::{Sys, process};

/// A running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its supervisor's process id.
    pub supervisor: i32,
    /// Who started it: the supervisor's user id.
    pub user: u32,
    /// Its init's process id in our PID namespace.
    pub init: i32,
    /// Its name, if it was given one.
    pub name: Option<Name>,
    /// Where its root file system was at its start.
    pub root: PathBuf,
    /// Its network, as `--net` names it.
    pub net: String,
    /// How long it has been running.
    pub uptime: Duration,
    /// The command that is its init.
    pub command: Vec<OsString>,
    /// On what terms it is entered.
    pub(crate) terms: Terms,
}

impl Container {
    /// The containers that the caller may enter: their own, or, for root, all.
    /// In the order of their supervisors' ids. One that is being started is none
    /// yet, but one whose init runs is, although its record may be a moment late.
    ///
    /// # Errors
    /// When the program runs setuid or setgid, or we run out of descriptors or memory
    /// meanwhile.
    pub fn all() -> Result<Vec<Container>> {
        caller::refuse_setuid()?;
        let caller = nix::unistd::getuid();
        let wanted = |user| caller.is_root() || user == caller.as_raw();
        // What calls itself that does no more than not to be waited for.
        let ours = child::NAME.to_str().ok();
        let found = running(wanted, |init| comm(init).as_deref() != ours);
        found.map_err(|errno| Error::errno("list containers", errno))
    }

    /// Those of one user; one that is being started is waited for.
    pub(crate) fn of_user(user: u32) -> Sys<Vec<Container>> {
        running(|owner| owner == user, |_| true)
    }
}

/// Those of the users wanted. The record of an init that is worth it is waited for.
fn running(
    wanted: impl Fn(u32) -> bool,
    is_worth_it: impl Fn(libc::pid_t) -> bool,
) -> Sys<Vec<Container>> {
    let now = process::clocks().map_or(0, |(_, boottime)| boottime);
    let mut found = Vec::new();
    // For all of them: any user can have processes that look as if they started.
    let deadline = Instant::now() + STARTING;
    for init in processes()? {
        let Some(status) = Status::of(init)?.filter(Status::is_pid_one) else {
            continue;
        };
        let supervisor = status.parent;
        let Some(Status { user, .. }) = Status::of(supervisor)? else {
            continue;
        };
        if !wanted(user) || !is_ours(supervisor) {
            continue;
        }
        let record = match is_worth_it(init) {
            true => record_by(deadline, supervisor),
            false => Record::of(supervisor),
        };
        let record = proc::if_there(record)?.flatten();
        let Some(record) = record.filter(|record| record.init == init) else {
            continue;
        };
        found.push(Container {
            supervisor,
            user,
            init,
            name: record.name,
            root: record.root,
            net: record.net,
            uptime: uptime(now, record.started),
            command: record.command,
            terms: record.terms,
        });
    }
    found.sort_unstable_by_key(|container| container.supervisor);
    Ok(found)
}

/// How long it has been running, by a clock in seconds. Anybody can write a record
/// of their own, so this takes any number.
fn uptime(now: i64, started: i64) -> Duration {
    Duration::from_secs(u64::try_from(now.saturating_sub(started)).unwrap_or(0))
}

/// Whether a process is where a supervisor must be. Anything inside a container
/// can hold what looks like a record, and is not there.
pub(crate) fn is_ours(supervisor: libc::pid_t) -> bool {
    let same = |kind| namespaces::share(&supervisor.to_string(), "self", kind);
    same("user") && same("pid")
}

/// How long a container that is being started is waited for.
const STARTING: Duration = Duration::from_secs(2);

/// The record of process `pid`; of one whose init is about to run, once it
/// does.
pub(crate) fn record_of(pid: libc::pid_t) -> Sys<Option<Record>> {
    record_by(Instant::now() + STARTING, pid)
}

fn record_by(deadline: Instant, pid: libc::pid_t) -> Sys<Option<Record>> {
    loop {
        match Record::of(pid) {
            Err(Errno::EAGAIN) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_start_is_some_time_ago() {
        assert_eq!(uptime(7, 5), Duration::from_secs(2));
        assert_eq!(uptime(5, 7), Duration::ZERO);
        assert_eq!(uptime(5, i64::MAX), Duration::ZERO);
        assert!(uptime(5, i64::MIN) > Duration::from_secs(5));
    }
}
