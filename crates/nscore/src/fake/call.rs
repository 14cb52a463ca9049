//! The calls that are asked about, compiled from `seccomp/fake` with the filter that
//! asks: which call a number is, and how its arguments are to be read.

use libc::sock_filter;

use crate::fake::ids::{Change, Which};

include!(concat!(env!("OUT_DIR"), "/fake.rs"));

/// The filter.
pub(super) fn program() -> &'static [sock_filter] {
    &FAKE
}

/// Whether there is one on this architecture.
pub(super) fn available() -> bool {
    // Of a program of 64 bits one of 32 cannot reach the memory.
    !ASKED.is_empty() && cfg!(target_pointer_width = "64")
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// stat(2) and its like, with the layout of the answer.
    Stat(By, Layout),
    Statx,
    Chown(By),
    Chmod(By),
    Mknod(By),
    Open(By),
    Creat,
    Mkdir(By),
    Symlink(By),
    ListAttributes(By),
    Become(Change),
    Who(Which),
    SetGroups,
    GetGroups,
    /// Whether capabilities are kept when ids change, prctl(2).
    KeepCapabilities,
    /// Paths may begin elsewhere from now on.
    Move,
}

/// How a call names its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A path, whose last link is followed.
    Path,
    /// A path, whose last link is meant itself.
    Link,
    Descriptor,
    /// A directory, a path, and further on perhaps flags.
    At,
    /// The same without flags.
    AtPath,
}

/// How a status lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As in our own programs.
    Own,
    /// `struct stat` of i386.
    Stat32,
    /// `struct stat64` of i386.
    Stat64,
}

/// A call with what is known of it by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) call: Call,
    /// Ids have 16 bits.
    pub(super) narrow: bool,
}

const X86_64: u32 = 0xc000_003e;

const I386: u32 = 0x4000_0003;

const AARCH64: u32 = 0xc000_00b7;

/// By ABI and number.
pub(super) struct Calls(Vec<(u32, Vec<Option<Known>>)>);

impl Calls {
    pub(super) fn new() -> Calls {
        let mut calls: Vec<(u32, Vec<Option<Known>>)> = Vec::new();
        for (abi, number, name) in ASKED {
            if calls.last().is_none_or(|(last, _)| last != abi) {
                calls.push((*abi, Vec::new()));
            }
            let (_, known) = calls.last_mut().expect("just made");
            let number = *number as usize;
            known.resize(known.len().max(number + 1), None);
            known[number] = read(*abi, name);
        }
        Calls(calls)
    }

    /// None for what the kernel is to do as ever.
    pub(super) fn get(&self, abi: u32, number: u32) -> Option<Known> {
        let (_, known) = self.0.iter().find(|(known, _)| *known == abi)?;
        *known.get(number as usize)?
    }
}

/// The 32-bit calls of ARM have a layout of their own, which is not known here: their
/// programs are told the truth.
fn read(abi: u32, name: &str) -> Option<Known> {
    let (own, i386) = (matches!(abi, X86_64 | AARCH64), abi == I386);
    if !own && !i386 {
        return None;
    }
    let bare = name.strip_suffix("32").unwrap_or(name);
    let (short, long) = match own {
        true => (Layout::Own, Layout::Own),
        false => (Layout::Stat32, Layout::Stat64),
    };
    let call = match bare {
        "stat" => Call::Stat(By::Path, short),
        "lstat" => Call::Stat(By::Link, short),
        "fstat" => Call::Stat(By::Descriptor, short),
        "stat64" => Call::Stat(By::Path, long),
        "lstat64" => Call::Stat(By::Link, long),
        "fstat64" => Call::Stat(By::Descriptor, long),
        "newfstatat" | "fstatat64" => Call::Stat(By::At, long),
        "statx" => Call::Statx,
        "chown" => Call::Chown(By::Path),
        "lchown" => Call::Chown(By::Link),
        "fchown" => Call::Chown(By::Descriptor),
        "fchownat" => Call::Chown(By::At),
        "chmod" => Call::Chmod(By::Path),
        "fchmod" => Call::Chmod(By::Descriptor),
        "fchmodat" => Call::Chmod(By::AtPath),
        "fchmodat2" => Call::Chmod(By::At),
        "open" => Call::Open(By::Path),
        "openat" => Call::Open(By::AtPath),
        "creat" => Call::Creat,
        "mkdir" => Call::Mkdir(By::Path),
        "mkdirat" => Call::Mkdir(By::AtPath),
        "symlink" => Call::Symlink(By::Path),
        "symlinkat" => Call::Symlink(By::AtPath),
        "mknod" => Call::Mknod(By::Path),
        "mknodat" => Call::Mknod(By::AtPath),
        "listxattr" => Call::ListAttributes(By::Path),
        "llistxattr" => Call::ListAttributes(By::Link),
        "flistxattr" => Call::ListAttributes(By::Descriptor),
        "setgroups" => Call::SetGroups,
        "getgroups" => Call::GetGroups,
        "prctl" => Call::KeepCapabilities,
        "chroot" | "pivot_root" | "setns" | "clone" | "unshare" => Call::Move,
        _ => match (Change::named(bare), Which::named(bare)) {
            (Some(change), _) => Call::Become(change),
            (None, which) => Call::Who(which?),
        },
    };
    // Those of i386 that have a successor with 32 in its name.
    let of_ids = matches!(
        call,
        Call::Become(_) | Call::Who(_) | Call::SetGroups | Call::GetGroups | Call::Chown(_)
    );
    let narrow = i386 && of_ids && name == bare && name != "fchownat";
    Some(Known { call, narrow })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_is_asked_about_is_known() {
        for (abi, _, name) in ASKED {
            let known = read(*abi, name);
            assert_eq!(known.is_some(), *abi != 0x4000_0028, "{abi:#x} {name}");
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn numbers_are_the_kernel_s() {
        let calls = Calls::new();
        let number = |number: libc::c_long| u32::try_from(number).unwrap();
        let native = |call| calls.get(X86_64, number(call)).map(|known| known.call);
        assert_eq!(native(libc::SYS_fchownat), Some(Call::Chown(By::At)));
        assert_eq!(native(libc::SYS_statx), Some(Call::Statx));
        assert_eq!(native(libc::SYS_read), None);
        let narrow = |number| calls.get(I386, number).map(|known| known.narrow);
        assert_eq!(
            (narrow(23), narrow(213)),
            (Some(true), Some(false)),
            "setuid"
        );
        assert_eq!(narrow(298), Some(false), "fchownat");
        assert_eq!(calls.get(0, 0), None);
    }
}
