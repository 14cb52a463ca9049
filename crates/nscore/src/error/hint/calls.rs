//! The system calls without which some starts are impossible, the kernel that
//! brought each, and which of them this process lacks.

use crate::error::hint::advice::Op;
use crate::sys;

pub(super) const CALLS: [Call; 8] = [
    call("pidfd_send_signal", libc::SYS_pidfd_send_signal, (5, 1)),
    call("open_tree", libc::SYS_open_tree, (5, 2)),
    call("move_mount", libc::SYS_move_mount, (5, 2)),
    call("fsopen", libc::SYS_fsopen, (5, 2)),
    call("fsconfig", libc::SYS_fsconfig, (5, 2)),
    call("fsmount", libc::SYS_fsmount, (5, 2)),
    call("pidfd_open", libc::SYS_pidfd_open, (5, 3)),
    call("mount_setattr", libc::SYS_mount_setattr, (5, 12)),
];

/// A call without which some starts are impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(super) name: &'static str,
    number: libc::c_long,
    /// The first kernel that has it.
    pub(super) since: (u32, u32),
}

pub(super) const fn call(name: &'static str, number: libc::c_long, since: (u32, u32)) -> Call {
    Call {
        name,
        number,
        since,
    }
}

/// Those that this process lacks.
pub(super) fn probe() -> Vec<Call> {
    let missing = |call: &Call| sys::is_missing(call.number);
    CALLS.into_iter().filter(missing).collect()
}

impl Call {
    /// Whether this operation may have failed for want of it. A kernel that is old
    /// but not too old lacks one of them, which most operations do not need.
    pub(super) fn is_for(&self, op: Op) -> bool {
        self.number != libc::SYS_mount_setattr
            || matches!(op, Op::Attach | Op::ReadOnly | Op::Idmap)
    }
}
