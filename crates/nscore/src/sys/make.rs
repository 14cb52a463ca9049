//! Making and removing files and directories by descriptor, never through a link.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::{self, Mode, SFlag};
use nix::unistd;

use crate::sys::Sys;
use crate::sys::path::{kind, open_below, open_in_root, open_parent, parent_in_root, prefix};

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

/// Removes the empty directory `name` of `dir`.
pub(crate) fn remove_dir(dir: BorrowedFd, name: &CStr) -> Sys<()> {
    unistd::unlinkat(dir, name, unistd::UnlinkatFlags::RemoveDir)
}

/// Removes the empty directory, the file or the link that is the last component
/// of `path` in `root`.
pub(crate) fn unmake(root: BorrowedFd, path: &CStr) -> Sys<()> {
    let (dir, name) = parent_in_root(root, path)?;
    match remove_dir(dir.as_fd(), name) {
        Err(Errno::ENOTDIR) => unistd::unlinkat(&dir, name, unistd::UnlinkatFlags::NoRemoveDir),
        other => other,
    }
}

/// Makes an empty file that anyone may read, a mount point for another.
pub(crate) fn make_file(dir: BorrowedFd, name: &CStr) -> Sys<()> {
    stat::mknodat(dir, name, SFlag::S_IFREG, Mode::from_bits_retain(0o644), 0)
}

/// Makes a file of this line, which anyone may read, where there is none.
pub(crate) fn write_file(dir: BorrowedFd, name: &CStr, line: &[u8]) -> Sys<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = fcntl::openat(dir, name, flags, Mode::from_bits_retain(0o644))?;
    unistd::write(&file, line)?;
    unistd::write(&file, b"\n").map(drop)
}

/// Makes what is missing of `path` in `root`: directories, and at its end a
/// directory of the mode given or an empty file. `made` learns how much of the
/// path each thing made is the end of.
pub(crate) fn make_point(
    root: BorrowedFd,
    path: &CStr,
    directory: Option<Mode>,
    mut made: impl FnMut(usize),
) -> Sys<()> {
    let bytes = path.to_bytes();
    let mut buffer = [0; libc::PATH_MAX as usize];
    let mut parent = open_in_root(root, c"", OFlag::O_PATH)?;
    let mut start = 0;
    loop {
        let slash = bytes[start..].iter().position(|byte| *byte == b'/');
        let end = slash.map_or(bytes.len(), |at| start + at);
        let here = prefix(bytes, end, &mut buffer)?;
        parent = match open_in_root(root, here, OFlag::O_PATH) {
            Err(Errno::ENOENT) => {
                let name = CStr::from_bytes_with_nul(&here.to_bytes_with_nul()[start..])
                    .map_err(|_| Errno::EINVAL)?;
                match directory {
                    _ if slash.is_some() => {
                        stat::mkdirat(&parent, name, Mode::from_bits_retain(0o755))?;
                    }
                    Some(mode) => stat::mkdirat(&parent, name, mode)?,
                    None => make_file(parent.as_fd(), name)?,
                }
                made(end);
                open_in_root(root, here, OFlag::O_PATH)?
            }
            other => other?,
        };
        if slash.is_none() {
            return Ok(());
        }
        start = end + 1;
    }
}

/// Copies the file `path` of one directory to the same path of another, where
/// it must not exist yet: EFBIG, and no copy, for a file that is not smaller than
/// `limit`, or grows to that meanwhile. An owner or date is not kept, the mode is.
pub(crate) fn copy_file(
    from: BorrowedFd,
    to: BorrowedFd,
    path: &CStr,
    mode: Mode,
    limit: libc::off_t,
) -> Sys<()> {
    let source = open_below(from, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
    let status = stat::fstat(&source)?;
    if kind(status.st_mode) != SFlag::S_IFREG || status.st_size >= limit {
        return Err(Errno::EFBIG);
    }
    let (dir, name) = open_parent(to, path)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let target = fcntl::openat(&dir, name, flags, mode)?;
    let mut left = usize::try_from(limit).unwrap_or(0);
    while left > 0 {
        match sendfile(&target, &source, None, left)? {
            0 => return Ok(()),
            count => left -= count,
        }
    }
    unistd::unlinkat(&dir, name, unistd::UnlinkatFlags::NoRemoveDir)?;
    Err(Errno::EFBIG)
}
