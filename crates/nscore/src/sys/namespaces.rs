//! The kinds of namespaces, in one table: namespaces(7).

use std::fmt;

use nix::sched::CloneFlags;

/// A kind of namespace.
pub(crate) struct Namespace {
    /// The flag of clone(2), unshare(2) and setns(2).
    pub(crate) flag: CloneFlags,
    /// The name under /proc/PID/ns.
    pub(crate) file: &'static str,
    /// The English name.
    pub(crate) name: &'static str,
}

/// CLONE_NEWTIME, which shares its bit with the exit signal of clone(2) and so
/// works with unshare(2) and setns(2) only, time_namespaces(7).
pub(crate) const NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// All of them, in the order in which they are listed.
pub(crate) const ALL: [Namespace; 8] = [
    kind(CloneFlags::CLONE_NEWUSER, "user", "user"),
    kind(CloneFlags::CLONE_NEWNS, "mnt", "mount"),
    kind(CloneFlags::CLONE_NEWPID, "pid", "PID"),
    kind(CloneFlags::CLONE_NEWIPC, "ipc", "IPC"),
    kind(CloneFlags::CLONE_NEWUTS, "uts", "UTS"),
    kind(CloneFlags::CLONE_NEWNET, "net", "network"),
    kind(CloneFlags::CLONE_NEWCGROUP, "cgroup", "cgroup"),
    kind(NEWTIME, "time", "time"),
];

const fn kind(flag: CloneFlags, file: &'static str, name: &'static str) -> Namespace {
    Namespace { flag, file, name }
}

/// A set of kinds, shown by their English names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) CloneFlags);

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ALL
            .iter()
            .filter(|kind| self.0.contains(kind.flag))
            .map(|kind| kind.name);
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}
