//! How the steps of the profile are performed: capabilities(7), seccomp(2).

use crate::plan::profile::Step;
use crate::sys::{Sys, harden};

impl Step {
    /// Does not allocate.
    pub(crate) fn perform(self) -> Sys<()> {
        match self {
            Step::NoNewPrivileges => harden::no_new_privileges(),
            Step::Filter(filter) => harden::filter(filter.program()),
            Step::Bound(set) => harden::bound_capabilities(set),
            Step::Drop(set) => harden::drop_capabilities(set),
        }
    }
}
