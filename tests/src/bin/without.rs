//! Runs a program to which the kernel lacks some system calls.
//!
//!     without CALL[,CALL]... PROGRAM [ARG]...
//!
//! A filter answers them with ENOSYS, as an older kernel does, and some sandboxes
//! on any kernel. As root the program may still gain rights by set-id files;
//! for anyone else the kernel wants it to give that up.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let names = arguments.next().expect("names of system calls");
    let program = arguments.next().expect("a program");
    let names = names.to_str().expect("names of system calls");
    let program_of_filter = filter(names.split(','));
    if !nix::unistd::geteuid().is_root() {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0);
    }
    let filter = libc::sock_fprog {
        len: u16::try_from(program_of_filter.len()).expect("a short filter"),
        filter: program_of_filter.as_ptr().cast_mut(),
    };
    let address = std::ptr::from_ref(&filter).expose_provenance();
    const SECCOMP_MODE_FILTER: usize = 2;
    prctl(libc::PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address);
    let error = Command::new(&program).args(arguments).exec();
    panic!("{}: {error}", program.display());
}

/// A program that answers these calls with ENOSYS and allows all others,
/// seccomp(2) "Filters".
fn filter<'a>(names: impl Iterator<Item = &'a str>) -> Vec<libc::sock_filter> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const NUMBER: u32 = 0;
    const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, k, jf| libc::sock_filter {
        code: u16::try_from(code).expect("a code"),
        jt: 0,
        jf,
        k,
    };
    let mut steps = vec![step(LOAD, NUMBER, 0)];
    for name in names {
        // One that this architecture has never had is missing already.
        let Some(number) = tests::call_number("native", name) else {
            continue;
        };
        let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        steps.extend([step(IS, number, 1), step(RETURN, missing, 0)]);
    }
    steps.push(step(RETURN, libc::SECCOMP_RET_ALLOW, 0));
    steps
}

fn prctl(option: libc::c_int, a: usize, b: usize) {
    // SAFETY: where b is an address, it is of a filter that lives on in main.
    let result = unsafe { libc::prctl(option, a, b, 0, 0) };
    Errno::result(result).expect("prctl");
}
