//! Advice about the profile: what a kernel was built without.

use crate::error::hint::advice::{Advice, explained};
use crate::error::hint::facts::Facts;

pub(super) fn no_filters(facts: &Facts) -> Option<Advice> {
    if !facts.no_filters {
        return None;
    }
    explained(
        "this kernel has no filters (CONFIG_SECCOMP_FILTER)",
        "--seccomp off starts without one",
    )
}
