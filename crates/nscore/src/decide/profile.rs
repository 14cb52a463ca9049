//! What the container gives up: its capabilities from the lists that were asked
//! for, new privileges, and the system calls of a filter.

use crate::error::{Error, Result};
use crate::plan::filter::Filter;
use crate::plan::profile::Profile;
use crate::spec::Spec;
use crate::spec::caps::CapList;
use crate::spec::seccomp::Seccomp;
use crate::sys::caps::Set;

/// What is left of `base`: a name says more than `all` does, so that
/// `--cap-drop all --cap-keep chown` keeps one.
///
/// # Errors
/// When the lists contradict each other.
pub(crate) fn choose(base: Set, drop: CapList, keep: CapList) -> std::result::Result<Set, String> {
    if drop.all && keep.all {
        return Err("all are to be dropped and kept".to_string());
    }
    if let Some(name) = Set(drop.named.0 & keep.named.0).names().next() {
        return Err(format!("{name} is to be dropped and kept"));
    }
    let base = match (drop.all, keep.all) {
        (true, _) => Set::NONE,
        (_, true) => Set::ALL,
        _ => base,
    };
    Ok(Set(base.0 & !drop.named.0 | keep.named.0))
}

impl Profile {
    /// What `spec` asks for.
    ///
    /// # Errors
    /// Requests that contradict each other, and a filter where there is none.
    pub(crate) fn new(spec: &Spec) -> Result<Profile> {
        let base = if spec.strict { Set::NONE } else { Set::MACHINE };
        let capabilities = choose(base, spec.cap_drop, spec.cap_keep)
            .map_err(|reason| Error::usage("choose capabilities", reason))?;
        let filter = match (spec.seccomp, spec.strict) {
            (Seccomp::Off, true) => {
                return Err(Error::usage(
                    "filter no system calls under --strict",
                    "its filter is what keeps hidden files hidden",
                ));
            }
            (Seccomp::Off, false) => None,
            (Seccomp::Default, true) => Some(Filter::Strict),
            (Seccomp::Default, false) => Some(Filter::Default),
        };
        if filter.is_some() && !Filter::AVAILABLE {
            let arch = std::env::consts::ARCH;
            let reason = format!("{arch} has no table of them");
            let hint = (!spec.strict).then_some("--seccomp off starts without a filter");
            return Err(Error::new("filter system calls", reason).with_any_hint(hint));
        }
        Ok(Profile {
            capabilities,
            no_new_privileges: spec.no_new_privs || spec.strict,
            filter,
        })
    }
}
