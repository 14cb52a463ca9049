//! The steps of the child that attach mounts below the root, as data.

use std::ffi::{CStr, CString};
use std::fmt;

use nix::mount::MsFlags;

use crate::error::hint::advice::Op;
use crate::error::text::quoted_c;
use crate::plan::place::Place;
use crate::sys::mount::{Depth, flag_words};
use crate::sys::path::Known;

/// A place below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// Without a slash in front. Links are resolved inside the root.
    pub(crate) path: CString,
    /// Whether a directory belongs there, or a file.
    pub(crate) directory: bool,
    /// It is in memory of ours, where what is missing can be made at any time.
    pub(crate) in_memory: bool,
}

/// Where the tree of a bind comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The supervisor has made it.
    Sent(usize),
    /// The child has opened it itself.
    Opened(usize),
}

/// A new file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fresh {
    pub(crate) kind: CString,
    pub(crate) source: CString,
    pub(crate) size: Option<CString>,
    pub(crate) flags: MsFlags,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountStep {
    /// Clone what is at this path of the host, with all that is mounted below
    /// it or without, while our rights are the caller's.
    Open {
        source: Known,
        depth: Depth,
        slot: usize,
    },
    /// Make what is missing of a mount point.
    MakePoint(Point),
    /// Make a symbolic link unless something has that name.
    MakeLink { path: CString, target: CString },
    /// Show a tree; `path` is for messages.
    Attach {
        source: Source,
        path: CString,
        point: Point,
        flags: MsFlags,
    },
    /// Mount a new file system. A tmpfs gets the mode of the directory that it
    /// covers.
    Mount {
        fresh: Fresh,
        point: Point,
        /// What its root is kept as, for a later step.
        keep: Option<Place>,
    },
    /// Let nobody write to the root file system or to what is mounted below it.
    ReadOnlyRoot,
}

impl MountStep {
    /// What the hint table knows a failure of this step as.
    pub(crate) fn op(&self) -> Op {
        match self {
            MountStep::MakePoint(_) | MountStep::MakeLink { .. } => Op::MakePoint,
            MountStep::Attach { .. } => Op::Attach,
            MountStep::ReadOnlyRoot => Op::ReadOnly,
            MountStep::Mount { .. } => Op::MountAsked,
            MountStep::Open { .. } => Op::Other,
        }
    }

    /// How many names it may add to the root.
    pub(crate) fn names(&self) -> usize {
        match self {
            MountStep::MakePoint(point) => {
                point.path.to_bytes().split(|byte| *byte == b'/').count()
            }
            MountStep::MakeLink { .. } => 1,
            _ => 0,
        }
    }
}

/// Reads as "VERB OBJECT"; the alternate form adds details.
impl fmt::Display for MountStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountStep::Open { source, .. } => write!(f, "open {}", quoted_c(source.path())),
            MountStep::MakePoint(point) => write!(f, "make mount point /{}", quoted_c(&point.path)),
            MountStep::MakeLink { path, target } => {
                write!(f, "link /{} to {}", quoted_c(path), quoted_c(target))
            }
            MountStep::Attach {
                path, point, flags, ..
            } => {
                write!(f, "bind {} on /{}", quoted_c(path), quoted_c(&point.path))?;
                details(f, *flags, None)
            }
            MountStep::Mount { fresh, point, .. } => {
                write!(
                    f,
                    "mount {} on /{}",
                    quoted_c(&fresh.kind),
                    quoted_c(&point.path)
                )?;
                details(f, fresh.flags, fresh.size.as_deref())
            }
            MountStep::ReadOnlyRoot => write!(f, "make the root file system read-only"),
        }
    }
}

fn details(f: &mut fmt::Formatter<'_>, flags: MsFlags, size: Option<&CStr>) -> fmt::Result {
    let size = size.map(|size| format!("size={}", quoted_c(size)));
    let mut words: Vec<&str> = flag_words(flags);
    words.extend(size.as_deref());
    if f.alternate() && !words.is_empty() {
        write!(f, " ({})", words.join(","))?;
    }
    Ok(())
}
