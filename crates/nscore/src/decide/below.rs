//! What lies below a directory that is open: looked at by descriptor and through no
//! link, so that what is decided is of that directory, whoever may write to it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};
use nix::unistd::{AccessFlags, faccessat};

use crate::error::c_string;
use crate::plan::overlay::MAX_COPY;
use crate::proc;
use crate::sys::Sys;
use crate::sys::path::{self, FIND_DIR, Known};

/// What lies at this path of the host's, at the end of all links, by a path that has
/// none: opened for finding, for what is decided on it.
pub(crate) fn find(path: &Path) -> Sys<(Known, OwnedFd)> {
    let real = path.canonicalize().map_err(proc::errno)?;
    Known::find(CString::new(real.into_os_string().into_vec()).map_err(|_| Errno::EINVAL)?)
}

/// A directory of the host's, held open while it is looked through.
#[derive(Debug)]
pub(crate) struct Below {
    known: Known,
    dir: OwnedFd,
}

/// What a directory holds, and the directory.
pub(super) struct Listing {
    dir: OwnedFd,
    pub(super) names: Vec<(CString, SFlag)>,
}

impl Below {
    pub(super) fn new(known: Known, dir: OwnedFd) -> Below {
        Below { known, dir }
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Its path from the host's root.
    pub(super) fn path(&self) -> &Path {
        self.known.as_path()
    }

    /// The directory itself.
    pub(super) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// None where there is nothing that the caller may open in this way.
    fn open(&self, at: &Path, flags: OFlag) -> Option<OwnedFd> {
        let at = c_string(at.as_os_str()).ok()?;
        path::open_below(self.dir.as_fd(), &at, flags).ok()
    }

    /// What is at this path; of a link, the link.
    pub(super) fn status(&self, at: &Path) -> Option<FileStat> {
        let found = self.open(at, OFlag::O_PATH)?;
        fstat(found).ok()
    }

    /// The mode of a directory.
    pub(super) fn directory_mode(&self, at: &Path) -> Option<u32> {
        let status = self.status(at)?;
        (path::kind(status.st_mode) == SFlag::S_IFDIR).then_some(status.st_mode & 0o7777)
    }

    /// What the directory holds. None when the caller may not list it, or not go into
    /// it, and when it is none.
    pub(super) fn list(&self, at: &Path) -> Option<Listing> {
        let dir = self.open(at, FIND_DIR)?;
        let names = names_in(&dir).ok()?;
        Some(Listing { dir, names })
    }
}

/// The names in a directory and the kind of each, as far as it is told.
fn names_in(dir: &OwnedFd) -> Sys<Vec<(CString, SFlag)>> {
    let listed = path::open_at(dir, c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(listed)?.into_iter() {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let kind = match entry.file_type() {
            Some(Type::Directory) => SFlag::S_IFDIR,
            Some(Type::File) => SFlag::S_IFREG,
            Some(Type::Symlink) => SFlag::S_IFLNK,
            Some(_) => SFlag::empty(),
            // Gone meanwhile, if it cannot be looked at.
            None => kind_of(dir, name).unwrap_or(SFlag::empty()),
        };
        names.push((name.to_owned(), kind));
    }
    Ok(names)
}

fn kind_of(dir: &OwnedFd, name: &CStr) -> Sys<SFlag> {
    let status = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(path::kind(status.st_mode))
}

impl Listing {
    /// The mode of a directory.
    pub(super) fn directory_mode(&self, name: &CStr) -> Option<u32> {
        let status = fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        (path::kind(status.st_mode) == SFlag::S_IFDIR).then_some(status.st_mode & 0o7777)
    }

    /// The mode for a copy of a file that is worth one, and that the caller may read.
    /// Who the copy belongs to makes a set-id bit on it mean something else, so that
    /// is left out.
    pub(super) fn small_file(&self, name: &CStr) -> Option<u32> {
        let status = fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        let small = path::kind(status.st_mode) == SFlag::S_IFREG && status.st_size < MAX_COPY;
        let readable = || faccessat(&self.dir, name, AccessFlags::R_OK, AtFlags::empty());
        (small && readable().is_ok()).then_some(status.st_mode & 0o777)
    }

    /// Where a link leads.
    pub(super) fn link(&self, name: &CStr) -> Option<OsString> {
        readlinkat(&self.dir, name).ok()
    }
}

/// A path with one more name.
pub(super) fn join(at: &Path, name: &CStr) -> PathBuf {
    at.join(OsStr::from_bytes(name.to_bytes()))
}
