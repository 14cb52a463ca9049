//! Mounts attached by descriptor: fsopen(2), open_tree(2), move_mount(2) and
//! mount_setattr(2), with mount(2) where they are missing. No allocation.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::mount::{MntFlags, MsFlags};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::sys::fscontext::Context;
use crate::sys::path::{self, FIND_DIR};
use crate::sys::{Sys, cvt, cvt_fd};

/// What mount(8) calls these.
pub(crate) fn flag_words(flags: MsFlags) -> Vec<&'static str> {
    let words = [
        (MsFlags::MS_RDONLY, "ro"),
        (MsFlags::MS_NOSUID, "nosuid"),
        (MsFlags::MS_NODEV, "nodev"),
        (MsFlags::MS_NOEXEC, "noexec"),
    ];
    let set = words.into_iter().filter(|(flag, _)| flags.contains(*flag));
    set.map(|(_, word)| word).collect()
}

/// A new file system instance, as fsconfig(2) is told of it.
#[derive(Debug, Clone)]
pub(crate) struct NewFileSystem {
    pub(crate) kind: &'static CStr,
    /// Options with a value, and flags without one, as mount(2) takes them.
    pub(crate) data: &'static CStr,
    /// MS_NOSUID, MS_NODEV and MS_NOEXEC alone.
    pub(crate) flags: MsFlags,
}

impl NewFileSystem {
    pub(crate) const fn new(
        kind: &'static CStr,
        data: &'static CStr,
        flags: MsFlags,
    ) -> NewFileSystem {
        NewFileSystem { kind, data, flags }
    }
}

/// How much of the mounts at a place is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The mount itself alone.
    One,
    /// With all that is mounted below it.
    All,
}

/// What follows the root of a path walk: nothing at all.
const EMPTY: &CStr = c"";

/// Mounts `fs` on the directory `at` and returns the root of the new mount.
///
/// `again` opens the same directory once more: without fsopen(2) that is how
/// the new mount is reached, and it is checked that it has been.
pub(crate) fn mount_new(
    fs: &NewFileSystem,
    at: BorrowedFd,
    again: impl Fn() -> Sys<OwnedFd>,
) -> Sys<OwnedFd> {
    let attach = |mount: OwnedFd| move_mount(mount.as_fd(), at, EMPTY).map(|()| mount);
    match new_mount(fs).and_then(attach) {
        Ok(mount) => Ok(mount),
        Err(Errno::ENOSYS) => {
            mount(fs, at)?;
            let root = again()?;
            let (below, above) = (nix::sys::stat::fstat(at)?, nix::sys::stat::fstat(&root)?);
            if below.st_dev == above.st_dev {
                Err(Errno::EXDEV)
            } else {
                Ok(root)
            }
        }
        Err(errno) => Err(errno),
    }
}

/// A mount of a new file system that is attached nowhere yet.
pub(crate) fn new_mount(fs: &NewFileSystem) -> Sys<OwnedFd> {
    let context = Context::open(fs.kind)?;
    // What /proc/mounts shows as the device: the kind, as everywhere.
    context.set(c"source", Some(fs.kind))?;
    for option in fs.data.to_bytes().split(|byte| *byte == b',') {
        context.set_as(option)?;
    }
    context.mount(attributes(fs.flags))
}

/// The MOUNT_ATTR_ bits of MS_ flags: nosuid, nodev and noexec are the same
/// numbers in both.
fn attributes(flags: MsFlags) -> libc::c_ulong {
    let same = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    (flags & same).bits()
}

impl Depth {
    fn at_flags(self) -> libc::c_int {
        match self {
            Depth::One => 0,
            Depth::All => libc::AT_RECURSIVE,
        }
    }
}

/// A detached copy of the mount at `path` of `dir`.
pub(crate) fn open_tree(dir: BorrowedFd, path: &CStr, depth: Depth) -> Sys<OwnedFd> {
    const OPEN_TREE_CLONE: libc::c_int = 1;
    let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | libc::AT_NO_AUTOMOUNT | depth.at_flags();
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH;
    }
    let (dir, path) = (dir.as_raw_fd(), path.as_ptr());
    // SAFETY: the path is NUL-terminated; the call returns a new descriptor.
    unsafe { cvt_fd(libc::syscall(libc::SYS_open_tree, dir, path, flags)) }
}

/// Attaches a detached mount at `path` of `dir`, or at `dir` for an empty path.
/// A link at the end of the path is not followed.
pub(crate) fn move_mount(mount: BorrowedFd, dir: BorrowedFd, path: &CStr) -> Sys<()> {
    const F_EMPTY_PATH: libc::c_uint = 4;
    const T_EMPTY_PATH: libc::c_uint = 0x40;
    let flags = F_EMPTY_PATH | if path.is_empty() { T_EMPTY_PATH } else { 0 };
    let (mount, dir) = (mount.as_raw_fd(), dir.as_raw_fd());
    let (from, to) = (EMPTY.as_ptr(), path.as_ptr());
    // SAFETY: both paths are NUL-terminated.
    cvt(unsafe { libc::syscall(libc::SYS_move_mount, mount, from, dir, to, flags) }).map(drop)
}

/// Mounts `fs` on the directory `at`.
pub(crate) fn mount(fs: &NewFileSystem, at: BorrowedFd) -> Sys<()> {
    unistd::fchdir(at)?;
    nix::mount::mount(Some(fs.kind), c".", Some(fs.kind), fs.flags, Some(fs.data))
}

/// Removes the mount whose root this is.
pub(crate) fn unmount(root: BorrowedFd) -> Sys<()> {
    unistd::fchdir(root)?;
    nix::mount::umount2(c".", MntFlags::MNT_DETACH)
}

/// Shows the file or directory `source` at `name` of `dir`, which is ours: a
/// link there would be followed.
pub(crate) fn bind(source: &CStr, dir: BorrowedFd, name: &CStr, depth: Depth) -> Sys<()> {
    unistd::fchdir(dir)?;
    let flags = match depth {
        Depth::One => MsFlags::MS_BIND,
        Depth::All => MsFlags::MS_BIND | MsFlags::MS_REC,
    };
    nix::mount::mount(Some(source), name, None::<&CStr>, flags, None::<&CStr>)
}

/// Whether mount_setattr(2) is there, which changes all that is mounted below a
/// place at once: Linux 5.12.
pub(crate) fn can_set() -> bool {
    !crate::sys::is_missing(libc::SYS_mount_setattr)
}

/// Makes the mount at `name` of `dir` read-only, with all below it. Without
/// mount_setattr(2) only the mount itself is.
pub(crate) fn set_read_only(dir: BorrowedFd, name: &CStr) -> Sys<()> {
    match change(dir, name, Depth::All, &attributes_set(MsFlags::MS_RDONLY)) {
        Err(Errno::ENOSYS) => {
            unistd::fchdir(dir)?;
            let name = if name.is_empty() { c"." } else { name };
            // A remount must name the flags that were locked: those of sysfs.
            let flags = MsFlags::MS_REMOUNT
                | MsFlags::MS_BIND
                | MsFlags::MS_RDONLY
                | MsFlags::MS_NOSUID
                | MsFlags::MS_NODEV
                | MsFlags::MS_NOEXEC;
            nix::mount::mount(None::<&CStr>, name, None::<&CStr>, flags, None::<&CStr>)
        }
        other => other,
    }
}

/// Restricts the mount `tree`, and all that is mounted below it, by these flags
/// of nosuid, nodev, noexec and read-only.
pub(crate) fn restrict(tree: BorrowedFd, flags: MsFlags) -> Sys<()> {
    change(tree, EMPTY, Depth::All, &attributes_set(flags))
}

fn attributes_set(flags: MsFlags) -> libc::mount_attr {
    libc::mount_attr {
        attr_set: attributes(flags),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    }
}

/// mount_setattr(2) of the mount at `path` of `dir`, or of `dir` for an empty
/// path.
pub(super) fn change(
    dir: BorrowedFd,
    path: &CStr,
    depth: Depth,
    attributes: &libc::mount_attr,
) -> Sys<()> {
    let mut flags = depth.at_flags();
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH;
    }
    let (dir, path, attributes) = (dir.as_raw_fd(), path.as_ptr(), &raw const *attributes);
    let (call, size) = (libc::SYS_mount_setattr, size_of::<libc::mount_attr>());
    // SAFETY: the path is NUL-terminated, the structure of the size given.
    cvt(unsafe { libc::syscall(call, dir, path, flags, attributes, size) }).map(drop)
}

/// Keeps every mount of this namespace from those of others, both ways.
pub(crate) fn make_private() -> Sys<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&CStr>, c"/", None::<&CStr>, flags, None::<&CStr>)
}

/// Mounts the working directory, with all that is mounted below it, over
/// itself, enters the new mount and returns it.
///
/// Without open_tree(2) or move_mount(2) the new mount can be reached only by its
/// path `known`, and it is checked that this path leads there.
pub(crate) fn mount_working_directory(known: &CStr) -> Sys<OwnedFd> {
    let attach = |tree: OwnedFd| move_mount(tree.as_fd(), AT_FDCWD, c".").map(|()| tree);
    match open_tree(AT_FDCWD, c".", Depth::All).and_then(attach) {
        Ok(tree) => {
            unistd::fchdir(&tree)?;
            Ok(tree)
        }
        Err(Errno::ENOSYS) => {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            nix::mount::mount(Some(c"."), c".", None::<&CStr>, flags, None::<&CStr>)?;
            let below = nix::sys::stat::stat(c".")?;
            let root = path::open(known, FIND_DIR)?;
            let above = nix::sys::stat::fstat(&root)?;
            if (below.st_dev, below.st_ino) != (above.st_dev, above.st_ino) {
                return Err(Errno::ESTALE);
            }
            unistd::fchdir(&root)?;
            Ok(root)
        }
        Err(errno) => Err(errno),
    }
}

/// Makes the working directory the root of this mount namespace and forgets
/// the old root, pivot_root(2) "pivot_root(".", ".")".
///
/// A mount namespace that begins with the new root, OPEN_TREE_NAMESPACE of Linux
/// 7.0, saves the pivot and will not do: a user namespace may mount /proc only
/// where one is visible already, and there is none in it.
pub(crate) fn pivot_here() -> Sys<()> {
    unistd::pivot_root(c".", c".")?;
    nix::mount::umount2(c".", MntFlags::MNT_DETACH)?;
    unistd::chdir(c"/")
}

/// The same where a mount covers the old root. It may be locked and cannot be
/// removed alone then, nor can a path lead below it; so the old root goes to a
/// mount of ours, over the new root's /proc, and with that mount.
pub(crate) fn pivot_covered() -> Sys<()> {
    let (kind, none) = (Some(c"tmpfs"), None::<&CStr>);
    nix::mount::mount(kind, c"proc", kind, MsFlags::empty(), none)?;
    unistd::mkdir(c"proc/old", Mode::empty())?;
    unistd::pivot_root(c".", c"proc/old")?;
    unistd::chdir(c"/")?;
    nix::mount::umount2(c"proc", MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
}
