//! Opening and making things inside a directory without ever leaving it.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use crate::sys::{Sys, cvt};

/// A directory for use as the beginning of other paths.
pub(crate) const FIND_DIR: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// What kind of file has this mode, inode(7).
pub(crate) fn kind(mode: libc::mode_t) -> SFlag {
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT
}

/// Opens what is there, to be closed at exec.
pub(crate) fn open<P: ?Sized + NixPath>(path: &P, flags: OFlag) -> Sys<OwnedFd> {
    fcntl::open(path, flags | OFlag::O_CLOEXEC, Mode::empty())
}

/// The same from a directory on.
pub(crate) fn open_at<P: ?Sized + NixPath>(dir: impl AsFd, path: &P, flags: OFlag) -> Sys<OwnedFd> {
    fcntl::openat(dir, path, flags | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens the directory `name` (one component) of `dir`, refusing a link.
pub(crate) fn open_dir(dir: BorrowedFd, name: &CStr) -> Sys<OwnedFd> {
    open_at(dir, name, FIND_DIR | OFlag::O_NOFOLLOW)
}

/// The directory that holds the last component of `path` in `root`, and that
/// component.
pub(super) fn parent_in_root<'a>(root: BorrowedFd, path: &'a CStr) -> Sys<(OwnedFd, &'a CStr)> {
    let mut buffer = [0; libc::PATH_MAX as usize];
    let (parent, name) = split(path, &mut buffer)?;
    Ok((open_in_root(root, parent, FIND_DIR)?, name))
}

/// Opens `path` below `dir` for finding only (O_PATH), or as `flags` say,
/// following no link and never leaving `dir`, openat2(2); an empty path is
/// `dir` itself.
pub(crate) fn open_below(dir: BorrowedFd, path: &CStr, flags: OFlag) -> Sys<OwnedFd> {
    let path = if path.is_empty() { c"." } else { path };
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let how = fcntl::OpenHow::new().flags(flags).resolve(
        fcntl::ResolveFlag::RESOLVE_BENEATH
            | fcntl::ResolveFlag::RESOLVE_NO_SYMLINKS
            | fcntl::ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    match fcntl::openat2(dir, path, how) {
        Err(Errno::ENOSYS) => walk(dir, path, flags),
        other => other,
    }
}

/// A file by its absolute path, in which there was no link when it was looked up, and by
/// what was there. What was decided is of that file: whoever owns a directory on the way
/// could make the path lead elsewhere meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    path: CString,
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl Known {
    /// What lies there now, which is opened for finding (O_PATH).
    pub(crate) fn find(path: CString) -> Sys<(Known, OwnedFd)> {
        let (root, below) = from_root(&path)?;
        let file = open_below(root.as_fd(), below, OFlag::O_PATH)?;
        let FileStat { st_dev, st_ino, .. } = fstat(&file)?;
        let known = Known {
            path,
            device: st_dev,
            inode: st_ino,
        };
        Ok((known, file))
    }

    pub(crate) fn path(&self) -> &CStr {
        &self.path
    }

    pub(crate) fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path.to_bytes()))
    }

    /// Opens it once more: ESTALE when there is something else by now. No allocation.
    pub(crate) fn open(&self, flags: OFlag) -> Sys<OwnedFd> {
        let (root, below) = from_root(&self.path)?;
        let file = open_below(root.as_fd(), below, flags)?;
        let FileStat { st_dev, st_ino, .. } = fstat(&file)?;
        match (st_dev, st_ino) == (self.device, self.inode) {
            true => Ok(file),
            false => Err(Errno::ESTALE),
        }
    }
}

/// The root directory, and the rest of an absolute path.
fn from_root(path: &CStr) -> Sys<(OwnedFd, &CStr)> {
    let root = open(c"/", FIND_DIR)?;
    let bytes = path.to_bytes_with_nul();
    let below = bytes.strip_prefix(b"/").unwrap_or(bytes);
    let below = CStr::from_bytes_with_nul(below).map_err(|_| Errno::EINVAL)?;
    Ok((root, below))
}

/// [`open_below`] one component after the other, where openat2(2) is missing.
fn walk(dir: BorrowedFd, path: &CStr, flags: OFlag) -> Sys<OwnedFd> {
    let path = if path.is_empty() { c"." } else { path };
    let mut at = open_at(dir, c".", OFlag::O_PATH)?;
    let mut rest = path.to_bytes();
    loop {
        let end = rest.iter().position(|byte| *byte == b'/');
        let name = &rest[..end.unwrap_or(rest.len())];
        if name == b".." {
            return Err(Errno::EXDEV);
        }
        // A name and its NUL: longer than the kernel's NAME_MAX is no name.
        let mut buffer = [0; 256];
        let Some(room) = buffer.get_mut(..name.len()) else {
            return Err(Errno::ENAMETOOLONG);
        };
        room.copy_from_slice(name);
        let name = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::ENAMETOOLONG)?;
        match end {
            Some(end) => {
                at = open_dir(at.as_fd(), name)?;
                rest = &rest[end + 1..];
            }
            None => return open_at(&at, name, flags),
        }
    }
}

/// Opens `path` as a process whose root directory is `root` would, but through
/// no magic link, openat2(2). Where that call is missing, through no link at
/// all.
pub(crate) fn open_in_root(root: BorrowedFd, path: &CStr, flags: OFlag) -> Sys<OwnedFd> {
    match resolve(root, path, flags, fcntl::ResolveFlag::empty()) {
        Err(Errno::ENOSYS) => walk(root, path, flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW),
        other => other,
    }
}

/// Opens `path` like that, but only on the very mount that `root` is on, and so
/// never in what was bound somewhere below: EXDEV.
pub(crate) fn open_on_mount(root: BorrowedFd, path: &CStr, flags: OFlag) -> Sys<OwnedFd> {
    match resolve(root, path, flags, fcntl::ResolveFlag::RESOLVE_NO_XDEV) {
        Err(Errno::ENOSYS) => {
            let found = walk(root, path, flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)?;
            match mount_id(root)? == mount_id(found.as_fd())? {
                true => Ok(found),
                false => Err(Errno::EXDEV),
            }
        }
        other => other,
    }
}

/// Which mount this is on, statx(2).
fn mount_id(fd: BorrowedFd) -> Sys<u64> {
    const MNT_ID: libc::c_uint = 0x1000;
    let status = statx(fd.as_raw_fd(), c"", libc::AT_EMPTY_PATH, MNT_ID)?;
    match status.stx_mask & MNT_ID {
        0 => Err(Errno::ENOSYS),
        _ => Ok(status.stx_mnt_id),
    }
}

/// Whether a mount begins there: one always does at `/`, unless that is a chroot.
/// ENOSYS where the kernel does not say (before Linux 5.8).
pub(crate) fn is_mount_root(path: &CStr) -> Sys<bool> {
    const MOUNT_ROOT: u64 = 0x2000;
    let status = statx(libc::AT_FDCWD, path, libc::AT_EMPTY_PATH, 0)?;
    match status.stx_attributes_mask & MOUNT_ROOT {
        0 => Err(Errno::ENOSYS),
        _ => Ok(status.stx_attributes & MOUNT_ROOT != 0),
    }
}

/// What statx(2) says of a path, or with AT_EMPTY_PATH of a descriptor itself.
pub(crate) fn statx(
    dir: libc::c_int,
    path: &CStr,
    flags: libc::c_int,
    mask: libc::c_uint,
) -> Sys<libc::statx> {
    // SAFETY: an all-zero statx is one of which nothing is known.
    let mut status: libc::statx = unsafe { std::mem::zeroed() };
    let (name, to) = (path.as_ptr(), &raw mut status);
    // SAFETY: the path is NUL-terminated, and the structure is ours for the call.
    cvt(unsafe { libc::syscall(libc::SYS_statx, dir, name, flags, mask, to) })?;
    Ok(status)
}

fn resolve(root: BorrowedFd, path: &CStr, flags: OFlag, more: fcntl::ResolveFlag) -> Sys<OwnedFd> {
    let path = if path.is_empty() { c"." } else { path };
    let inside = fcntl::ResolveFlag::RESOLVE_IN_ROOT | fcntl::ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = fcntl::OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(inside | more);
    // Where something was renamed meanwhile the kernel cannot tell whether it
    // has stayed inside, and says so.
    for _ in 0..64 {
        match fcntl::openat2(root, path, how) {
            Err(Errno::EAGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

/// The same of an absolute path, in a process whose root directory is a
/// container's.
pub(crate) fn open_inside(path: &CStr, flags: OFlag) -> Sys<OwnedFd> {
    let (root, below) = from_root(path)?;
    open_in_root(root.as_fd(), below, flags)
}

/// The first `end` bytes of a path, as a path.
pub(crate) fn prefix<'a>(
    path: &[u8],
    end: usize,
    buffer: &'a mut [u8; libc::PATH_MAX as usize],
) -> Sys<&'a CStr> {
    // One for the NUL behind it.
    if end >= buffer.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    buffer[..end].copy_from_slice(&path[..end]);
    buffer[end] = 0;
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::ENAMETOOLONG)
}

/// A path without its last component, and that component.
fn split<'a, 'b>(
    path: &'a CStr,
    buffer: &'b mut [u8; libc::PATH_MAX as usize],
) -> Sys<(&'b CStr, &'a CStr)> {
    let bytes = path.to_bytes_with_nul();
    let (end, start) = match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (at, at + 1),
        None => (0, 0),
    };
    let name = CStr::from_bytes_with_nul(&bytes[start..]).map_err(|_| Errno::EINVAL)?;
    Ok((prefix(bytes, end, buffer)?, name))
}

/// The directory below `dir` that holds the last component of `path`, and that
/// component.
pub(crate) fn open_parent<'a>(dir: BorrowedFd, path: &'a CStr) -> Sys<(OwnedFd, &'a CStr)> {
    let mut buffer = [0; libc::PATH_MAX as usize];
    let (parent, name) = split(path, &mut buffer)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    Ok((open_below(dir, parent, flags)?, name))
}
