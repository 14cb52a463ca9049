//! Opening and making things inside a directory without ever leaving it.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::{self, OFlag};
use nix::mount::{self, MntFlags};
use nix::sys::stat::{self, Mode, SFlag};
use nix::unistd;

use super::Sys;

/// Opens the directory `name` (one component) of `dir`, refusing a link.
pub(crate) fn open_dir(dir: BorrowedFd, name: &CStr) -> Sys<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    fcntl::openat(dir, name, flags, Mode::empty())
}

/// Makes the directory `name` of `dir` unless something has that name; says
/// whether it did.
pub(crate) fn make_dir(dir: BorrowedFd, name: &CStr, mode: Mode) -> Sys<bool> {
    match stat::mkdirat(dir, name, mode) {
        Ok(()) => Ok(true),
        // A read-only file system says so even where the name exists.
        Err(errno) if stat::fstatat(dir, name, fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).is_err() => {
            Err(errno)
        }
        Err(_) => Ok(false),
    }
}

/// Removes the empty directory `name` of `dir`, with what is mounted on it in
/// this mount namespace.
pub(crate) fn unmake_dir(dir: BorrowedFd, name: &CStr) -> Sys<()> {
    unistd::fchdir(dir)?;
    while mount::umount2(name, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).is_ok() {}
    unistd::unlinkat(dir, name, unistd::UnlinkatFlags::RemoveDir)
}

/// Makes an empty file, a mount point for another.
pub(crate) fn make_file(dir: BorrowedFd, name: &CStr) -> Sys<()> {
    stat::mknodat(dir, name, SFlag::S_IFREG, Mode::from_bits_retain(0o600), 0)
}
