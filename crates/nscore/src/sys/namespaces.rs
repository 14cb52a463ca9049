//! The kinds of namespaces, in one table: namespaces(7).

use std::fmt;

use nix::sched::CloneFlags;

/// A kind of namespace.
pub(crate) struct Kind {
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
pub(crate) const ALL: [Kind; 8] = [
    Kind {
        flag: CloneFlags::CLONE_NEWUSER,
        file: "user",
        name: "user",
    },
    Kind {
        flag: CloneFlags::CLONE_NEWNS,
        file: "mnt",
        name: "mount",
    },
    Kind {
        flag: CloneFlags::CLONE_NEWPID,
        file: "pid",
        name: "PID",
    },
    Kind {
        flag: CloneFlags::CLONE_NEWIPC,
        file: "ipc",
        name: "IPC",
    },
    Kind {
        flag: CloneFlags::CLONE_NEWUTS,
        file: "uts",
        name: "UTS",
    },
    Kind {
        flag: CloneFlags::CLONE_NEWNET,
        file: "net",
        name: "network",
    },
    Kind {
        flag: CloneFlags::CLONE_NEWCGROUP,
        file: "cgroup",
        name: "cgroup",
    },
    Kind {
        flag: NEWTIME,
        file: "time",
        name: "time",
    },
];

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
