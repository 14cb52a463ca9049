//! Rights given up for good: prctl(2), seccomp(2) and capset(2).

use nix::errno::Errno;

use crate::sys::caps::Set;
use crate::sys::{Sys, cvt};

/// No exec of this process or its children gives it more than it has.
pub(crate) fn no_new_privileges() -> Sys<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Puts a filter on this process and its children.
pub(crate) fn filter(program: &[libc::sock_filter]) -> Sys<()> {
    let program = libc::sock_fprog {
        len: libc::c_ushort::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        filter: program.as_ptr().cast_mut(),
    };
    let set = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: program and its instructions live for the time of the call, and
    // the kernel only reads them.
    cvt(unsafe { libc::syscall(libc::SYS_seccomp, set, 0, &raw const program) }).map(drop)
}

/// Makes these the most that a later program of this process or its children
/// can have.
pub(crate) fn bound_capabilities(kept: Set) -> Sys<()> {
    for number in 0..64 {
        if kept.0 >> number & 1 == 1 {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, number) {
            // The kernel has no more.
            Err(Errno::EINVAL) if number > 0 => break,
            other => other?,
        }
    }
    Ok(())
}

/// The capabilities of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) effective: Set,
    pub(crate) permitted: Set,
    pub(crate) inheritable: Set,
}

impl Held {
    pub(crate) fn now() -> Sys<Held> {
        let mut data = [Data::default(); 2];
        // SAFETY: a header of version 3 is followed by two structures, which
        // the kernel fills in.
        cvt(unsafe { libc::syscall(libc::SYS_capget, &raw const OURS, data.as_mut_ptr()) })?;
        let [low, high] = data;
        let set = |low, high| Set(u64::from(high) << 32 | u64::from(low));
        Ok(Held {
            effective: set(low.effective, high.effective),
            permitted: set(low.permitted, high.permitted),
            inheritable: set(low.inheritable, high.inheritable),
        })
    }

    /// Makes them so. What is not inheritable is not ambient either.
    pub(crate) fn set(self) -> Sys<()> {
        let half = |shift: u32| {
            let part = |set: Set| (set.0 >> shift) as u32;
            Data {
                effective: part(self.effective),
                permitted: part(self.permitted),
                inheritable: part(self.inheritable),
            }
        };
        let data = [half(0), half(32)];
        // SAFETY: as above, and the kernel only reads them.
        cvt(unsafe { libc::syscall(libc::SYS_capset, &raw const OURS, data.as_ptr()) }).map(drop)
    }
}

/// Drops what this process has beyond these, for good, and all that a program
/// could inherit.
pub(crate) fn drop_capabilities(kept: Set) -> Sys<()> {
    let held = Held::now()?;
    Held {
        effective: held.effective & kept,
        permitted: held.permitted & kept,
        inheritable: Set::NONE,
    }
    .set()
}

/// struct __user_cap_header_struct of linux/capability.h.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// struct __user_cap_data_struct.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Version 3, of this process.
static OURS: Header = Header {
    version: 0x2008_0522,
    pid: 0,
};

fn prctl(option: libc::c_int, argument: libc::c_ulong) -> Sys<()> {
    const NONE: libc::c_ulong = 0;
    // SAFETY: integers only.
    cvt(unsafe { libc::prctl(option, argument, NONE, NONE, NONE) }.into()).map(drop)
}
