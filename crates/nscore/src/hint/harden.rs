//! Advice about the profile: what a kernel was built without.

use super::{Advice, Facts, explained};

pub(super) fn no_filters(facts: &Facts) -> Option<Advice> {
    if !facts.no_filters {
        return None;
    }
    explained(
        "this kernel has no filters (CONFIG_SECCOMP_FILTER)",
        "--seccomp off starts without one",
    )
}
