//! From verdicts to a program for the kernel's filter machine: for each ABI a
//! binary search over the numbers. The kernel tries a new filter with every
//! number it has, so that short paths are what makes it quick to install.

use super::calls::{Verdict, Verdicts};

/// An instruction: struct sock_filter of linux/filter.h.
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// BPF_LD | BPF_W | BPF_ABS, and so on: linux/bpf_common.h.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where struct seccomp_data of linux/seccomp.h has its parts, on a machine
/// whose low halves come first. The high half of an argument is not looked at:
/// the kernel ignores it too.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;
const THIRD_ARGUMENT: u32 = 32;

/// SECCOMP_RET_* of linux/seccomp.h.
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

/// CLONE_NEW* of linux/sched.h, all that clone(2) takes: mount, cgroup, UTS,
/// IPC, user, PID and network.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// The one of them for mounts.
const NEW_MOUNTS: u32 = 0x0002_0000;

/// Of linux/prctl.h.
const PR_SET_KEEPCAPS: u32 = 8;

/// The same number on all architectures here.
const O_CREAT: u32 = 0x40;

/// The program for these ABIs, by their names. Any other is unknown.
pub fn program(abis: impl Iterator<Item = (u32, Verdicts)>) -> Vec<Instruction> {
    let mut program = vec![plain(LOAD, ARCH)];
    for (audit, verdicts) in abis {
        let section = section(&verdicts);
        // Its end may be further than a condition can jump.
        program.push(branch(IF_EQUAL, audit, 1, 0));
        program.push(plain(JUMP, u32::try_from(section.len()).expect("too long")));
        program.extend(section);
    }
    program.push(plain(RETURN, RET_ERRNO | ENOSYS));
    program
}

/// What a branch leads to.
#[derive(Clone, Copy)]
enum Target {
    Branch(usize),
    Leaf(Verdict),
}

/// Numbers from `at` go one way, those below it the other.
#[derive(Clone, Copy)]
struct Branch {
    at: u32,
    above: Target,
    below: Target,
}

/// The search for one ABI: the branches, then each leaf once.
fn section(verdicts: &Verdicts) -> Vec<Instruction> {
    let mut branches = Vec::new();
    let ranges = ranges(verdicts);
    let used: Vec<_> = ranges.iter().map(|(_, verdict)| *verdict).collect();
    grow(&ranges, &mut branches);
    let mut leaves = Vec::new();
    let mut starts = Vec::new();
    for verdict in [
        Verdict::Allow,
        Verdict::Eperm,
        Verdict::Enosys,
        Verdict::Ioctl,
        Verdict::Clone,
        Verdict::Ask,
        Verdict::AskCreate2,
        Verdict::AskCreate3,
        Verdict::AskKeep,
        Verdict::AskMounts,
    ] {
        // What is there for nothing costs time to install.
        if !used.contains(&verdict) {
            continue;
        }
        starts.push((verdict, branches.len() + leaves.len()));
        leaves.extend(leaf(verdict));
    }
    let place = |target| match target {
        Target::Branch(index) => index,
        Target::Leaf(verdict) => {
            let found = starts.iter().find(|(leaf, _)| *leaf == verdict);
            found.expect("every leaf is there").1
        }
    };
    let jump = |from: usize, target| {
        u8::try_from(place(target) - from - 1).expect("a branch is too far from its target")
    };
    let mut section = vec![plain(LOAD, NUMBER)];
    section.extend(branches.iter().enumerate().map(|(i, to)| {
        let (above, below) = (jump(i, to.above), jump(i, to.below));
        branch(IF_AT_LEAST, to.at, above, below)
    }));
    section.extend(leaves);
    section
}

/// Where each run of numbers with the same verdict starts.
fn ranges(verdicts: &Verdicts) -> Vec<(u32, Verdict)> {
    let mut ranges = vec![(0, Verdict::Enosys)];
    let mut set = |start, verdict| {
        let (last, before) = *ranges.last().expect("never empty");
        if last == start {
            ranges.pop();
        }
        if last == start || before != verdict {
            ranges.push((start, verdict));
        }
    };
    for (number, verdict) in verdicts {
        set(*number, *verdict);
        if !verdicts.contains_key(&(number + 1)) {
            set(number + 1, Verdict::Enosys);
        }
    }
    ranges
}

/// A balanced tree over the ranges, each branch before those it leads to.
fn grow(ranges: &[(u32, Verdict)], branches: &mut Vec<Branch>) -> Target {
    if let [(_, verdict)] = ranges {
        return Target::Leaf(*verdict);
    }
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let index = branches.len();
    let unknown = Target::Leaf(Verdict::Enosys);
    branches.push(Branch {
        at: right[0].0,
        above: unknown,
        below: unknown,
    });
    branches[index].below = grow(left, branches);
    branches[index].above = grow(right, branches);
    Target::Branch(index)
}

fn leaf(verdict: Verdict) -> Vec<Instruction> {
    let (allow, eperm) = (plain(RETURN, RET_ALLOW), plain(RETURN, RET_ERRNO | EPERM));
    let ask = plain(RETURN, RET_USER_NOTIF);
    let only_if = |argument, test, value, then| {
        vec![
            plain(LOAD, argument),
            branch(test, value, 1, 0),
            allow,
            then,
        ]
    };
    match verdict {
        Verdict::Allow => vec![allow],
        Verdict::Eperm => vec![eperm],
        Verdict::Enosys => vec![plain(RETURN, RET_ERRNO | ENOSYS)],
        Verdict::Ioctl => vec![
            plain(LOAD, SECOND_ARGUMENT),
            branch(IF_EQUAL, TIOCSTI, 2, 0),
            branch(IF_EQUAL, TIOCLINUX, 1, 0),
            allow,
            eperm,
        ],
        Verdict::Clone => only_if(FIRST_ARGUMENT, IF_ANY_BIT, NEW_NAMESPACES, eperm),
        Verdict::Ask => vec![ask],
        Verdict::AskCreate2 => only_if(SECOND_ARGUMENT, IF_ANY_BIT, O_CREAT, ask),
        Verdict::AskCreate3 => only_if(THIRD_ARGUMENT, IF_ANY_BIT, O_CREAT, ask),
        Verdict::AskKeep => only_if(FIRST_ARGUMENT, IF_EQUAL, PR_SET_KEEPCAPS, ask),
        Verdict::AskMounts => only_if(FIRST_ARGUMENT, IF_ANY_BIT, NEW_MOUNTS, ask),
    }
}

fn plain(code: u16, k: u32) -> Instruction {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}
