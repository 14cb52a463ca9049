//! Filters of system calls, seccomp(2), for programs that run under one.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

use nix::errno::Errno;

/// A program that answers calls of this architecture.
pub struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// Asks whoever listens to the filter about every call.
    #[must_use]
    pub fn asking() -> Self {
        Self(vec![step(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0)])
    }

    /// Answers these calls as a kernel that lacks them, and lets others pass.
    #[must_use]
    pub fn without(numbers: impl Iterator<Item = u32>) -> Self {
        let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        let mut steps = vec![step(LOAD, NUMBER, 0)];
        for number in numbers {
            steps.extend([step(IS, number, 1), step(RETURN, missing, 0)]);
        }
        steps.push(step(RETURN, libc::SECCOMP_RET_ALLOW, 0));
        Self(steps)
    }

    /// Puts it on this process for good; with `listen` returns what the process
    /// hears that answers. Root can still gain rights by set-id files; anyone
    /// else has to give that up for a filter.
    ///
    /// # Errors
    /// Those of seccomp(2).
    ///
    /// # Panics
    /// When it is too long.
    pub fn install(&self, listen: bool) -> nix::Result<RawFd> {
        if !nix::unistd::geteuid().is_root() {
            // SAFETY: integers only.
            let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            Errno::result(result)?;
        }
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).expect("a short filter"),
            filter: self.0.as_ptr().cast_mut(),
        };
        let flags = if listen {
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER
        } else {
            0
        };
        // SAFETY: the program and its steps live until the call returns, and the
        // kernel only reads them.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        let fd = Errno::result(result)?;
        Ok(RawFd::try_from(fd).expect("a descriptor"))
    }
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
/// Where a call's number is in what a filter sees.
const NUMBER: u32 = 0;

/// One step; `jf` is how many to skip where it does not hold.
fn step(code: u32, k: u32, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).expect("a code"),
        jt: 0,
        jf,
        k,
    }
}
