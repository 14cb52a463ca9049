//! What `--strict` hides of /proc and /sys, and what it makes read-only there.
//!
//! These are plain mounts of the child's own, which whoever may mount could
//! take away again. Nobody inside may: the filter of `--strict` has no call
//! that mounts, unmounts, or makes or enters a namespace in which one might,
//! whatever capabilities are kept, and no process inside is without it.

use std::ffi::CStr;
use std::fmt;

use nix::mount::MsFlags;

use crate::plan::place::{At, Place};
use crate::sys::mount::NewFileSystem;

/// What happens to a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The file reads as empty.
    Empty,
    /// The directory is empty.
    EmptyDirectory,
    /// It stays, with all below it, to be read only.
    ReadOnly,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    pub(crate) at: At,
    pub(crate) how: How,
}

/// What tells of the machine's memory, keys, timers and devices, and what sets
/// its buses, interrupts and sysctls.
const PROC: [(&CStr, How); 11] = [
    (c"kcore", How::Empty),
    (c"keys", How::Empty),
    (c"timer_list", How::Empty),
    (c"latency_stats", How::Empty),
    (c"sched_debug", How::Empty),
    (c"scsi", How::EmptyDirectory),
    (c"bus", How::ReadOnly),
    (c"fs", How::ReadOnly),
    (c"irq", How::ReadOnly),
    (c"sysrq-trigger", How::ReadOnly),
    (c"sys", How::ReadOnly),
];

pub(crate) static NOTHING: NewFileSystem = NewFileSystem {
    kind: c"tmpfs",
    data: c"mode=0555",
    flags: MsFlags::MS_RDONLY
        .union(MsFlags::MS_NOSUID)
        .union(MsFlags::MS_NODEV)
        .union(MsFlags::MS_NOEXEC),
};

/// All of them, for after /proc and /sys are mounted.
pub(crate) fn all() -> impl Iterator<Item = Mask> {
    let mask = |place, (name, how)| Mask {
        at: At(place, name),
        how,
    };
    let firmware = mask(Place::Sys, (c"firmware", How::EmptyDirectory));
    let proc = PROC.into_iter().map(move |part| mask(Place::Proc, part));
    proc.chain([firmware])
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            How::Empty | How::EmptyDirectory => write!(f, "hide {}", self.at),
            How::ReadOnly => write!(f, "make {} read-only", self.at),
        }
    }
}
