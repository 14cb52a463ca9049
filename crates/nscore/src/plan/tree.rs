//! Trees of mounts that the supervisor makes for the child, which may not make
//! them itself: shown with the container's ids, so that what belongs to id N on
//! disk belongs to id N inside.

use std::ffi::{CStr, CString};
use std::fmt;

use crate::error::hint::advice::Op;
use crate::error::text::quoted_c;
use crate::sys::mount::Depth;
use crate::sys::path::Known;

/// One tree, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    /// The whole root with what is mounted below it, for use as it is. Where
    /// the kernel or a file system cannot do that the child shows it with the
    /// ids on disk, as if nothing had been asked.
    Whole(Known),
    /// The root alone, as a layer.
    Root(Known),
    /// What is mounted at this path below the root, as a layer; with the ids
    /// on disk where its file system can do no other.
    Part(Known, CString),
    /// The directory that changes go to.
    Changes(Known),
    /// The source of a bind, with the ids on disk.
    Bind { source: Known, depth: Depth },
}

impl Tree {
    pub(crate) fn base(&self) -> &Known {
        match self {
            Tree::Whole(base)
            | Tree::Root(base)
            | Tree::Part(base, _)
            | Tree::Changes(base)
            | Tree::Bind { source: base, .. } => base,
        }
    }

    pub(crate) fn op(&self) -> Op {
        match self {
            Tree::Bind { .. } => Op::Other,
            _ => Op::Idmap,
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clone {}", quoted_c(self.base().path()))?;
        match self {
            Tree::Bind { .. } => return f.write_str(" to bind it"),
            Tree::Part(_, inside) => {
                write!(f, "{}{}", separator(self.base().path()), quoted_c(inside))?
            }
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
