//! What a filter says of each system call, from the lists in `seccomp`.

use std::collections::{BTreeMap, BTreeSet};

const CALLS: &str = include_str!("../seccomp/calls");
const DENIED: &str = include_str!("../seccomp/default");
const ALLOWED: &str = include_str!("../seccomp/strict");

/// A way into the kernel, with numbers of its own. That of x32 is x86-64's with
/// one bit more, so all of its numbers are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    X86_64,
    I386,
    Aarch64,
    Arm,
}

/// The answer to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Allow,
    /// Refused: EPERM.
    Eperm,
    /// As if the kernel had none: ENOSYS.
    Enosys,
    /// Allowed unless it types on a terminal: TIOCSTI and TIOCLINUX.
    Ioctl,
    /// Allowed unless it makes a namespace.
    Clone,
}

/// Of every number in the table; any other is unknown: ENOSYS.
pub type Verdicts = BTreeMap<u32, Verdict>;

impl Abi {
    /// Those of a kernel that runs programs of this architecture. None where
    /// there is no table.
    pub fn of(arch: &str) -> &'static [Abi] {
        match arch {
            "x86_64" | "x86" => &[Abi::X86_64, Abi::I386],
            "aarch64" | "arm" => &[Abi::Aarch64, Abi::Arm],
            _ => &[],
        }
    }

    /// How the kernel names it to a filter: AUDIT_ARCH_* of linux/audit.h.
    pub fn audit(self) -> u32 {
        match self {
            Abi::X86_64 => 0xc000_003e,
            Abi::I386 => 0x4000_0003,
            Abi::Aarch64 => 0xc000_00b7,
            Abi::Arm => 0x4000_0028,
        }
    }
}

/// The filter of a machine: all but what the list names.
pub fn default(abi: Abi) -> Verdicts {
    let denied = names(DENIED);
    verdicts(abi, |name| match name {
        "ioctl" => Verdict::Ioctl,
        name if denied.contains(name) => Verdict::Eperm,
        _ => Verdict::Allow,
    })
}

/// The filter of a program that needs little: nothing but what the list names.
/// What clone3 is to do lies in memory, where no filter can look; without it
/// programs use clone.
pub fn strict(abi: Abi) -> Verdicts {
    let allowed = names(ALLOWED);
    verdicts(abi, |name| match name {
        "ioctl" => Verdict::Ioctl,
        "clone" => Verdict::Clone,
        "clone3" => Verdict::Enosys,
        name if allowed.contains(name) => Verdict::Allow,
        _ => Verdict::Eperm,
    })
}

fn verdicts(abi: Abi, of: impl Fn(&str) -> Verdict) -> Verdicts {
    numbers(abi)
        .map(|(name, number)| (number, of(name)))
        .collect()
}

/// The calls that this ABI has.
pub fn numbers(abi: Abi) -> impl Iterator<Item = (&'static str, u32)> {
    lines(CALLS).filter_map(move |line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let number = words.nth(abi as usize).expect("a column is missing");
        let number = (number != "-").then(|| number.parse().expect("no number"))?;
        Some((name, number))
    })
}

/// The names of a list, each of them in the table.
fn names(list: &'static str) -> BTreeSet<&'static str> {
    let known: BTreeSet<_> = lines(CALLS)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let names = lines(list).flat_map(str::split_whitespace);
    names
        .inspect(|name| assert!(known.contains(name), "{name} is not in seccomp/calls"))
        .collect()
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}
