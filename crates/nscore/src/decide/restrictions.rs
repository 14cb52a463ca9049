//! What the mount of a source does not allow, which a bind of it must not either.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::error::text::quoted;
use crate::error::{Error, Result};

/// What the mount that shows this file or directory does not allow: writing, opening
/// devices. Nor does a clone of the supervisor's, but unless that is locked container
/// root can change it.
pub(crate) fn restrictions(file: &OwnedFd, shown: &Path) -> Result<FsFlags> {
    let failed = |errno| Error::errno(format!("look at {}", quoted(shown)), errno);
    let mount = fstatvfs(file).map_err(failed)?;
    // Neither set-id programs nor programs at all give container root what it lacks.
    Ok(mount.flags() & (FsFlags::ST_RDONLY | FsFlags::ST_NODEV))
}
