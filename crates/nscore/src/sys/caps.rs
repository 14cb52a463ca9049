//! Capabilities and sets of them, capabilities(7).

use std::fmt;
use std::ops::BitAnd;

/// By number, without `cap_`: linux/capability.h.
pub(crate) const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// A set of capabilities, a bit each, those without a name included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) u64);

impl Set {
    pub(crate) const NONE: Set = Set(0);
    pub(crate) const ALL: Set = Set(u64::MAX);

    /// What a machine of its own has: all but those that reach, or would in a
    /// namespace still be asked for to reach, the host's kernel, clock, audit
    /// and policy.
    pub(crate) const MACHINE: Set = Set(!(bit("audit_write")
        | bit("audit_control")
        | bit("audit_read")
        | bit("sys_module")
        | bit("sys_rawio")
        | bit("sys_time")
        | bit("mac_override")
        | bit("mac_admin")
        | bit("bpf")
        | bit("perfmon")
        | bit("wake_alarm")
        | bit("block_suspend")));

    pub(crate) const KILL: Set = Set(bit("kill"));
    pub(crate) const DAC_OVERRIDE: Set = Set(bit("dac_override"));

    /// What the listener of --fake-owner has where programs have `bound` at most: to mark
    /// links, to read the memory of who asks, and to take its root for its own; to
    /// change files and their permissions no more than they.
    pub(crate) const fn listener(bound: Set) -> Set {
        const OWN: u64 =
            bit("setfcap") | bit("sys_chroot") | bit("sys_ptrace") | bit("sys_resource");
        const OF_FILES: u64 = bit("chown") | bit("dac_override") | bit("fowner") | bit("fsetid");
        Set(OWN | OF_FILES & bound.0)
    }

    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        (0..)
            .zip(NAMES)
            .filter(move |(number, _)| self.0 >> number & 1 == 1)
            .map(|(_, name)| name)
    }
}

impl BitAnd for Set {
    type Output = Set;

    fn bitand(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }
}

/// The bit of a capability; a build fails at a name that is none.
const fn bit(name: &str) -> u64 {
    let mut number = 0;
    while number < NAMES.len() {
        if same(NAMES[number].as_bytes(), name.as_bytes()) {
            return 1 << number;
        }
        number += 1;
    }
    panic!("no such capability")
}

const fn same(one: &[u8], two: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < two.len() && one[at] == two[at] {
        at += 1;
    }
    at == one.len() && at == two.len()
}

/// "all but ..." where that is shorter.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |set: Set| set.names().collect::<Vec<_>>().join(", ");
        let (kept, dropped) = (join(*self), join(Set(!self.0)));
        match (kept.as_str(), dropped.as_str()) {
            ("", _) => f.write_str("none"),
            (_, "") => f.write_str("all"),
            (kept, dropped) if dropped.len() < kept.len() => write!(f, "all but {dropped}"),
            (kept, _) => f.write_str(kept),
        }
    }
}
