//! Trees of mounts that the supervisor makes for the child, which may not make
//! them itself: shown with the container's ids, so that what belongs to id N on
//! disk belongs to id N inside.

use std::ffi::{CStr, CString};
use std::fmt;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::error::{Error, Result, quoted, quoted_c};
use crate::hint::Op;
use crate::namespaces;
use crate::sys::mount::{self, Depth};
use crate::sys::{Sys, layers, path};

/// One tree, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    /// The whole root with what is mounted below it, for use as it is. Where
    /// the kernel or a file system cannot do that the child shows it with the
    /// ids on disk, as if nothing had been asked.
    Whole(CString),
    /// The root alone, as a layer.
    Root(CString),
    /// What is mounted at this path below the root, as a layer; with the ids
    /// on disk where its file system can do no other.
    Part(CString, CString),
    /// The directory that changes go to.
    Changes(CString),
    /// The source of a bind, with the ids on disk.
    Bind { path: CString, depth: Depth },
}

impl Tree {
    fn base(&self) -> &CStr {
        match self {
            Tree::Whole(path)
            | Tree::Root(path)
            | Tree::Part(path, _)
            | Tree::Changes(path)
            | Tree::Bind { path, .. } => path,
        }
    }

    fn op(&self) -> Op {
        match self {
            Tree::Bind { .. } => Op::Other,
            _ => Op::Idmap,
        }
    }

    /// Makes it, in the user namespace `ids`; None where the child can do
    /// without.
    fn clone_for(&self, ids: BorrowedFd) -> Sys<Option<OwnedFd>> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let base = || path::open_known_dir(self.base(), flags);
        match self {
            Tree::Bind { path, depth } => {
                let tree = mount::open_tree(AT_FDCWD, path, *depth)?;
                layers::separate(tree.as_fd(), *depth, None)?;
                Ok(Some(tree))
            }
            Tree::Whole(_) => match whole(base()?.as_fd(), ids) {
                Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => Ok(None),
                other => other.map(Some),
            },
            Tree::Root(_) | Tree::Changes(_) => {
                let tree = mount::open_tree(base()?.as_fd(), c"", Depth::One)?;
                layers::separate(tree.as_fd(), Depth::One, Some(ids))?;
                Ok(Some(tree))
            }
            Tree::Part(_, inside) => {
                let part = path::open_below(base()?.as_fd(), inside, flags)?;
                let tree = mount::open_tree(part.as_fd(), c"", Depth::One)?;
                match layers::separate(tree.as_fd(), Depth::One, Some(ids)) {
                    Err(Errno::EINVAL | Errno::EPERM) => {
                        layers::separate(tree.as_fd(), Depth::One, None)?;
                    }
                    other => other?,
                }
                Ok(Some(tree))
            }
        }
    }
}

/// A copy of the root and all below it. One mount that cannot be idmapped, a
/// /proc of a chroot's for example, would spoil all of it: then the root alone
/// is.
fn whole(base: BorrowedFd, ids: BorrowedFd) -> Sys<OwnedFd> {
    let tree = mount::open_tree(base, c"", Depth::All)?;
    match layers::separate(tree.as_fd(), Depth::All, Some(ids)) {
        Err(Errno::EINVAL | Errno::EPERM) => {
            layers::separate(tree.as_fd(), Depth::All, None)?;
            layers::separate(tree.as_fd(), Depth::One, Some(ids))?;
        }
        other => other?,
    }
    Ok(tree)
}

/// What the mount that shows this file or directory does not allow: writing, opening
/// devices. Nor does a clone of the supervisor's, but unless that is locked container
/// root can change it.
pub(crate) fn limits(path: &Path) -> Result<FsFlags> {
    let failed = |errno| Error::errno(format!("look at {}", quoted(path)), errno);
    let mount = statvfs(path).map_err(failed)?;
    // Neither set-id programs nor programs at all give container root what it lacks.
    Ok(mount.flags() & (FsFlags::ST_RDONLY | FsFlags::ST_NODEV))
}

/// Makes all of them for the container of process `pid`, whose maps are
/// written. Each belongs to no propagation group when it leaves here.
///
/// # Errors
/// The first that cannot be made and that the container cannot do without.
pub(crate) fn clone_all(trees: &[Tree], pid: libc::pid_t) -> Result<Vec<OwnedFd>> {
    if trees.is_empty() {
        return Ok(Vec::new());
    }
    let ids = namespaces::open(pid, "user")?;
    let mut clones = Vec::new();
    for tree in trees {
        let clone = tree
            .clone_for(ids.as_fd())
            .map_err(|errno| Error::system(tree.op(), tree.to_string(), errno))?;
        clones.extend(clone);
    }
    Ok(clones)
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clone {}", quoted_c(self.base()))?;
        match self {
            Tree::Bind { .. } => return f.write_str(" to bind it"),
            Tree::Part(_, inside) => write!(f, "{}{}", separator(self.base()), quoted_c(inside))?,
            Tree::Whole(_) => f.write_str(" and what is mounted there")?,
            Tree::Root(_) | Tree::Changes(_) => {}
        }
        f.write_str(" with the container's ids")?;
        match self {
            Tree::Whole(_) | Tree::Part(..) if f.alternate() => {
                f.write_str(", if the kernel allows it")
            }
            _ => Ok(()),
        }
    }
}

fn separator(base: &CStr) -> &'static str {
    if base.to_bytes().ends_with(b"/") {
        ""
    } else {
        "/"
    }
}
