//! The two calls that neither std nor nix has.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A descriptor that becomes readable when the process ends (pidfd_open(2)).
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else
    // owns; descriptors fit an int.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

/// Makes the command's stdin, which must be a terminal, the controlling terminal
/// of a session of its own.
pub fn in_own_session(command: &mut Command) -> &mut Command {
    // SAFETY: the closure runs between fork and exec and makes two system calls,
    // both safe there; it neither allocates nor touches shared state.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        })
    }
}
