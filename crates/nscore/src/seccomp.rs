//! The filters of system calls, compiled at build time from the lists in
//! `seccomp`. See seccomp(2).

use std::fmt;
use std::str::FromStr;

use libc::sock_filter;

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// Whether system calls are filtered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// By the list of the profile.
    #[default]
    Default,
    /// Not at all.
    Off,
}

impl FromStr for Seccomp {
    type Err = String;

    fn from_str(word: &str) -> Result<Seccomp, String> {
        match word {
            "default" => Ok(Seccomp::Default),
            "off" => Ok(Seccomp::Off),
            _ => Err("it is neither default nor off".to_string()),
        }
    }
}

/// A program that is compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Refuses what acts on the whole machine.
    Default,
    /// Allows what ordinary programs use.
    Strict,
}

impl Filter {
    /// Whether this architecture has a table of system calls.
    pub(crate) const AVAILABLE: bool = cfg!(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
    ));

    /// Its instructions.
    pub(crate) fn program(self) -> &'static [sock_filter] {
        match self {
            Filter::Default => &DEFAULT,
            Filter::Strict => &STRICT,
        }
    }

    /// The filter of this name.
    pub(crate) fn named(name: &str) -> Option<Filter> {
        let all = [Filter::Default, Filter::Strict];
        all.into_iter().find(|filter| filter.to_string() == name)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Filter::Default => "default",
            Filter::Strict => "strict",
        })
    }
}

#[cfg(test)]
#[path = "../build/calls.rs"]
#[allow(dead_code, reason = "the build script uses the rest")]
mod calls;

#[cfg(test)]
mod tests {
    use super::calls::{self, Abi, Verdict};
    use super::*;

    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;
    const ENOSYS: u32 = 0x0005_0026;

    /// What the program answers, as the kernel would run it, and in how many
    /// instructions.
    fn run(filter: Filter, audit: u32, number: u32, arguments: [u64; 2]) -> (u32, usize) {
        let mut data = [0; 64];
        data[..4].copy_from_slice(&number.to_le_bytes());
        data[4..8].copy_from_slice(&audit.to_le_bytes());
        data[16..24].copy_from_slice(&arguments[0].to_le_bytes());
        data[24..32].copy_from_slice(&arguments[1].to_le_bytes());
        let program = filter.program();
        let (mut at, mut steps, mut a) = (0, 0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            (at, steps) = (at + 1, steps + 1);
            let holds = match code {
                0x20 => {
                    let bytes = &data[k as usize..][..4];
                    a = u32::from_le_bytes(bytes.try_into().unwrap());
                    continue;
                }
                0x05 => {
                    at += k as usize;
                    continue;
                }
                0x06 => return (k, steps),
                0x15 => a == k,
                0x35 => a >= k,
                0x45 => a & k != 0,
                _ => panic!("instruction {code:#x}"),
            };
            at += usize::from(if holds { jt } else { jf });
        }
    }

    fn answer(filter: Filter, abi: Abi, number: u32, arguments: [u64; 2]) -> u32 {
        run(filter, abi.audit(), number, arguments).0
    }

    fn number(abi: Abi, wanted: &str) -> u32 {
        let mut all = calls::numbers(abi);
        all.find(|(name, _)| *name == wanted).unwrap().1
    }

    fn abis() -> &'static [Abi] {
        Abi::of(std::env::consts::ARCH)
    }

    #[test]
    fn every_number_is_answered_as_listed() {
        for filter in [Filter::Default, Filter::Strict] {
            for abi in abis() {
                let verdicts = match filter {
                    Filter::Default => calls::default(*abi),
                    Filter::Strict => calls::strict(*abi),
                };
                let far = [0xf_0000, 0x4000_0000, 0x7fff_ff00, 0xffff_ff00];
                let near = far.into_iter().flat_map(|from| from..=from + 0xff);
                for number in (0..1024).chain(near) {
                    let wanted = match verdicts.get(&number) {
                        Some(Verdict::Allow | Verdict::Ioctl | Verdict::Clone) => ALLOW,
                        Some(Verdict::Eperm) => EPERM,
                        Some(Verdict::Enosys) | None => ENOSYS,
                    };
                    let answer = answer(filter, *abi, number, [0, 0]);
                    assert_eq!(answer, wanted, "{filter} {abi:?} {number}");
                }
            }
        }
    }

    #[test]
    fn a_terminal_is_not_typed_on() {
        for filter in [Filter::Default, Filter::Strict] {
            for abi in abis() {
                let ioctl = number(*abi, "ioctl");
                for (request, wanted) in [
                    (0x5412, EPERM),
                    (0x541c, EPERM),
                    (0xdead_beef_0000_5412, EPERM),
                    (0x0000_0001_0000_541c, EPERM),
                    (0x5413, ALLOW),
                    (0x5412_0000_0000, ALLOW),
                ] {
                    let answer = answer(filter, *abi, ioctl, [0, request]);
                    assert_eq!(answer, wanted, "{filter} {abi:?} {request:#x}");
                }
            }
        }
    }

    #[test]
    fn strict_makes_no_namespace() {
        for abi in abis() {
            let clone = number(*abi, "clone");
            for kind in crate::namespaces::ALL {
                // That of time is none of clone's.
                let flag = u64::from(kind.flag.bits().cast_unsigned());
                let wanted = if flag == 0x80 { ALLOW } else { EPERM };
                let answer = answer(Filter::Strict, *abi, clone, [flag | 17, 0]);
                assert_eq!(answer, wanted, "{abi:?} {}", kind.name);
            }
            // A thread of the C library's.
            assert_eq!(answer(Filter::Strict, *abi, clone, [0x003d_0f00, 0]), ALLOW);
            for (name, wanted) in [("clone3", ENOSYS), ("unshare", EPERM), ("setns", EPERM)] {
                let number = number(*abi, name);
                let answer = answer(Filter::Strict, *abi, number, [0, 0]);
                assert_eq!(answer, wanted, "{abi:?} {name}");
            }
        }
    }

    #[test]
    fn default_lets_a_container_run_a_container() {
        for abi in abis() {
            for name in [
                "clone",
                "clone3",
                "unshare",
                "setns",
                "mount",
                "umount2",
                "pivot_root",
                "move_mount",
                "fsopen",
                "mount_setattr",
                "seccomp",
                "ptrace",
                "reboot",
            ] {
                let number = number(*abi, name);
                let answer = answer(Filter::Default, *abi, number, [u64::MAX, 0]);
                assert_eq!(answer, ALLOW, "{abi:?} {name}");
            }
        }
    }

    #[test]
    fn another_abi_has_no_calls() {
        assert_eq!(run(Filter::Default, 0, 0, [0, 0]).0, ENOSYS);
    }

    #[test]
    fn paths_are_short() {
        for filter in [Filter::Default, Filter::Strict] {
            for abi in abis() {
                let steps = (0..512).map(|number| run(filter, abi.audit(), number, [0, 0]).1);
                assert!(steps.max().unwrap() <= 18, "{filter} {abi:?}");
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        for filter in [Filter::Default, Filter::Strict] {
            assert_eq!(Filter::named(&filter.to_string()), Some(filter));
        }
        assert_eq!(Filter::named("off"), None);
        assert!("on".parse::<Seccomp>().is_err());
    }
}
