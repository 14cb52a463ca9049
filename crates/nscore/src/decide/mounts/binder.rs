//! How the source of a bind is opened: by the supervisor, or by the child before it
//! changes its ids; and what the kind of a source says of its mount point.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statvfs::FsFlags;

use crate::decide::below;
use crate::decide::restrictions::restrictions;
use crate::error::text::quoted;
use crate::error::{Error, Result, c_string};
use crate::plan::action::Action;
use crate::plan::mounts::{self, MountStep, Point};
use crate::plan::tree::Tree;
use crate::proc::mountinfo::is_above;
use crate::spec::mounts::{Mount, What};
use crate::sys::mount::Depth;
use crate::sys::path::{self, Known};

/// Where sources of binds are opened.
pub(super) struct Binder<'a> {
    /// Where the host has mounts, if the supervisor opens the sources.
    pub(super) mounted: Vec<PathBuf>,
    pub(super) by_supervisor: bool,
    pub(super) trees: &'a mut Vec<Tree>,
    pub(super) open: &'a mut Vec<Action>,
}

/// The source of a bind, found: what is decided of it is of this very file.
pub(super) struct Source<'a> {
    asked: &'a Path,
    known: Known,
    file: OwnedFd,
    pub(super) directory: bool,
}

impl<'a> Source<'a> {
    /// # Errors
    /// When it cannot be looked at, before anything is started.
    pub(super) fn find(asked: &'a Path) -> Result<Source<'a>> {
        let failed = |errno| Error::errno(format!("bind {}", quoted(asked)), errno);
        let (known, file) = below::find(asked).map_err(failed)?;
        let mode = fstat(&file).map_err(failed)?.st_mode;
        Ok(Source {
            asked,
            known,
            file,
            directory: path::kind(mode) == SFlag::S_IFDIR,
        })
    }
}

impl Binder<'_> {
    /// Whether there is more to this source than its files. Clones of the
    /// supervisor's are not locked by themselves, and their mounts have limits and
    /// hide what they cover.
    pub(super) fn must_lock(&self, source: &Source, depth: Depth) -> Result<bool> {
        let hides = || depth == Depth::All && is_above(source.known.as_path(), &self.mounted);
        Ok(
            self.by_supervisor
                && (!restrictions(&source.file, source.asked)?.is_empty() || hides()),
        )
    }

    /// Refuses a source that the host shows read-only, for a place where nothing can
    /// be locked.
    pub(super) fn must_be_writable(&self, source: &Source, at: &Path) -> Result<()> {
        let shown = source.asked;
        if !self.by_supervisor || !restrictions(&source.file, shown)?.contains(FsFlags::ST_RDONLY) {
            return Ok(());
        }
        Err(Error::new(
            format!("bind {} on {}", quoted(shown), quoted(at)),
            "it is read-only, and container root could change that in /dev, /proc and /sys",
        ))
    }

    pub(super) fn bind(
        &mut self,
        mount: &Mount,
        source: Source,
        depth: Depth,
        point: Point,
    ) -> Result<MountStep> {
        let path = c_string(source.asked)?;
        let source = source.known;
        let from = if self.by_supervisor {
            self.trees.push(Tree::Bind { source, depth });
            mounts::Source::Sent(self.trees.len() - 1)
        } else {
            let slot = self.open.len();
            let step = MountStep::Open {
                source,
                depth,
                slot,
            };
            self.open.push(Action::Mounts(step));
            mounts::Source::Opened(slot)
        };
        Ok(MountStep::Attach {
            source: from,
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
