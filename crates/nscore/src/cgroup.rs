//! The cgroup of a container, where it has one of its own: for limits, and for
//! an init that divides it further. cgroups(7), and the kernel's
//! Documentation/admin-guide/cgroup-v2.rst. Two of them:
//!
//! HOME/contain-PID-...            holds the limits, out of the container's reach
//! HOME/contain-PID-.../container  is the container's, whose root may divide it
//!
//! The supervisor, its guard and what runs for `-o` stay outside of both.

mod home;
mod leaf;
mod refusal;
mod scope;
mod traces;
mod tree;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access};

pub(crate) use leaf::Leaf;
pub use scope::Scope;
pub(crate) use traces::Traces;

use crate::error::{Error, Result, quoted};
use crate::idmap::Maps;
use crate::limits::Write;
use crate::spec::Spec;
use crate::systemd;
use crate::target::Found;
use home::Way;
use tree::Tree;

/// A cgroup of the container's own, decided.
#[derive(Debug)]
pub(crate) struct LeafPlan {
    purpose: Purpose,
    way: Way,
    writes: Vec<Write>,
    /// User and group outside that are the container's root.
    owner: (u32, u32),
}

/// What a cgroup is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Limits,
    /// An init that refuses to run without one.
    Systemd,
}

impl Purpose {
    fn of(spec: &Spec, systemd: bool) -> Option<Purpose> {
        if spec.limits.any() {
            Some(Purpose::Limits)
        } else {
            systemd.then_some(Purpose::Systemd)
        }
    }

    /// As the object of an error.
    fn what(self) -> &'static str {
        match self {
            Purpose::Limits => "limit the container",
            Purpose::Systemd => "give systemd a cgroup of its own",
        }
    }
}

impl LeafPlan {
    /// Decides whether the container gets a cgroup, and where.
    ///
    /// # Errors
    /// One is due and cannot be had.
    pub(crate) fn new(spec: &Spec, systemd: bool, maps: &Maps) -> Result<Option<LeafPlan>> {
        let Some(purpose) = Purpose::of(spec, systemd) else {
            return Ok(None);
        };
        let writes = spec.limits.writes();
        Ok(Some(LeafPlan {
            purpose,
            way: home::find(purpose, &writes)?,
            writes,
            owner: maps.root,
        }))
    }

    /// The scope that has to be entered for it.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        match &self.way {
            Way::Scope(scope) => Some(scope),
            Way::Here(_) => None,
        }
    }

    /// What is left to remove at the end of a start, by names that nobody else
    /// uses: known before anything is made.
    ///
    /// # Errors
    /// When the cgroup for it cannot be opened, or is not where we are.
    pub(crate) fn traces(&self) -> Result<Traces> {
        match &self.way {
            Way::Here(home) => Traces::new(home),
            Way::Scope(scope) => {
                let reason = "systemd manages the cgroup that we are in";
                Err(Error::new(self.purpose.what(), reason).with_hint(scope.hint()))
            }
        }
    }
}

impl Scope {
    /// The scope in which this program has to be started once again before
    /// [`Plan::new`](crate::Plan::new) and [`run`](crate::run), if systemd owns the
    /// cgroup that a container asked for would need: see [`Scope::enter`].
    ///
    /// # Errors
    /// What cannot be had here.
    pub fn due(spec: &Spec) -> Result<Option<Scope>> {
        spec.check()?;
        let systemd = systemd::is_init(spec, &spec.init_command());
        let Some(purpose) = Purpose::of(spec, systemd) else {
            return Ok(None);
        };
        Ok(match home::find(purpose, &spec.limits.writes())? {
            Way::Here(_) => None,
            Way::Scope(scope) => Some(scope),
        })
    }
}

impl fmt::Display for LeafPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Here(home) => write!(f, "{home}")?,
            Way::Scope(_) => f.write_str("make a cgroup in that scope")?,
        }
        for write in &self.writes {
            write!(f, "\nset {} to {}", write.key, quoted(&write.value))?;
        }
        Ok(())
    }
}

/// The cgroup to enter with a container, if it has one of its own: that of its
/// init. Where init has divided the container's, that itself takes no process.
pub(crate) fn entrance(container: &Found) -> Result<Option<OwnedFd>> {
    if !container.terms.cgroup {
        return Ok(None);
    }
    let dir = Tree::find()
        .and_then(|tree| tree.dir_of(container.init))
        .ok_or_else(|| Error::new(ENTER, "it cannot be seen from here"))?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match open(&dir, flags, Mode::empty()) {
        Ok(cgroup) => Ok(Some(cgroup)),
        Err(errno) => Err(not_entered(errno)),
    }
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

const ENTER: &str = "enter the container's cgroup";

/// The scope from which a process may move to the container's cgroup, if it may
/// not from here: both have to be below one that the caller may write to.
///
/// # Errors
/// When systemd is the one to ask for it, and cannot be.
pub(crate) fn scope_to_enter(container: &Found) -> Result<Option<Scope>> {
    if !container.terms.cgroup || !scope::systemd_runs() {
        return Ok(None);
    }
    let Some(tree) = Tree::find() else {
        return Ok(None);
    };
    let (Some(own), Some(to)) = (tree.own(), tree.dir_of(container.init)) else {
        return Ok(None);
    };
    let above = own.ancestors().find(|dir| to.starts_with(dir));
    let may_write = |dir: &Path| access(&dir.join("cgroup.procs"), AccessFlags::W_OK).is_ok();
    if above.is_some_and(may_write) || scope::is_ours(&own) {
        return Ok(None);
    }
    Scope::new()
        .map(Some)
        .map_err(|refusal| refusal.explain(ENTER))
}
