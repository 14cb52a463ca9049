//! Whether a container gets a cgroup of its own: for limits, and for an init that divides
//! it further. cgroups(7), and the kernel's Documentation/admin-guide/cgroup-v2.rst.

use crate::decide::cgroup::home;
use crate::error::Result;
use crate::host::machine;
use crate::plan::cgroup::{CgroupPlan, Purpose, Scope, Way};
use crate::plan::maps::Maps;
use crate::spec::Spec;

impl Scope {
    /// The scope in which this program has to be started once again before
    /// [`Plan::new`](crate::Plan::new) and [`run`](fn@crate::run), if systemd owns the
    /// cgroup that a container asked for would need: see [`Scope::enter`].
    ///
    /// # Errors
    /// What cannot be had here.
    pub fn due(spec: &Spec) -> Result<Option<Scope>> {
        spec.check()?;
        let systemd = machine::is_systemd(spec, &spec.init_command());
        let Some(purpose) = Purpose::of(spec, systemd) else {
            return Ok(None);
        };
        Ok(match home::find(purpose, &spec.limits.writes())? {
            Way::Here(_) => None,
            Way::Scope(scope) => Some(scope),
        })
    }
}

pub(crate) const ENTER: &str = "enter the container's cgroup";

impl CgroupPlan {
    /// Decides whether the container gets a cgroup, and where.
    ///
    /// # Errors
    /// One is due and cannot be had.
    pub(crate) fn new(spec: &Spec, systemd: bool, maps: &Maps) -> Result<Option<CgroupPlan>> {
        let Some(purpose) = Purpose::of(spec, systemd) else {
            return Ok(None);
        };
        let writes = spec.limits.writes();
        Ok(Some(CgroupPlan {
            purpose,
            way: home::find(purpose, &writes)?,
            writes,
            owner: maps.root,
        }))
    }
}

impl Purpose {
    fn of(spec: &Spec, systemd: bool) -> Option<Purpose> {
        if spec.limits.any() {
            Some(Purpose::Limits)
        } else {
            systemd.then_some(Purpose::Systemd)
        }
    }
}
