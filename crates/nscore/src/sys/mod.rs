//! The system calls that nix lacks, or that must neither allocate nor panic
//! between clone and exec. All other unsafe code of this crate is calls of those
//! here that fork and exec.
#![allow(unsafe_code)]

pub(crate) mod arch;
pub(crate) mod ask;
pub(crate) mod caps;
pub(crate) mod cgroup;
pub(crate) mod child;
pub(crate) mod clone;
pub(crate) mod descriptors;
pub(crate) mod fscontext;
pub(crate) mod harden;
pub(crate) mod ids;
pub(crate) mod inode;
pub(crate) mod layers;
pub(crate) mod make;
pub(crate) mod mount;
pub(crate) mod namespaces;
pub(crate) mod notify;
pub(crate) mod path;
pub(crate) mod process;
pub(crate) mod shim;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod tty;

use nix::errno::Errno;

/// A result of a system call that failed with an error number.
pub(crate) type Sys<T> = Result<T, Errno>;

/// Turns the -1 of a raw system call into its error number.
fn cvt(result: libc::c_long) -> Sys<libc::c_long> {
    if result < 0 {
        Err(Errno::last())
    } else {
        Ok(result)
    }
}

/// Whether the kernel answers as if it had no such call: it is too old, or a
/// filter keeps the call away. For calls that refuse -1 for all arguments.
pub(crate) fn is_missing(call: libc::c_long) -> bool {
    const NONE: libc::c_long = -1;
    // SAFETY: -1 is no descriptor, no process and no address, and not all flags
    // are known: the kernel refuses that before it does anything.
    let result = unsafe { libc::syscall(call, NONE, NONE, NONE, NONE, NONE) };
    result < 0 && Errno::last() == Errno::ENOSYS
}

/// [`cvt`] for a system call that returns a new descriptor.
///
/// # Safety
/// The result must be of a call that returns a descriptor nobody else owns.
unsafe fn cvt_fd(result: libc::c_long) -> Sys<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd as _;
    let fd = libc::c_int::try_from(cvt(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the caller vouches that the descriptor is new and unowned, and
    // cvt has sorted out -1.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
}
