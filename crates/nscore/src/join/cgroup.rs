//! The cgroup of a container that is entered: a command counts where init does.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access};

use crate::decide::cgroup::plan::ENTER;
use crate::error::{Error, Result};
use crate::host::systemd;
use crate::join::find::Found;
use crate::plan::cgroup::Scope;
use crate::proc::cgroup::Hierarchy;
use crate::sys::path;

/// The cgroup to enter with a container, if it has one of its own: that of its
/// init. Where init has divided the container's, that itself takes no process.
pub(crate) fn entrance(container: &Found) -> Result<Option<OwnedFd>> {
    if !container.terms.cgroup {
        return Ok(None);
    }
    let dir = Hierarchy::find()
        .and_then(|tree| tree.dir_of(container.init))
        .ok_or_else(|| Error::new(ENTER, "it cannot be seen from here"))?;
    path::open(&dir, OFlag::O_DIRECTORY)
        .map(Some)
        .map_err(not_entered)
}

/// Why no process could be made there.
pub(crate) fn not_entered(errno: Errno) -> Error {
    match errno {
        Errno::EAGAIN => Error::new(ENTER, "it has as many processes as it may have"),
        // Only who may write to a cgroup above both places moves a process.
        Errno::EACCES => Error::errno(ENTER, errno)
            .with_hint("start inject from the cgroup in which contain was started, or as root"),
        errno => Error::errno(ENTER, errno),
    }
}

/// The scope from which a process may move to the container's cgroup, if it may
/// not from here: both have to be below one that the caller may write to.
///
/// # Errors
/// When systemd is the one to ask for it, and cannot be.
pub(crate) fn scope_to_enter(container: &Found) -> Result<Option<Scope>> {
    if !container.terms.cgroup || !systemd::systemd_runs() {
        return Ok(None);
    }
    let Some(tree) = Hierarchy::find() else {
        return Ok(None);
    };
    let (Some(own), Some(to)) = (tree.own(), tree.dir_of(container.init)) else {
        return Ok(None);
    };
    let above = own.ancestors().find(|dir| to.starts_with(dir));
    let may_write = |dir: &Path| access(&dir.join("cgroup.procs"), AccessFlags::W_OK).is_ok();
    if above.is_some_and(may_write) || systemd::is_ours(&own) {
        return Ok(None);
    }
    Scope::new()
        .map(Some)
        .map_err(|refusal| refusal.explain(ENTER))
}
