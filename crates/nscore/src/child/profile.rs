//! How the steps of the profile are performed: capabilities(7), seccomp(2).

use crate::plan::profile::ProfileStep;
use crate::sys::{Sys, harden};

impl ProfileStep {
    /// Does not allocate.
    pub(crate) fn perform(self) -> Sys<()> {
        match self {
            ProfileStep::NoNewPrivileges => harden::no_new_privileges(),
            ProfileStep::Filter(filter) => harden::filter(filter.program()),
            ProfileStep::Bound(set) => harden::bound_capabilities(set),
            ProfileStep::Drop(set) => harden::drop_capabilities(set),
        }
    }
}
