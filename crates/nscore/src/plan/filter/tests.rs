//! The programs of every architecture, run as the kernel would run them: one
//! machine proves the filters of the others.

use super::calls::{self, Abi, Verdict};
use super::tree::{self, Instruction};
use crate::plan::filter::Filter;
use crate::spec::seccomp::Seccomp;

const ALLOW: u32 = 0x7fff_0000;

const EPERM: u32 = 0x0005_0001;

const ENOSYS: u32 = 0x0005_0026;

/// An architecture, for each pair of ABIs that have a program together.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// A kernel that has taken a filter.
struct Kernel {
    filter: Filter,
    abis: &'static [Abi],
    program: Vec<Instruction>,
}

/// Every filter on every architecture.
fn kernels() -> impl Iterator<Item = Kernel> {
    let filters = [Filter::Default, Filter::Strict];
    let with = move |arch| filters.map(|filter| Kernel::of(arch, filter));
    ARCHITECTURES.into_iter().flat_map(with)
}

impl Kernel {
    fn of(arch: &str, filter: Filter) -> Kernel {
        let abis = Abi::of(arch);
        let verdicts = |abi: &Abi| (abi.audit(), verdicts(filter, *abi));
        let program = tree::program(abis.iter().map(verdicts));
        Kernel {
            filter,
            abis,
            program,
        }
    }

    /// What the program answers, and in how many instructions.
    fn run(&self, audit: u32, number: u32, arguments: impl AsRef<[u64]>) -> (u32, usize) {
        let mut data = [0; 64];
        data[..4].copy_from_slice(&number.to_le_bytes());
        data[4..8].copy_from_slice(&audit.to_le_bytes());
        let places = data[16..].chunks_exact_mut(8);
        for (to, argument) in places.zip(arguments.as_ref()) {
            to.copy_from_slice(&argument.to_le_bytes());
        }
        let (mut at, mut steps, mut a) = (0, 0, 0);
        loop {
            let Instruction { code, jt, jf, k } = self.program[at];
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

    fn answer(&self, abi: Abi, number: u32, arguments: impl AsRef<[u64]>) -> u32 {
        self.run(abi.audit(), number, arguments).0
    }
}

fn verdicts(filter: Filter, abi: Abi) -> calls::Verdicts {
    match filter {
        Filter::Default => calls::default(abi),
        Filter::Strict => calls::strict(abi),
    }
}

fn number(abi: Abi, wanted: &str) -> u32 {
    let mut all = calls::numbers(abi);
    all.find(|(name, _)| *name == wanted).unwrap().1
}

#[test]
fn what_is_compiled_in_is_what_is_tested() {
    for filter in [Filter::Default, Filter::Strict] {
        let native = Kernel::of(std::env::consts::ARCH, filter).program;
        let compiled = filter.program().iter();
        let compiled = compiled.map(|i| (i.code, i.jt, i.jf, i.k));
        let native = native.iter().map(|i| (i.code, i.jt, i.jf, i.k));
        assert!(compiled.eq(native), "{filter}");
    }
}

/// By its rules for all that it may never come to, bpf_check_classic() and
/// seccomp_check_filter().
#[test]
fn the_kernel_takes_every_program() {
    for Kernel {
        filter,
        abis,
        program,
    } in kernels()
    {
        assert!(program.len() <= 4096, "{filter} {abis:?}");
        assert_eq!(program.last().unwrap().code, 0x06, "{filter} {abis:?}");
        for (at, Instruction { code, jt, jf, k }) in program.iter().enumerate() {
            let room = program.len() - at - 1;
            let valid = match code {
                0x20 => k % 4 == 0 && *k < 64,
                0x05 => (*k as usize) < room,
                0x06 => true,
                0x15 | 0x35 | 0x45 => usize::from(*jt.max(jf)) < room,
                _ => false,
            };
            assert!(valid, "{filter} {abis:?} {at}");
        }
    }
}

#[test]
fn every_number_is_answered_as_listed() {
    for kernel in kernels() {
        for abi in kernel.abis {
            let verdicts = verdicts(kernel.filter, *abi);
            let far = [0xf_0000, 0x4000_0000, 0x7fff_ff00, 0xffff_ff00];
            let near = far.into_iter().flat_map(|from| from..=from + 0xff);
            for number in (0..1024).chain(near) {
                let wanted = match verdicts.get(&number) {
                    Some(Verdict::Allow | Verdict::Ioctl | Verdict::Clone) => ALLOW,
                    Some(Verdict::Eperm) => EPERM,
                    Some(Verdict::Enosys) | None => ENOSYS,
                    Some(other) => panic!("{other:?} is not for these filters"),
                };
                let answer = kernel.answer(*abi, number, [0, 0]);
                assert_eq!(answer, wanted, "{} {abi:?} {number}", kernel.filter);
            }
            assert!(verdicts.len() > 300 && verdicts.keys().all(|n| *n < 1024 || *n >> 8 == 0xf00));
        }
    }
}

#[test]
fn a_terminal_is_not_typed_on() {
    for kernel in kernels() {
        for abi in kernel.abis {
            let ioctl = number(*abi, "ioctl");
            for (request, wanted) in [
                (0x5412, EPERM),
                (0x541c, EPERM),
                (0xdead_beef_0000_5412, EPERM),
                (0x0000_0001_0000_541c, EPERM),
                (0x5413, ALLOW),
                (0x5412_0000_0000, ALLOW),
            ] {
                let answer = kernel.answer(*abi, ioctl, [0, request]);
                assert_eq!(answer, wanted, "{} {abi:?} {request:#x}", kernel.filter);
            }
        }
    }
}

#[test]
fn strict_makes_no_namespace() {
    for kernel in kernels().filter(|kernel| kernel.filter == Filter::Strict) {
        for abi in kernel.abis {
            let clone = number(*abi, "clone");
            for kind in crate::sys::namespaces::ALL {
                // That of time is none of clone's.
                let flag = u64::from(kind.flag.bits().cast_unsigned());
                let wanted = if flag == 0x80 { ALLOW } else { EPERM };
                let answer = kernel.answer(*abi, clone, [flag | 17, 0]);
                assert_eq!(answer, wanted, "{abi:?} {}", kind.name);
            }
            // A thread of the C library's.
            assert_eq!(kernel.answer(*abi, clone, [0x003d_0f00, 0]), ALLOW);
            for (name, wanted) in [("clone3", ENOSYS), ("unshare", EPERM), ("setns", EPERM)] {
                let answer = kernel.answer(*abi, number(*abi, name), [0, 0]);
                assert_eq!(answer, wanted, "{abi:?} {name}");
            }
        }
    }
}

#[test]
fn default_lets_a_container_run_a_container() {
    for kernel in kernels().filter(|kernel| kernel.filter == Filter::Default) {
        for abi in kernel.abis {
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
                let answer = kernel.answer(*abi, number(*abi, name), [u64::MAX, 0]);
                assert_eq!(answer, ALLOW, "{abi:?} {name}");
            }
        }
    }
}

#[test]
fn another_abi_has_no_calls() {
    for kernel in kernels() {
        let others = kernels().flat_map(|other| other.abis);
        let others = others.filter(|abi| !kernel.abis.contains(abi));
        for audit in others.map(|abi| abi.audit()).chain([0, u32::MAX]) {
            for number in 0..512 {
                assert_eq!(kernel.run(audit, number, [0, 0]).0, ENOSYS, "{audit:#x}");
            }
        }
    }
}

#[test]
fn paths_are_short() {
    for kernel in kernels() {
        for abi in kernel.abis {
            let steps = (0..512).map(|number| kernel.run(abi.audit(), number, [0, 0]).1);
            assert!(steps.max().unwrap() <= 18, "{} {abi:?}", kernel.filter);
        }
    }
}

/// The filter of --fake-owner, on every architecture.
#[test]
fn owners_are_asked_about() {
    const ASK: u32 = 0x7fc0_0000;
    for arch in ARCHITECTURES {
        let verdicts = |abi: &Abi| (abi.audit(), calls::fake(*abi));
        let kernel = Kernel {
            program: tree::program(Abi::of(arch).iter().map(verdicts)),
            ..Kernel::of(arch, Filter::Default)
        };
        for abi in kernel.abis {
            let always = calls::asked(*abi).into_iter().filter(|(name, _)| {
                !["open", "openat", "clone", "unshare", "prctl"].contains(name)
            });
            for (name, number) in always {
                assert_eq!(kernel.answer(*abi, number, [0]), ASK, "{abi:?} {name}");
            }
            // With what they are asked about, and with what is the kernel's alone.
            for (name, asked, other) in [
                ("open", [0, 0o101, 0], [0o100, 1, 0o100]),
                ("openat", [0, 0, 0o102], [0o100, 0o100, 2]),
                ("clone", [0x2_0011, 0, 0], [0x11, 0x2_0000, 0]),
                ("unshare", [0x2_0000, 0, 0], [0x1000_0000, 0, 0]),
                ("prctl", [8, 1, 0], [15, 8, 8]),
            ] {
                let number = calls::numbers(*abi).find(|(known, _)| *known == name);
                let Some((_, number)) = number else { continue };
                assert_eq!(kernel.answer(*abi, number, asked), ASK, "{abi:?} {name}");
                assert_eq!(kernel.answer(*abi, number, other), ALLOW, "{abi:?} {name}");
            }
            for (name, wanted) in [
                ("clone3", ENOSYS),
                ("io_uring_setup", ENOSYS),
                ("read", ALLOW),
            ] {
                let answer = kernel.answer(*abi, number(*abi, name), [0]);
                assert_eq!(answer, wanted, "{abi:?} {name}");
            }
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
