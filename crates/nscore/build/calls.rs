//! What a filter says of each system call, from the lists in `seccomp`.

use std::collections::{BTreeMap, BTreeSet};

const CALLS: &str = include_str!("../seccomp/calls");
const DENIED: &str = include_str!("../seccomp/default");
const ALLOWED: &str = include_str!("../seccomp/strict");
const FAKE: &str = include_str!("../seccomp/fake");

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
    /// The listener's to answer.
    Ask,
    /// The listener's where its second argument has O_CREAT.
    AskCreate2,
    /// Where the third has.
    AskCreate3,
    /// The listener's where its first argument is PR_SET_KEEPCAPS.
    AskKeep,
    /// The listener's where its first argument has CLONE_NEWNS.
    AskMounts,
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

/// The filter of --fake-owner: what its list names.
pub fn fake(abi: Abi) -> Verdicts {
    let mut named = std::collections::BTreeMap::new();
    for line in lines(FAKE).filter(|line| !line.is_empty()) {
        let (word, calls) = line.split_once(' ').expect("a word and names");
        let verdict = match word {
            "ask" => Verdict::Ask,
            "create2" => Verdict::AskCreate2,
            "create3" => Verdict::AskCreate3,
            "keep" => Verdict::AskKeep,
            "mounts" => Verdict::AskMounts,
            "missing" => Verdict::Enosys,
            _ => panic!("{word} is no word of seccomp/fake"),
        };
        named.extend(names(calls).into_iter().map(|name| (name, verdict)));
    }
    verdicts(abi, |name| *named.get(name).unwrap_or(&Verdict::Allow))
}

/// The calls of this ABI that the listener of --fake-owner answers.
pub fn asked(abi: Abi) -> Vec<(&'static str, u32)> {
    let verdicts = fake(abi);
    let is_asked = |(_, number): &(_, u32)| {
        let verdict = verdicts[number];
        !matches!(verdict, Verdict::Allow | Verdict::Enosys)
    };
    numbers(abi).filter(is_asked).collect()
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
