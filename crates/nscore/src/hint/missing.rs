//! Advice about system calls that are not there: an old kernel lacks them, or a
//! filter keeps them from us, as that of another container may.

use nix::errno::Errno;

use super::{Advice, Facts, Op};
use crate::error::word;
use crate::sys;

/// A call without which some starts are impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(super) name: &'static str,
    number: libc::c_long,
    /// The first kernel that has it.
    pub(super) since: (u32, u32),
}

const CALLS: [Call; 8] = [
    call("pidfd_send_signal", libc::SYS_pidfd_send_signal, (5, 1)),
    call("open_tree", libc::SYS_open_tree, (5, 2)),
    call("move_mount", libc::SYS_move_mount, (5, 2)),
    call("fsopen", libc::SYS_fsopen, (5, 2)),
    call("fsconfig", libc::SYS_fsconfig, (5, 2)),
    call("fsmount", libc::SYS_fsmount, (5, 2)),
    call("pidfd_open", libc::SYS_pidfd_open, (5, 3)),
    call("mount_setattr", libc::SYS_mount_setattr, (5, 12)),
];

const fn call(name: &'static str, number: libc::c_long, since: (u32, u32)) -> Call {
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
    fn is_for(&self, op: Op) -> bool {
        self.number != libc::SYS_mount_setattr
            || matches!(op, Op::Attach | Op::ReadOnly | Op::Idmap)
    }
}

/// What a failure for want of a call comes of.
pub(super) fn advise(op: Op, facts: &Facts) -> Option<Advice> {
    let missing = facts.missing.iter().filter(|call| call.is_for(op));
    let since = missing.clone().map(|call| call.since).max()?;
    let names: Vec<_> = missing.map(|call| call.name).collect();
    let names = names.join(", ");
    let hint = facts.kernel.and_then(|(major, minor)| {
        if (major, minor) < since {
            let (new_major, new_minor) = since;
            Some(format!(
                "Linux {new_major}.{new_minor} has all of that; this is Linux {major}.{minor}"
            ))
        } else {
            let text = "has all of that: a filter (seccomp) keeps it from this process";
            facts
                .filtered
                .then(|| format!("Linux {major}.{minor} {text}"))
        }
    });
    Some(Advice {
        reason: Some(format!("{}: {names}", word(Errno::ENOSYS))),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blames_only_what_the_operation_needs() {
        let of = |names: &[&str], op| {
            let missing = CALLS.into_iter().filter(|call| names.contains(&call.name));
            let facts = Facts {
                missing: missing.collect(),
                ..Facts::default()
            };
            advise(op, &facts).and_then(|advice| advice.reason)
        };
        let (set, open) = ("mount_setattr", "open_tree");
        assert_eq!(of(&[set], Op::Other), None);
        assert_eq!(of(&[set], Op::Filter), None);
        assert!(
            of(&[set], Op::ReadOnly)
                .unwrap()
                .ends_with(": mount_setattr")
        );
        assert!(
            of(&[set, open], Op::Attach)
                .unwrap()
                .ends_with(": open_tree, mount_setattr")
        );
        assert!(
            of(&[set, open], Op::Other)
                .unwrap()
                .ends_with(": open_tree")
        );
    }
}
