//! What a container's cgroups leave to clear up, known before they are made, so
//! that whoever outlives their maker can do it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::signal::kill;
use nix::unistd::{self, Pid};

use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::plan::cgroup::{CgroupPlan, Home, Way};
use crate::sys::{Sys, cgroup, clone, path, process};

impl CgroupPlan {
    /// What is left to remove at the end of a start, by names that nobody else
    /// uses: known before anything is made.
    ///
    /// # Errors
    /// When the cgroup for it cannot be opened, or is not where we are.
    pub(crate) fn traces(&self) -> Result<Traces> {
        match &self.way {
            Way::Here(home) => Traces::new(home),
            Way::Scope(scope) => {
                let reason = "systemd manages the cgroup that we are in";
                Err(Error::new(self.purpose.what(), reason).with_hint(scope.hint()))
            }
        }
    }
}

/// Where we go when we make room in a cgroup of our own.
pub(super) const SUPERVISOR: &CStr = c"supervisor";

/// How long processes may take to be gone after they were killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cgroup, by name, and what its making changes around it.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(super) home: OwnedFd,
    pub(super) name: CString,
    /// Controllers to be handed on by the home. They stay so: others may use
    /// them by then.
    pub(super) enable: Vec<String>,
    /// We go to another cgroup, and come back when the home hands on nothing.
    pub(super) moves: bool,
    maker: libc::pid_t,
}

impl Traces {
    pub(super) fn new(home: &Home) -> Result<Traces> {
        let dir = &home.dir;
        let opened = path::open(dir, OFlag::O_DIRECTORY)
            .map_err(|errno| Error::errno(format!("open cgroup {}", quoted(dir)), errno))?;
        Ok(Traces {
            home: opened,
            name: unique_name(),
            enable: home.enable.clone(),
            moves: home.alone,
            maker: unistd::getpid().as_raw(),
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.home.as_fd()
    }

    /// Ends what still runs in the cgroup and removes it; cgroups that ids of
    /// the container have made, as root of its user namespace `users`.
    pub(crate) fn clear(&self, users: Option<BorrowedFd>) {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        // There is nobody to tell of a failure.
        while self.remove(users).is_err() && begun.elapsed() < PATIENCE {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        self.clear_abandoned();
        if self.moves {
            let _ = self.move_back();
        }
    }

    /// Removes what is left beside it of containers whose supervisor and guard
    /// were killed at the same moment.
    fn clear_abandoned(&self) {
        let now = since_epoch();
        let names = cgroup::children(self.fd(), usize::MAX).unwrap_or_default();
        for name in names.iter().filter(|name| is_abandoned(name, now)) {
            // An init that cleared its death signal lives on in it.
            let empty = cgroup::open(self.fd(), name)
                .and_then(|group| cgroup::is_populated(group.as_fd()))
                .is_ok_and(|populated| !populated);
            if empty {
                let _ = cgroup::remove(self.fd(), name);
            }
        }
    }

    fn remove(&self, users: Option<BorrowedFd>) -> Sys<()> {
        let group = match cgroup::open(self.fd(), &self.name) {
            Err(Errno::ENOENT) => return Ok(()),
            other => other?,
        };
        // Linux 5.14. Before, the end of init ends all but a process that is
        // just being sent there, which finds nothing to enter.
        let _ = cgroup::write(group.as_fd(), c"cgroup.kill", b"1");
        match cgroup::remove(self.fd(), &self.name) {
            Err(Errno::EACCES | Errno::EPERM) => self.remove_as_root_of(users),
            other => other,
        }
    }

    #[allow(unsafe_code)]
    fn remove_as_root_of(&self, users: Option<BorrowedFd>) -> Sys<()> {
        let users = users.ok_or(Errno::EACCES)?;
        let life = || {
            let removed = nix::sched::setns(users, CloneFlags::CLONE_NEWUSER)
                .and_then(|()| cgroup::remove(self.fd(), &self.name));
            i32::from(removed.is_err())
        };
        // SAFETY: this process has one thread, see clone::fork.
        let (pid, _) = unsafe { clone::fork_to(libc::SIGCHLD, life) }?;
        match process::wait(pid)? {
            0 => Ok(()),
            _ => Err(Errno::EBUSY),
        }
    }

    /// Leaves the home as it was: a cgroup that hands controllers on takes no
    /// process.
    fn move_back(&self) -> Sys<()> {
        for name in &self.enable {
            control(self.fd(), '-', name)?;
        }
        for pid in [self.maker, unistd::getpid().as_raw()] {
            // The maker may have ended.
            let _ = cgroup::write(self.fd(), c"cgroup.procs", pid.to_string().as_bytes());
        }
        unistd::unlinkat(self.fd(), SUPERVISOR, unistd::UnlinkatFlags::RemoveDir)
    }
}

/// Hands a controller on to the cgroups below, or no longer.
pub(super) fn control(cgroup: BorrowedFd, sign: char, controller: &str) -> Sys<()> {
    let text = format!("{sign}{controller}");
    cgroup::write(cgroup, c"cgroup.subtree_control", text.as_bytes())
}

/// A name that no other start uses, also one whose process has our number in
/// another PID namespace.
fn unique_name() -> CString {
    let (pid, now) = (std::process::id(), since_epoch().as_nanos());
    // Digits and letters hold no NUL.
    CString::new(format!("{PREFIX}{pid}-{now:x}")).unwrap_or_default()
}

const PREFIX: &str = "contain-";

/// Whether a cgroup has a name of ours, and nobody to remove it. One that is new
/// may just be in the making, by a process of another PID namespace.
fn is_abandoned(name: &CStr, now: Duration) -> bool {
    let parse = || {
        let (pid, made) = name.to_str().ok()?.strip_prefix(PREFIX)?.split_once('-')?;
        let made = u64::from_str_radix(made, 16).ok()?;
        Some((pid.parse().ok()?, Duration::from_nanos(made)))
    };
    parse().is_some_and(|(pid, made)| {
        let gone = kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH);
        gone && now.saturating_sub(made) > NEW
    })
}

/// Far longer than a start needs from its cgroup to its first process.
const NEW: Duration = Duration::from_secs(60);

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_and_old_is_abandoned() {
        let now = since_epoch();
        let made = |before: u64| (now - Duration::from_secs(before)).as_nanos();
        // No process has a number above 4194304, proc_sys_kernel(5).
        for (name, expected) in [
            (format!("contain-4194305-{:x}", made(3600)), true),
            ("contain-4194305-1".to_string(), true),
            (format!("contain-4194305-{:x}", made(10)), false),
            (format!("contain-{}-1", std::process::id()), false),
            ("contain-1-1".to_string(), false),
            ("contain-4194305".to_string(), false),
            ("contain-x-1".to_string(), false),
            ("contain-4194305-1.scope".to_string(), false),
            ("other-4194305-1".to_string(), false),
        ] {
            let name = CString::new(name).unwrap();
            assert_eq!(is_abandoned(&name, now), expected, "{name:?}");
        }
        assert!(!is_abandoned(&unique_name(), now));
    }
}
