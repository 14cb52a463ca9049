//! What overlays are made of: detached trees of mounts with ids and
//! propagation of their own, and the overlay file system itself. No allocation.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, mknodat};
use nix::unistd;

use crate::sys::fscontext::Context;
use crate::sys::mount::{self, Depth, move_mount};
use crate::sys::{Sys, cvt_fd};

/// Takes a detached mount out of its propagation group and, in the same step,
/// shows its files with the ids of the user namespace `ids`, mount_setattr(2).
/// A detached tree is in no mount namespace, so the child's own MS_PRIVATE does not
/// reach it: where the host's / is shared, as systemd has it, what container root
/// mounts in the tree would appear on the host.
pub(crate) fn separate(tree: BorrowedFd, depth: Depth, ids: Option<BorrowedFd>) -> Sys<()> {
    let attributes = libc::mount_attr {
        attr_set: ids.map_or(0, |_| libc::MOUNT_ATTR_IDMAP),
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        // A descriptor in use is never negative.
        userns_fd: ids.map_or(0, |ids| u64::from(ids.as_raw_fd().cast_unsigned())),
    };
    mount::change(tree, c"", depth, &attributes)
}

/// The mount and directory that is the working directory, whoever may search
/// it: an empty path looks nothing up.
pub(crate) fn working_directory() -> Sys<OwnedFd> {
    let flags = libc::O_CLOEXEC | libc::AT_EMPTY_PATH;
    let (dir, path) = (AT_FDCWD.as_raw_fd(), c"".as_ptr());
    // SAFETY: the path is NUL-terminated; the call returns a new descriptor.
    unsafe { cvt_fd(libc::syscall(libc::SYS_open_tree, dir, path, flags)) }
}

/// Mounts the detached `tree` over the working directory and enters it.
pub(crate) fn cover_working_directory(tree: BorrowedFd) -> Sys<()> {
    move_mount(tree, AT_FDCWD, c"")?;
    unistd::fchdir(tree)
}

/// An overlay whose upper layer is the working directory, attached nowhere.
/// The strings are paths from there, `lower` with colons between its layers.
pub(crate) fn overlay(lower: &CStr, work: &CStr) -> Sys<OwnedFd> {
    let context = Context::open(c"overlay")?;
    context.set(c"source", Some(c"overlay"))?;
    context.set(c"lowerdir", Some(lower))?;
    context.set(c"upperdir", Some(c"."))?;
    context.set(c"workdir", Some(work))?;
    // Upper layers of ours may lie inside one another, each hidden by the
    // overlay on it; an index would take that for a conflict.
    context.set(c"index", Some(c"off"))?;
    // The only marks that a user namespace may leave on files.
    context.set(c"userxattr", None)?;
    context.mount(0)
}

/// A whiteout: the device 0/0, which anyone may make, hides what lies below.
pub(crate) fn make_whiteout(dir: BorrowedFd, name: &CStr) -> Sys<()> {
    match mknodat(dir, name, SFlag::S_IFCHR, Mode::empty(), 0) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}
