//! Where a step works: the directories that the child holds open, names in them, and
//! the namespaces and the mount that an init of its own goes into.

use std::ffi::{CStr, CString};
use std::fmt;

use nix::sched::CloneFlags;

use crate::error::text::quoted_c;

/// A directory that the child holds open while it builds the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The new root file system.
    Root,
    /// Its /dev, once mounted.
    Dev,
    /// Its /dev/pts, once mounted.
    Pts,
    /// Its /proc, once mounted, where a step needs it.
    Proc,
    /// Its /sys, once mounted.
    Sys,
    /// Its /run, where that is memory of ours.
    Run,
    /// The root below an overlay, where the child finds it itself.
    Lower,
    /// The upper directory: changes and work.
    Store,
    /// The changes in it.
    Changes,
    /// Memory where the parts of overlays have names that the kernel's option
    /// strings can hold.
    Scratch,
}

impl Place {
    /// How many there are: the child keeps one descriptor for each.
    pub(crate) const COUNT: usize = 10;

    pub(crate) fn path(self) -> &'static str {
        match self {
            Place::Root => "",
            Place::Dev => "/dev",
            Place::Pts => "/dev/pts",
            Place::Proc => "/proc",
            Place::Sys => "/sys",
            Place::Run => "/run",
            Place::Lower => "lower",
            Place::Store => "upper",
            Place::Changes => "changes",
            Place::Scratch => "scratch",
        }
    }
}

/// A name in a place. More than one component only where every component is
/// the kernel's or ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(pub(crate) Place, pub(crate) &'static CStr);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.path(), quoted_c(self.1))
    }
}

/// What is shown at the place of a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindKind {
    /// A device node, on an empty file.
    Node,
    /// A directory, where the host has it, and all that is mounted below it.
    Tree,
}

/// The namespaces of an init that is below the user namespace of those mounts
/// that it must not change, mount_namespaces(7).
#[derive(Debug)]
pub(crate) struct Nested {
    pub(crate) namespaces: CloneFlags,
    /// Where the root is, absolute and without links.
    pub(crate) root: CString,
    /// The texts of its uid_map and gid_map: every id is itself.
    pub(crate) uid_map: CString,
    pub(crate) gid_map: CString,
    /// What covers the host's root, if anything does.
    pub(crate) over_host: Option<OverHost>,
}

/// A mount over the host's root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverHost {
    pub(crate) place: Place,
    /// The new root, seen from there.
    pub(crate) root: &'static CStr,
}
