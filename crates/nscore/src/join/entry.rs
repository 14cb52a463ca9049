//! What it takes to enter a container: prepared before the fork, and not changed by
//! what is found inside.

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::exec::login::Login;
use crate::exec::program::Program;
use crate::host::own_file;
use crate::join::find::Found;
use crate::plan::profile::{self, Profile};
use crate::plan::user;
use crate::proc;
use crate::spec::maps::IdMap;
use crate::sys::descriptors;
use crate::sys::shim::Image;
use crate::sys::tty::Look;

/// What most errors are about.
pub(super) const ENTER: &str = "enter the container";

/// Everything the joiner and the command touch, prepared before the fork.
pub(super) struct Entry {
    pub(super) found: Found,
    pub(super) program: Program,
    pub(super) may_set_groups: bool,
    /// Drop ours before we enter. A user may once inside, if anybody may there.
    pub(super) drop_own_groups: bool,
    /// The streams that become a terminal inside.
    pub(super) terminals: [bool; 3],
    pub(super) look: Option<Look>,
    /// Stay in the session of the caller's terminal.
    pub(super) share_terminal: bool,
    /// The file of this program is one that the container could change.
    pub(super) exposed: bool,
    /// What the command gives up, who it becomes, and where.
    pub(super) changes: Vec<Change>,
    /// Room for that user, and for a file that could not be run.
    pub(super) login: Option<Box<Login>>,
    pub(super) header: Vec<u8>,
}

/// A step that makes the command no more than a process of the container's own,
/// or somebody else than its root.
#[derive(Debug)]
pub(super) enum Change {
    Profile(profile::ProfileStep),
    User(user::UserStep),
}

impl Change {
    /// Those of the profile that take container root's rights come before the
    /// change of user, which takes them as well, and the last of all after it.
    pub(super) fn all(profile: Profile, user: Vec<user::UserStep>) -> Vec<Change> {
        let limits = profile.first_steps().map(Change::Profile);
        let user = user.into_iter().map(Change::User);
        let last = Change::Profile(profile.last_step());
        limits.chain(user).chain([last]).collect()
    }

    pub(super) fn explain(&self, errno: Errno) -> Error {
        match self {
            Change::Profile(step) => Error::errno(step.to_string(), errno),
            Change::User(step) => match step.reason(errno) {
                Some(reason) => Error::new(step.to_string(), reason),
                None => Error::errno(step.to_string(), errno),
            },
        }
    }
}

/// Which ids of ours the container of `init` has, by the name of the file that says
/// so.
fn ids(init: libc::pid_t, file: &str) -> Result<IdMap> {
    let path = format!("/proc/{init}/{file}");
    let failed = |error| Error::io(format!("read {path}"), &error);
    let text = proc::read(&path).map_err(failed)?;
    IdMap::from_kernel_text(&text).ok_or_else(|| Error::new(ENTER, "it maps no id"))
}

/// Whether the container of `init` could change this program's file.
pub(super) fn exposed(init: libc::pid_t) -> Result<bool> {
    let users = ids(init, "uid_map")?;
    let due = own_file::due(Image::Shim, |id| users.has_outside(id))?;
    Ok(due.is_some())
}

/// Gives the container's root what it can have of our standard streams.
pub(super) fn give_streams(init: libc::pid_t) -> Result<()> {
    let (users, groups) = (ids(init, "uid_map")?, ids(init, "gid_map")?);
    if let Some(root) = users.outside(0).zip(groups.outside(0)) {
        descriptors::give_pipes(root, |user| users.has_outside(user));
    }
    Ok(())
}

pub(super) fn ended() -> Error {
    Error::new(ENTER, "it has ended")
}
