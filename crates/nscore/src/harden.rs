//! The profile: what a container's processes may do, as the last steps before
//! their exec. The same for init and for what inject runs beside it.

use std::fmt;

use crate::caps::{self, Set};
use crate::error::{Error, Result};
use crate::seccomp::{Filter, Seccomp};
use crate::spec::Spec;
use crate::sys::Sys;
use crate::sys::harden::{self, Held};

/// What the processes of a container may do.
#[cfg_attr(test, derive(Default))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The most that any of them can have.
    pub(crate) capabilities: Set,
    pub(crate) no_new_privileges: bool,
    pub(crate) filter: Option<Filter>,
}

/// A step that gives something up for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    NoNewPrivileges,
    Filter(Filter),
    /// The most that any later program can have.
    Bound(Set),
    /// What this process has itself.
    Drop(Set),
}

impl Profile {
    /// What `spec` asks for.
    ///
    /// # Errors
    /// Requests that contradict each other, and a filter where there is none.
    pub(crate) fn new(spec: &Spec) -> Result<Profile> {
        let base = if spec.strict { Set::NONE } else { Set::MACHINE };
        let capabilities = caps::choose(base, spec.cap_drop, spec.cap_keep)
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
            let error = Error::new(
                "filter system calls",
                format!("{arch} has no table of them"),
            );
            return Err(match spec.strict {
                true => error,
                false => error.with_hint("--seccomp off starts without a filter"),
            });
        }
        Ok(Profile {
            capabilities,
            no_new_privileges: spec.no_new_privs || spec.strict,
            filter,
        })
    }

    /// The first steps, in their order: without no-new-privileges a filter
    /// takes a capability, and so does the bound, whose many calls are quicker
    /// where there is no filter yet. A change of user belongs
    /// after them, for it ends capabilities, and before the last step, for it
    /// takes some.
    pub(crate) fn limits(self) -> impl Iterator<Item = Step> {
        let first = self.no_new_privileges.then_some(Step::NoNewPrivileges);
        first
            .into_iter()
            .chain([Step::Bound(self.capabilities)])
            .chain(self.filter.map(Step::Filter))
    }

    /// The last step.
    pub(crate) fn last(self) -> Step {
        Step::Drop(self.capabilities)
    }
}

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

/// Reads as "VERB OBJECT"; the alternate form adds details.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, details) = match self {
            Step::NoNewPrivileges => ("forbid new privileges", String::new()),
            Step::Filter(filter) => ("filter system calls", format!(", {filter} list")),
            Step::Bound(set) => ("bound capabilities", format!(": {set}")),
            Step::Drop(_) => ("drop capabilities", " beyond these".to_string()),
        };
        f.write_str(what)?;
        f.write_str(if f.alternate() { &details } else { "" })
    }
}

/// One word for the record: `CAPABILITIES,FILTER`, with a + for no-new-
/// privileges.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.no_new_privileges { "+" } else { "" };
        write!(f, "{:x},{plus}", self.capabilities.bits())?;
        match self.filter {
            Some(filter) => filter.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl Profile {
    /// Reads back what the record says.
    pub(crate) fn from_record(text: &str) -> Option<Profile> {
        let (bits, rest) = text.split_once(',')?;
        let (no_new_privileges, name) = match rest.strip_prefix('+') {
            Some(name) => (true, name),
            None => (false, rest),
        };
        let filter = match name {
            "off" => None,
            name => Some(Filter::named(name)?),
        };
        Some(Profile {
            capabilities: Set::from_bits(u64::from_str_radix(bits, 16).ok()?),
            no_new_privileges,
            filter,
        })
    }
}

/// Our own capabilities while a container runs: out of force, so that no
/// mistake in what is then done for it is made with them. They are not dropped,
/// because a reboot starts over from the clone and the leaf of the cgroup is
/// still to be removed; what was forked meanwhile has them back by `resume`.
pub(crate) struct Resting(Held);

impl Resting {
    /// # Errors
    /// When the kernel refuses: that is nothing to go on from.
    pub(crate) fn begin() -> Result<Resting> {
        let rest = || {
            let held = Held::now()?;
            // A container of another user's is signalled by root's inject.
            let effective = held.effective & Set::KILL;
            Held { effective, ..held }.set().map(|()| Resting(held))
        };
        rest().map_err(|errno| Error::errno("put our capabilities out of force", errno))
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        // The permitted set holds them, so this cannot fail.
        let _ = self.0.set();
    }
}

/// All that is permitted is in force again.
pub(crate) fn resume() -> Sys<()> {
    let held = Held::now()?;
    Held {
        effective: held.permitted,
        ..held
    }
    .set()
}
