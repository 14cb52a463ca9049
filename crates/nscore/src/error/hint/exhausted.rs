//! Advice about what there is no more of.

use crate::error::hint::advice::{Advice, explained};
use crate::error::hint::facts::Facts;

/// All that EAGAIN means of making one, clone(2).
pub(super) fn processes(_: &Facts) -> Option<Advice> {
    explained(
        "there are too many processes",
        "a limit is reached: ulimit -u of this user, or pids.max of a cgroup",
    )
}

pub(super) fn terminals(facts: &Facts) -> Option<Advice> {
    let (max, reserve) = facts.terminals?;
    explained(
        "all pseudo-terminals are in use",
        format!("kernel.pty.max is {max}, of which containers leave {reserve} to the host"),
    )
}
