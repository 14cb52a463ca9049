//! Files by descriptors that need not be open for reading, and by paths of a thread's
//! own root: status, owner, permissions, names and extended attributes.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use libc::{c_int, c_long};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat;
use nix::unistd::{self, Gid, Uid};

use crate::sys::path::statx;
use crate::sys::{Sys, cvt};

/// The status of the file behind a descriptor of any kind.
pub(crate) fn status(file: BorrowedFd) -> Sys<libc::stat> {
    stat::fstat(file)
}

/// The same in the words of statx(2), of what `mask` asks for.
pub(crate) fn extended_status(file: BorrowedFd, flags: c_int, mask: u32) -> Sys<libc::statx> {
    statx(file.as_raw_fd(), c"", flags | libc::AT_EMPTY_PATH, mask)
}

/// The mount that a descriptor is on, and the inode: where it is.
pub(crate) fn whereabouts(file: BorrowedFd) -> Sys<(u64, u64)> {
    locate(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

/// The same of what a path leads to.
pub(crate) fn whereabouts_at(path: &CStr) -> Sys<(u64, u64)> {
    locate(libc::AT_FDCWD, path, 0)
}

fn locate(dir: c_int, path: &CStr, flags: c_int) -> Sys<(u64, u64)> {
    let status = statx(dir, path, flags, libc::STATX_INO | libc::STATX_MNT_ID)?;
    Ok((status.stx_mnt_id, status.stx_ino))
}

/// Changes the owner of a file, of a link itself; None leaves an id as it is.
pub(crate) fn change_owner(file: BorrowedFd, user: Option<u32>, group: Option<u32>) -> Sys<()> {
    let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
    unistd::fchownat(file, c"", user, group, AtFlags::AT_EMPTY_PATH)
}

/// What `by_fd` does, and for a descriptor that is open for nothing `by_name`.
fn either<T>(
    file: BorrowedFd,
    by_fd: impl FnOnce(c_int) -> T,
    by_name: impl FnOnce(*const libc::c_char) -> T,
) -> Sys<c_long>
where
    T: Into<i64>,
{
    match cvt(by_fd(file.as_raw_fd()).into()) {
        Err(Errno::EBADF) => cvt(by_name(name_of(file).as_ptr()).into()),
        other => other,
    }
}

/// A descriptor's name from /proc, which must be the working directory of the thread:
/// the calls below are for descriptors that others take only where they are open.
fn name_of(file: BorrowedFd) -> CString {
    let name = format!("self/fd/{}", file.as_raw_fd());
    CString::new(name).expect("digits have no NUL")
}

/// Changes the permissions of what a descriptor is of.
pub(crate) fn change_mode(file: BorrowedFd, mode: u32) -> Sys<()> {
    either(
        file,
        // SAFETY: integers only.
        |fd| unsafe { libc::fchmod(fd, mode) },
        // SAFETY: the name ends, in what lives through the call.
        |name| unsafe { libc::chmod(name, mode) },
    )
    .map(drop)
}

/// Gives a file without a name this one, unless something has it.
pub(crate) fn give_name(file: BorrowedFd, dir: BorrowedFd, name: &CStr) -> Sys<()> {
    let from = name_of(file);
    unistd::linkat(
        AT_FDCWD,
        from.as_c_str(),
        dir,
        name,
        AtFlags::AT_SYMLINK_FOLLOW,
    )
}

/// The status of what a path names; of a link itself, unless it is to be followed.
pub(crate) fn status_at(path: &CStr, follow: bool) -> Sys<libc::stat> {
    if follow {
        stat::stat(path)
    } else {
        stat::lstat(path)
    }
}

/// An extended attribute of what a path names, likewise.
pub(crate) fn attribute_at(path: &CStr, follow: bool, key: &CStr, value: &mut [u8]) -> Sys<usize> {
    let get = if follow {
        libc::getxattr
    } else {
        libc::lgetxattr
    };
    let (room, size) = (value.as_mut_ptr().cast(), value.len());
    // SAFETY: path and key end, and the kernel writes at most as many bytes as value
    // has room for.
    let len = cvt(unsafe { get(path.as_ptr(), key.as_ptr(), room, size) } as c_long)?;
    usize::try_from(len).map_err(|_| Errno::EIO)
}

/// Reads an extended attribute; ERANGE where it is longer than `value`.
pub(crate) fn attribute(file: BorrowedFd, key: &CStr, value: &mut [u8]) -> Sys<usize> {
    let (room, size) = (value.as_mut_ptr().cast(), value.len());
    let len = either(
        file,
        // SAFETY: key ends, and the kernel writes at most as many bytes as value has
        // room for.
        |fd| unsafe { libc::fgetxattr(fd, key.as_ptr(), room, size) } as i64,
        // SAFETY: the same, and the name ends.
        |name| unsafe { libc::getxattr(name, key.as_ptr(), room, size) } as i64,
    )?;
    usize::try_from(len).map_err(|_| Errno::EIO)
}

/// Sets one, at once: who reads finds the old value or the new one.
pub(crate) fn set_attribute(file: BorrowedFd, key: &CStr, value: &[u8]) -> Sys<()> {
    let (from, size) = (value.as_ptr().cast(), value.len());
    either(
        file,
        // SAFETY: key ends, and the kernel reads as many bytes as value has.
        |fd| unsafe { libc::fsetxattr(fd, key.as_ptr(), from, size, 0) },
        // SAFETY: the same, and the name ends.
        |name| unsafe { libc::setxattr(name, key.as_ptr(), from, size, 0) },
    )
    .map(drop)
}

/// Removes one, if it is there.
pub(crate) fn remove_attribute(file: BorrowedFd, key: &CStr) -> Sys<()> {
    let removed = either(
        file,
        // SAFETY: key ends.
        |fd| unsafe { libc::fremovexattr(fd, key.as_ptr()) },
        // SAFETY: key and name end.
        |name| unsafe { libc::removexattr(name, key.as_ptr()) },
    );
    match removed {
        Err(Errno::ENODATA) => Ok(()),
        other => other.map(drop),
    }
}

/// The names of all of them, each with a NUL behind it.
pub(crate) fn attributes(file: BorrowedFd) -> Sys<Vec<u8>> {
    list(|room, size| {
        either(
            file,
            // SAFETY: list vouches for the room.
            |fd| unsafe { libc::flistxattr(fd, room, size) } as i64,
            // SAFETY: the same, and the name ends.
            |name| unsafe { libc::listxattr(name, room, size) } as i64,
        )
    })
}

/// Those of what a path names; of a link itself, unless it is to be followed.
pub(crate) fn attributes_at(path: &CStr, follow: bool) -> Sys<Vec<u8>> {
    let get = if follow {
        libc::listxattr
    } else {
        libc::llistxattr
    };
    // SAFETY: the path ends, and list vouches for the room.
    list(|room, size| cvt(unsafe { get(path.as_ptr(), room, size) } as c_long))
}

/// A list of names by `get`, which writes no more than it is told there is room for.
fn list(get: impl Fn(*mut libc::c_char, usize) -> Sys<c_long>) -> Sys<Vec<u8>> {
    /// XATTR_LIST_MAX of linux/limits.h.
    const MOST: usize = 65536;
    // Few files have more than a few.
    for size in [1024, MOST] {
        let mut names = vec![0_u8; size];
        match get(names.as_mut_ptr().cast(), size) {
            Err(Errno::ERANGE) => {}
            other => {
                names.truncate(usize::try_from(other?).map_err(|_| Errno::EIO)?);
                return Ok(names);
            }
        }
    }
    Err(Errno::E2BIG)
}

/// Makes this the root that absolute paths of this thread begin at; it must not share
/// that with others, [`own_paths`].
pub(crate) fn change_root(dir: BorrowedFd, back: BorrowedFd) -> Sys<()> {
    unistd::fchdir(dir)?;
    let changed = unistd::chroot(c".");
    unistd::fchdir(back)?;
    changed
}

/// Root and working directory of this thread are no other's from now on.
pub(crate) fn own_paths() -> Sys<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)
}

/// The bytes of a status as programs of this architecture expect them. None where the
/// layout of this program's is not the kernel's, or not known to be.
pub(crate) fn status_bytes(status: &libc::stat) -> Option<&[u8]> {
    let known = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    // SAFETY: on these both kernel and C library fill the gaps with fields of their
    // own, so that every byte is one of a field.
    known.then(|| unsafe { bytes_of(status) })
}

/// The same of statx(2), which has one layout everywhere.
pub(crate) fn extended_bytes(status: &libc::statx) -> &[u8] {
    // SAFETY: its gaps have names, on all architectures.
    unsafe { bytes_of(status) }
}

/// # Safety
/// There must be no gap between the fields, for nobody has written there.
unsafe fn bytes_of<T>(data: &T) -> &[u8] {
    // SAFETY: the caller vouches for the bytes, which live as long as the borrow.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(data).cast(), size_of::<T>()) }
}
