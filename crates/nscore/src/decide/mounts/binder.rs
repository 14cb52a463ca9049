//! How the source of a bind is opened: by the supervisor, or by the child before it
//! changes its ids; and what the kind of a source says of its mount point.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sys::statvfs::FsFlags;

use crate::decide::limits;
use crate::error::text::quoted;
use crate::error::{Error, Result, c_string};
use crate::plan::action::Action;
use crate::plan::mounts::{Point, Source, Step};
use crate::plan::tree::Tree;
use crate::proc::mountinfo::is_above;
use crate::spec::mounts::{Mount, What};
use crate::sys::mount::Depth;
use crate::sys::socket::MAX_FDS;

/// Where sources of binds are opened.
pub(super) struct Binder<'a> {
    /// Where the host has mounts, if the supervisor opens the sources.
    pub(super) mounted: Vec<PathBuf>,
    pub(super) by_supervisor: bool,
    pub(super) trees: &'a mut Vec<Tree>,
    pub(super) open: &'a mut Vec<Action>,
}

impl Binder<'_> {
    /// Whether there is more to this source than its files. Clones of the
    /// supervisor's are not locked by themselves, and their mounts have limits and
    /// hide what they cover.
    pub(super) fn must_lock(&self, source: &Path, depth: Depth) -> Result<bool> {
        let hides = || {
            let source = source.canonicalize();
            source.map_or(true, |source| is_above(&source, &self.mounted))
        };
        Ok(self.by_supervisor
            && (!limits::limits(source)?.is_empty() || depth == Depth::All && hides()))
    }

    /// Refuses a source that the host shows read-only, for a place where nothing can
    /// be locked.
    pub(super) fn must_be_writable(&self, source: &Path, at: &Path) -> Result<()> {
        if !self.by_supervisor || !limits::limits(source)?.contains(FsFlags::ST_RDONLY) {
            return Ok(());
        }
        Err(Error::new(
            format!("bind {} on {}", quoted(source), quoted(at)),
            "it is read-only, and container root could change that in /dev, /proc and /sys",
        ))
    }

    pub(super) fn bind(
        &mut self,
        mount: &Mount,
        path: &Path,
        depth: Depth,
        point: Point,
    ) -> Result<Step> {
        let what = || format!("bind {}", quoted(path));
        let slot = if self.by_supervisor {
            self.trees.len()
        } else {
            self.open.len()
        };
        // Two more may be needed for the root and its changes.
        if slot + 2 >= MAX_FDS {
            return Err(Error::usage(what(), "there are too many binds"));
        }
        let path = c_string(path.as_os_str())?;
        let source = if self.by_supervisor {
            let path = path.clone();
            self.trees.push(Tree::Bind { path, depth });
            Source::Sent(slot)
        } else {
            let path = path.clone();
            self.open
                .push(Action::Mounts(Step::Open { path, depth, slot }));
            Source::Opened(slot)
        };
        Ok(Step::Attach {
            source,
            path,
            point,
            flags: flags(mount),
        })
    }
}

pub(super) fn flags(mount: &Mount) -> MsFlags {
    [
        (mount.read_only, MsFlags::MS_RDONLY),
        (mount.no_suid, MsFlags::MS_NOSUID),
        (mount.no_devices, MsFlags::MS_NODEV),
        (mount.no_execute, MsFlags::MS_NOEXEC),
    ]
    .into_iter()
    .filter(|(asked, _)| *asked)
    .map(|(_, flag)| flag)
    .collect()
}

pub(super) fn is_bind(mount: &Mount) -> bool {
    matches!(mount.what, What::Bind { .. })
}

pub(super) fn is_tmpfs(mount: &Mount) -> bool {
    matches!(&mount.what, What::FileSystem { kind, .. } if kind == "tmpfs")
}

/// Whether the mount point has to be one; a source that cannot be looked at is
/// an error here, before anything is started.
pub(super) fn is_directory(mount: &Mount) -> Result<bool> {
    let What::Bind { source, .. } = &mount.what else {
        return Ok(true);
    };
    let status = fs::metadata(source)
        .map_err(|error| Error::io(format!("bind {}", quoted(source)), &error))?;
    Ok(status.is_dir())
}
