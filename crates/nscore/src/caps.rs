//! Capabilities: their names, sets of them, and lists as a user writes them.
//! See capabilities(7).

use std::fmt;
use std::ops::BitAnd;
use std::str::FromStr;

use crate::error::quoted;

/// By number, without `cap_`: linux/capability.h.
const NAMES: [&str; 41] = [
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
pub(crate) struct Set(u64);

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

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Set {
        Set(bits)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
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

/// Capabilities as a user lists them: names in any case, with or without
/// `cap_`, separated by commas; `all` stands for every one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapList {
    all: bool,
    named: Set,
}

impl FromStr for CapList {
    type Err = String;

    fn from_str(text: &str) -> Result<CapList, String> {
        let mut list = CapList::default();
        for word in text.split(',') {
            let lower = word.trim().to_ascii_lowercase();
            let name = lower.strip_prefix("cap_").unwrap_or(&lower);
            match NAMES.iter().position(|known| *known == name) {
                Some(number) => list.named.0 |= 1 << number,
                None if name == "all" => list.all = true,
                None if name.is_empty() => return Err("a name is empty".to_string()),
                None => {
                    let word = quoted(word);
                    return Err(format!("{word} is no capability, see capabilities(7)"));
                }
            }
        }
        Ok(list)
    }
}

impl Extend<CapList> for CapList {
    fn extend<T: IntoIterator<Item = CapList>>(&mut self, lists: T) {
        for list in lists {
            self.all |= list.all;
            self.named.0 |= list.named.0;
        }
    }
}

impl FromIterator<CapList> for CapList {
    fn from_iter<T: IntoIterator<Item = CapList>>(lists: T) -> CapList {
        let mut sum = CapList::default();
        sum.extend(lists);
        sum
    }
}

/// What is left of `base`: a name says more than `all` does, so that
/// `--cap-drop all --cap-keep chown` keeps one.
///
/// # Errors
/// When the lists contradict each other.
pub(crate) fn choose(base: Set, drop: CapList, keep: CapList) -> Result<Set, String> {
    if drop.all && keep.all {
        return Err("all are to be dropped and kept".to_string());
    }
    if let Some(name) = Set(drop.named.0 & keep.named.0).names().next() {
        return Err(format!("{name} is to be dropped and kept"));
    }
    let base = match (drop.all, keep.all) {
        (true, _) => Set::NONE,
        (_, true) => Set::ALL,
        _ => base,
    };
    Ok(Set(base.0 & !drop.named.0 | keep.named.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> CapList {
        text.parse().unwrap()
    }

    #[test]
    fn names_in_any_form() {
        let chown = list("chown");
        for text in ["CHOWN", "cap_chown", "CAP_CHOWN", " Cap_Chown "] {
            assert_eq!(list(text), chown, "{text}");
        }
        assert_eq!(list("chown,kill").named, Set(0x21));
        assert!(list("ALL").all);
        for text in ["", "chown,", "nope", "cap_", "cap_cap_chown", "chown kill"] {
            assert!(text.parse::<CapList>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_win_over_all() {
        let none = CapList::default();
        let choose = |base, drop, keep| choose(base, drop, keep).map(Set::bits);
        assert_eq!(choose(Set::ALL, list("chown"), none), Ok(!1));
        assert_eq!(choose(Set::ALL, list("all"), list("chown")), Ok(1));
        assert_eq!(choose(Set::NONE, list("chown"), list("all")), Ok(!1));
        assert_eq!(choose(Set::NONE, none, list("kill")), Ok(0x20));
        assert!(choose(Set::ALL, list("kill"), list("chown,kill")).is_err());
        assert!(choose(Set::ALL, list("all"), list("all")).is_err());
    }

    #[test]
    fn sets_read_shortly() {
        assert_eq!(Set::NONE.to_string(), "none");
        assert_eq!(Set::ALL.to_string(), "all");
        assert_eq!(Set(0x21).to_string(), "chown, kill");
        assert_eq!(Set(!0x21).to_string(), "all but chown, kill");
        assert!(Set::MACHINE.to_string().starts_with("all but sys_module,"));
    }
}
