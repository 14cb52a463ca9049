//! Copies of the host's mounts, with the container's ids, that only a supervisor with
//! rights over them can make: open_tree(2), mount_setattr(2).

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::error::{Error, Result};
use crate::plan::tree::Tree;
use crate::proc::namespaces;
use crate::sys::mount::{self, Depth};
use crate::sys::{Sys, layers, path};

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

impl Tree {
    /// Makes it, in the user namespace `ids`; None where the child can do
    /// without.
    fn clone_for(&self, ids: BorrowedFd) -> Sys<Option<OwnedFd>> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let base = || self.base().open(flags);
        match self {
            Tree::Bind { source, depth } => {
                let source = source.open(OFlag::O_PATH)?;
                let tree = mount::open_tree(source.as_fd(), c"", *depth)?;
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
