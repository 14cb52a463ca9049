//! The two cgroups of a container, made.

use std::cell::OnceCell;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};

use crate::error::{Error, Result};
use crate::plan::cgroup::{CgroupPlan, Purpose, Write};
use crate::proc::{self, namespaces};
use crate::start::cgroup::traces::{SUPERVISOR, Traces, control};
use crate::start::guard::Guard;
use crate::start::store::Lock;
use crate::sys::child::Process;
use crate::sys::{Sys, cgroup};

/// The container's own cgroup, and the one around it with its limits.
pub(crate) struct Cgroups {
    group: OwnedFd,
    own: OwnedFd,
    traces: Traces,
    /// Removes both when it is dropped.
    guard: Option<Guard>,
    /// The user namespace of init.
    users: OnceCell<OwnedFd>,
}

/// What its root owns of it, to divide it: "Delegation" in cgroup-v2.rst.
const DELEGATED: [&std::ffi::CStr; 4] = [
    c"",
    c"cgroup.procs",
    c"cgroup.subtree_control",
    c"cgroup.threads",
];

impl Cgroups {
    /// Makes them, and first of all a guard, which removes them whenever we end,
    /// and shares `lock`.
    ///
    /// # Errors
    /// A limit that the kernel does not take.
    pub(crate) fn make(plan: &CgroupPlan, lock: Option<&Lock>) -> Result<Cgroups> {
        let made = |errno| Error::errno("make a cgroup for the container", errno);
        let traces = plan.traces()?;
        let guard = Guard::new(lock, &traces)?;
        let home = traces.fd();
        if traces.moves {
            make_room(home, guard.pid())
                .map_err(|errno| Error::errno("make room in our cgroup", errno))?;
        }
        for name in &traces.enable {
            control(home, '+', name)
                .map_err(|errno| Error::errno(format!("hand on the {name} controller"), errno))?;
        }
        mkdirat(home, traces.name.as_c_str(), MODE).map_err(made)?;
        let group = cgroup::open(home, &traces.name).map_err(made)?;
        plan.writes
            .iter()
            .try_for_each(|write| set(group.as_fd(), write))?;
        // For limits that are set inside: nothing of ours depends on them.
        let controllers = cgroup::read(group.as_fd(), c"cgroup.controllers").map_err(made)?;
        for name in controllers.split_whitespace() {
            let _ = control(group.as_fd(), '+', name);
        }
        mkdirat(&group, c"container", MODE).map_err(made)?;
        let own = cgroup::open(group.as_fd(), c"container").map_err(made)?;
        match delegate(own.as_fd(), plan.owner) {
            // Not within the power of a user whose container's root is another
            // id; an init that divides nothing does not mind.
            Err(Errno::EPERM) if plan.purpose == Purpose::Limits => {}
            Err(errno) => {
                return Err(Error::errno("give the container's root its cgroup", errno));
            }
            Ok(()) => {}
        }
        Ok(Cgroups {
            group,
            own,
            traces,
            guard: Some(guard),
            users: OnceCell::new(),
        })
    }

    /// Where init is made.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }

    /// From now on the guard kills `init` at our end, and `companion` with it.
    pub(crate) fn watch(&self, init: &Process, companion: Option<BorrowedFd>) -> Result<()> {
        let users = namespaces::open(init.pid(), "user")?;
        let users = self.users.get_or_init(|| users);
        let guard = self.guard.as_ref();
        guard.map_or(Ok(()), |guard| {
            guard.watch(init.pidfd(), companion, users.as_fd())
        })
    }

    /// Whether the kernel has ended a process of the container because all
    /// together met their limit; "memory.events" in cgroup-v2.rst.
    pub(crate) fn out_of_memory(&self) -> bool {
        let counted = |file, name: &str| {
            let events = cgroup::read(self.group.as_fd(), file).unwrap_or_default();
            let count = events.lines().find_map(|line| line.strip_prefix(name));
            count.is_some_and(|count| count != "0")
        };
        // A limit that was set inside is none of ours, and a process may be
        // killed for want of memory of the whole machine.
        counted(c"memory.events.local", "oom ") && counted(c"memory.events", "oom_kill ")
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let done = self.guard.take().is_some_and(Guard::finish);
        if !done {
            self.traces.clear(self.users.get().map(OwnedFd::as_fd));
        }
    }
}

const MODE: Mode = Mode::from_bits_retain(0o755);

/// Moves us and the guard to a cgroup below: one that hands controllers on
/// takes no process.
fn make_room(home: BorrowedFd, guard: libc::pid_t) -> Sys<()> {
    match mkdirat(home, SUPERVISOR, MODE) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let room = cgroup::open(home, SUPERVISOR)?;
    cgroup::write(room.as_fd(), c"cgroup.procs", guard.to_string().as_bytes())?;
    cgroup::write(room.as_fd(), c"cgroup.procs", b"0")
}

fn set(group: BorrowedFd, write: &Write) -> Result<()> {
    let key = CString::new(write.key.as_str()).unwrap_or_default();
    match cgroup::write(group, &key, write.value.as_bytes()) {
        Err(Errno::ENOENT) if key.as_c_str() == c"memory.swap.max" => {
            if write.value == "max" || write.implied && !swap_in_use() {
                return Ok(());
            }
            Err(Error::new("limit swap", "this kernel does not count it")
                .with_hint("boot with swapaccount=1, or allow all of it: --swap max"))
        }
        Err(Errno::ENOENT) => Err(Error::new(
            format!("set {}", write.key),
            "this kernel has no such setting",
        )),
        other => other.map_err(|errno| {
            let value = crate::error::text::quoted(&write.value);
            Error::errno(format!("set {} to {value}", write.key), errno)
        }),
    }
}

/// proc_swaps(5): a line for each area below the first.
fn swap_in_use() -> bool {
    let swaps = proc::read("/proc/swaps").unwrap_or_default();
    swaps.lines().count() > 1
}

fn delegate(own: BorrowedFd, (uid, gid): (u32, u32)) -> Sys<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if (uid, gid) == (nix::unistd::geteuid(), nix::unistd::getegid()) {
        return Ok(());
    }
    DELEGATED
        .iter()
        .try_for_each(|file| fchownat(own, *file, Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH))
}
