//! Both maps of a user namespace: what they are, and who may write each.

use std::ffi::CString;
use std::fmt;
use std::path::PathBuf;

use crate::error::text::quoted;
use crate::error::{Error, Result, c_string};
use crate::spec::maps::{IdKind, IdMap};

/// Both maps of a user namespace.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) user: MapPlan,
    pub(crate) group: MapPlan,
    /// Container root, as user and as group of our own user namespace.
    pub(crate) root: (u32, u32),
}

impl Maps {
    /// Whether groups are still the container's to set when the maps are written,
    /// as far as it is us who write them, user_namespaces(7). newgidmap(1) decides by
    /// itself: it denies setgroups where no delegated group is among them.
    pub(crate) fn leave_setgroups(&self) -> bool {
        self.group.writer != MapWriter::DirectWithoutGroups
    }

    /// The texts of uid_map and gid_map for a user namespace inside one with
    /// these maps, in which every id is itself.
    pub(crate) fn identities(&self) -> Result<[CString; 2]> {
        let text = |plan: &MapPlan| {
            let what = || format!("map {} ids {} twice", plan.kind.name(), plan.map);
            let identity = plan.map.identity();
            let identity = identity.map_err(|why| Error::usage(what(), why))?;
            c_string(identity.kernel_text())
        };
        Ok([text(&self.user)?, text(&self.group)?])
    }
}

/// Who writes a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MapWriter {
    /// We, with CAP_SETUID or CAP_SETGID, or for our own id only.
    Direct,
    /// We, for our own group id only: setgroups(2) must be denied first.
    DirectWithoutGroups,
    /// newuidmap or newgidmap, at this path.
    Helper(PathBuf),
}

/// One of a container's two maps, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MapPlan {
    pub(crate) kind: IdKind,
    pub(crate) map: IdMap,
    pub(crate) writer: MapWriter,
    /// What is written.
    pub(crate) text: String,
}

impl MapPlan {
    pub(crate) fn new(kind: IdKind, map: IdMap, writer: MapWriter) -> MapPlan {
        MapPlan {
            text: map.kernel_text(),
            kind,
            map,
            writer,
        }
    }

    pub(crate) fn file(&self) -> &'static str {
        match self.kind {
            IdKind::User => "uid_map",
            IdKind::Group => "gid_map",
        }
    }

    pub(crate) fn what(&self) -> String {
        format!("map {} ids {}", self.kind.name(), self.map)
    }
}

impl fmt::Display for MapPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match &self.writer {
            MapWriter::Direct => Ok(()),
            MapWriter::DirectWithoutGroups => f.write_str(" and deny setgroups"),
            MapWriter::Helper(path) => write!(f, " by {}", quoted(path)),
        }
    }
}
