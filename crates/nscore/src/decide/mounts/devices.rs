//! Devices of the host in the container's /dev, and whom they let in.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::plan::maps::Maps;
use crate::spec::mounts::{Mount, What, clean};

/// The mount that shows a device, or a directory of devices, where it is.
///
/// # Errors
/// When it is neither, or is not below /dev.
pub(super) fn mount(path: &Path) -> Result<Mount> {
    let what = || format!("show device {}", quoted(path));
    let at = std::path::absolute(path).map_err(|error| Error::io(what(), &error))?;
    let at = clean(&at);
    if !at.starts_with("/dev") || at == Path::new("/dev") {
        return Err(Error::usage(what(), "it is not below /dev"));
    }
    let kind = fs::metadata(&at)
        .map_err(|error| Error::io(what(), &error))?
        .file_type();
    if !kind.is_dir() && !kind.is_char_device() && !kind.is_block_device() {
        return Err(Error::new(what(), "it is neither a device nor a directory"));
    }
    let source = at.clone();
    let recursive = true;
    Ok(Mount::new(at, What::Bind { source, recursive }))
}

/// Whether one of these can be opened by container root only as a member of a
/// supplementary group of the caller's. Group 0 is worth nothing here: it owns
/// far more of the host than a device.
pub(crate) fn need_groups(devices: &[PathBuf], maps: &Maps) -> bool {
    if devices.is_empty() {
        return false;
    }
    let ours: Vec<u32> = nix::unistd::getgroups()
        .unwrap_or_default()
        .into_iter()
        .map(nix::unistd::Gid::as_raw)
        .collect();
    let closed = |status: &fs::Metadata| {
        let gid = status.gid();
        status.mode() & 0o006 != 0o006
            && status.mode() & 0o060 != 0
            && status.uid() != maps.root.0
            && gid != maps.root.1
            && gid != 0
            && ours.contains(&gid)
    };
    let nodes = |path: &PathBuf| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.push(path.clone());
        paths
    };
    devices
        .iter()
        .flat_map(nodes)
        .any(|node| fs::metadata(node).is_ok_and(|status| closed(&status)))
}
