//! Opening and making things inside a directory without ever leaving it.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::{self, Mode, SFlag};

use super::Sys;

/// Opens the directory `name` (one component) of `dir`, refusing a link.
pub(crate) fn open_dir(dir: BorrowedFd, name: &CStr) -> Sys<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    fcntl::openat(dir, name, flags, Mode::empty())
}

/// Makes the directory `name` of `dir` unless something has that name.
pub(crate) fn make_dir(dir: BorrowedFd, name: &CStr, mode: Mode) -> Sys<()> {
    match stat::mkdirat(dir, name, mode) {
        Err(Errno::EEXIST) => Ok(()),
        // A read-only file system says so even where the name exists.
        Err(errno) if stat::fstatat(dir, name, fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).is_err() => {
            Err(errno)
        }
        _ => Ok(()),
    }
}

/// Makes an empty file, a mount point for another.
pub(crate) fn make_file(dir: BorrowedFd, name: &CStr) -> Sys<()> {
    stat::mknodat(dir, name, SFlag::S_IFREG, Mode::from_bits_retain(0o600), 0)
}
