//! Both maps of a user namespace: what they are, and who may write each.

use std::ffi::CString;

use super::{IdMap, Kind, MapPlan, MapSpec, MapWriter, resolve};
use crate::caller::{Caller, Identity};
use crate::error::{Error, Result};
use crate::exec::c_string;

/// Both maps of a user namespace.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) user: MapPlan,
    pub(crate) group: MapPlan,
    /// Container root, as user and as group of our own user namespace.
    pub(crate) root: (u32, u32),
}

impl Maps {
    /// Decides both maps and who writes them.
    pub(crate) fn new(uid: &MapSpec, gid: &MapSpec, caller: &Caller) -> Result<Maps> {
        let user = resolve(uid, Kind::User, &caller.user)?;
        let group = resolve(gid, Kind::Group, &caller.group)?;
        let root = |map: &IdMap, kind: Kind| {
            let what = || format!("map {} ids {map}", kind.name());
            let zero = map.outside(0);
            zero.ok_or_else(|| Error::usage(what(), "id 0 is not mapped"))
        };
        let root = (root(&user, Kind::User)?, root(&group, Kind::Group)?);
        // The kernel lets anyone map their own id, and takes setgroups for it.
        let own = |map: &IdMap, id| map.count() == 1 && map.has_outside(id);
        let writer = |map: &IdMap, who: &Identity, alone| match &who.helper {
            _ if who.privileged => MapWriter::Direct,
            _ if own(map, who.id) => alone,
            Some(path) => MapWriter::Helper(path.clone()),
            None => MapWriter::Direct,
        };
        let user_writer = writer(&user, &caller.user, MapWriter::Direct);
        let group_writer = writer(&group, &caller.group, MapWriter::DirectWithoutGroups);
        Ok(Maps {
            user: MapPlan::new(Kind::User, user, user_writer),
            group: MapPlan::new(Kind::Group, group, group_writer),
            root,
        })
    }

    /// Whether groups are still the container's to set when the maps are written,
    /// as far as it is us who write them, user_namespaces(7).
    pub(crate) fn leave_setgroups(&self) -> bool {
        self.group.writer != MapWriter::DirectWithoutGroups
    }

    /// Writes both maps of process `pid`; helpers run side by side.
    pub(crate) fn write(&self, pid: libc::pid_t) -> Result<()> {
        let group = self.group.start(pid)?;
        let user = self.user.start(pid);
        group.finish()?;
        user?.finish()
    }

    /// The texts of uid_map and gid_map for a user namespace inside one with
    /// these maps, in which every id is itself.
    pub(crate) fn identities(&self) -> Result<[CString; 2]> {
        let text = |plan: &MapPlan| {
            let what = || format!("map {} ids {} twice", plan.kind.name(), plan.map);
            let identity = plan.map.identity();
            let identity = identity.map_err(|why| Error::usage(what(), why))?;
            c_string(identity.kernel_text().as_ref())
        };
        Ok([text(&self.user)?, text(&self.group)?])
    }
}
