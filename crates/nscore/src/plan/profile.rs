//! The profile: what a container's processes may do, as the last steps before
//! their exec. The same for init and for what inject runs beside it.

use std::fmt;

use crate::error::hint::advice::Op;
use crate::plan::filter::Filter;
use crate::sys::caps::Set;

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
pub(crate) enum ProfileStep {
    NoNewPrivileges,
    Filter(Filter),
    /// The most that any later program can have.
    Bound(Set),
    /// What this process has itself.
    Drop(Set),
}

impl Profile {
    /// The first steps, in their order: without no-new-privileges a filter
    /// takes a capability, and so does the bound, whose many calls are quicker
    /// where there is no filter yet. A change of user belongs
    /// after them, for it ends capabilities, and before the last step, for it
    /// takes some.
    pub(crate) fn first_steps(self) -> impl Iterator<Item = ProfileStep> {
        let first = self
            .no_new_privileges
            .then_some(ProfileStep::NoNewPrivileges);
        first
            .into_iter()
            .chain([ProfileStep::Bound(self.capabilities)])
            .chain(self.filter.map(ProfileStep::Filter))
    }

    /// The last step.
    pub(crate) fn last_step(self) -> ProfileStep {
        ProfileStep::Drop(self.capabilities)
    }
}

/// Reads as "VERB OBJECT"; the alternate form adds details.
impl ProfileStep {
    /// What the hint table knows a failure of this step as.
    pub(crate) fn op(self) -> Op {
        match self {
            ProfileStep::Filter(_) => Op::Filter,
            ProfileStep::NoNewPrivileges | ProfileStep::Bound(_) | ProfileStep::Drop(_) => {
                Op::Other
            }
        }
    }
}

impl fmt::Display for ProfileStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, details) = match self {
            ProfileStep::NoNewPrivileges => ("forbid new privileges", String::new()),
            ProfileStep::Filter(filter) => ("filter system calls", format!(", {filter} list")),
            ProfileStep::Bound(set) => ("bound capabilities", format!(": {set}")),
            ProfileStep::Drop(_) => ("drop capabilities", " beyond these".to_string()),
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
        write!(f, "{:x},{plus}", self.capabilities.0)?;
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
            capabilities: Set(u64::from_str_radix(bits, 16).ok()?),
            no_new_privileges,
            filter,
        })
    }
}

/// What whoever enters a container shares with its init.
#[cfg_attr(test, derive(Default))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The container has a cgroup of its own.
    pub(crate) cgroup: bool,
    /// What its processes may do.
    pub(crate) profile: Profile,
}
