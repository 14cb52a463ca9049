//! The containers that run, by what the kernel says of processes: a supervisor
//! in our own user and PID namespace that holds a record, and its child that is
//! the first process of a namespace. Never by what a container could write.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::child;
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::host::accounts::Account;
use crate::host::caller;
use crate::plan::profile::Terms;
use crate::proc::process::{Status, comm, processes};
use crate::proc::{self, namespaces};
use crate::spec::name::Name;
use crate::supervise::record::{Allowance, Record};
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

/// Containers that run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Containers {
    /// In the order of their supervisors' ids.
    pub running: Vec<Container>,
    /// Users whose processes were not all looked at, because they would take too long:
    /// containers of theirs may be missing.
    pub left_out: Vec<u32>,
}

impl Container {
    /// The containers that the caller may enter: their own, or, for root, all. One that
    /// is being started is none yet, but one whose init runs is, although its record
    /// may be a moment late.
    ///
    /// # Errors
    /// When the program runs setuid or setgid, there is no /proc, or we run out of
    /// descriptors or memory meanwhile.
    pub fn all() -> Result<Containers> {
        const WHAT: &str = "list containers";
        caller::refuse_setuid()?;
        let caller = nix::unistd::getuid();
        let wanted = |user| caller.is_root() || user == caller.as_raw();
        // What calls itself that does no more than not to be waited for.
        let ours = child::NAME.to_str().ok();
        match running(wanted, |init| comm(init).as_deref() != ours) {
            Err(Errno::ENOENT) => Err(Error::new(WHAT, "no proc is mounted on /proc")),
            found => found.map_err(|errno| Error::errno(WHAT, errno)),
        }
    }

    /// Those of one user; one that is being started is waited for.
    pub(crate) fn of_user(user: u32) -> Sys<Vec<Container>> {
        running(|owner| owner == user, |_| true).map(|found| found.running)
    }
}

impl Containers {
    /// What a list of them does not show, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let users = self.left_out.iter();
        let warning = |user: &u32| {
            let user = quoted(Account::of(*user).shown());
            format!(
                "the processes of {user} take too long to look at: some containers of theirs may be missing"
            )
        };
        users.map(warning).collect()
    }
}

/// A process that may be a container's init, and its parent's owner.
#[derive(Clone, Copy)]
struct Candidate {
    init: libc::pid_t,
    supervisor: libc::pid_t,
    user: u32,
}

impl Candidate {
    fn of(init: libc::pid_t, wanted: impl Fn(u32) -> bool) -> Sys<Option<Candidate>> {
        let Some(status) = Status::of(init)?.filter(Status::is_pid_one) else {
            return Ok(None);
        };
        let supervisor = status.parent;
        let user = Status::of(supervisor)?.map(|status| status.user);
        let user = user.filter(|user| wanted(*user) && is_ours(supervisor));
        Ok(user.map(|user| Candidate {
            init,
            supervisor,
            user,
        }))
    }
}

/// Those of the users wanted. The record of an init that is worth it is waited for, all
/// of them together: any user can have processes that look as if they started.
fn running(
    wanted: impl Fn(u32) -> bool,
    is_worth_it: impl Fn(libc::pid_t) -> bool,
) -> Sys<Containers> {
    let now = process::clocks().map_or(0, |(_, boottime)| boottime);
    let mut allowances = BTreeMap::<u32, Allowance>::new();
    let mut found = Containers::default();
    let mut look = |it: Candidate| -> Sys<bool> {
        let Candidate {
            init,
            supervisor,
            user,
        } = it;
        let allowance = allowances.entry(user).or_default();
        let record = match Record::of(supervisor, allowance) {
            Err(Errno::EAGAIN) => return Ok(false),
            Err(Errno::EDQUOT) => {
                found.left_out.push(user);
                return Ok(true);
            }
            record => proc::if_there(record)?.flatten(),
        };
        found.running.extend(
            record
                .filter(|record| record.init == init && record.owner == user)
                .map(|record| Container {
                    supervisor,
                    user,
                    init,
                    name: record.name,
                    root: record.root,
                    net: record.net,
                    uptime: uptime(now, record.started),
                    command: record.command,
                    terms: record.terms,
                }),
        );
        Ok(true)
    };
    let mut starting = Vec::new();
    for init in processes()? {
        let Some(candidate) = Candidate::of(init, &wanted)? else {
            continue;
        };
        if !look(candidate)? && is_worth_it(init) {
            starting.push(candidate);
        }
    }
    let deadline = Instant::now() + STARTING;
    while !starting.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
        for candidate in std::mem::take(&mut starting) {
            if !look(candidate)? {
                starting.push(candidate);
            }
        }
    }
    let Containers { running, left_out } = &mut found;
    running.sort_unstable_by_key(|container| container.supervisor);
    left_out.sort_unstable();
    left_out.dedup();
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

/// The record of process `pid`; of one whose init is about to run, once it does.
pub(crate) fn record_of(pid: libc::pid_t) -> Sys<Option<Record>> {
    let deadline = Instant::now() + STARTING;
    let mut allowance = Allowance::default();
    loop {
        match Record::of(pid, &mut allowance) {
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
