//! A cgroup by its directory: entering it, reading and writing its files, and
//! removing it with all below, cgroups(7).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{self, UnlinkatFlags};

use crate::sys::Sys;
use crate::sys::path::open_at;

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW);

/// Opens the cgroup `name` of `parent`.
pub(crate) fn open(parent: BorrowedFd, name: &CStr) -> Sys<OwnedFd> {
    open_at(parent, name, DIRECTORY)
}

/// Where a process that writes 0 moves to it. No allocation.
pub(crate) fn door(cgroup: BorrowedFd) -> Sys<OwnedFd> {
    open_at(cgroup, c"cgroup.procs", OFlag::O_WRONLY)
}

/// Writes to one of its files. No allocation.
pub(crate) fn write(cgroup: BorrowedFd, file: &CStr, text: &[u8]) -> Sys<()> {
    let file = open_at(cgroup, file, OFlag::O_WRONLY)?;
    unistd::write(&file, text).map(drop)
}

/// Reads one of its files, up to a page.
pub(crate) fn read(cgroup: BorrowedFd, file: &CStr) -> Sys<String> {
    let file = open_at(cgroup, file, OFlag::O_RDONLY)?;
    let mut bytes = [0; 4096];
    let len = unistd::read(&file, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// Removes the cgroup `name` of `parent` with all cgroups below it, none of
/// which may hold a process. However deep it is, two descriptors do: what is
/// below was made by others.
pub(crate) fn remove(parent: BorrowedFd, name: &CStr) -> Sys<()> {
    let mut at = match open(parent, name) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    let mut path: Vec<CString> = Vec::new();
    loop {
        if let Some(child) = children(at.as_fd(), 1)?.pop() {
            at = open(at.as_fd(), &child)?;
            path.push(child);
            continue;
        }
        let Some(emptied) = path.pop() else {
            break;
        };
        at = open(at.as_fd(), c"..")?;
        remove_empty(at.as_fd(), &emptied)?;
    }
    remove_empty(parent, name)
}

fn remove_empty(parent: BorrowedFd, name: &CStr) -> Sys<()> {
    match unistd::unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// The names of cgroups right below this one, so many at most.
pub(crate) fn children(cgroup: BorrowedFd, most: usize) -> Sys<Vec<CString>> {
    let mut entries = Dir::from_fd(open(cgroup, c".")?)?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == Some(Type::Directory) && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
        if names.len() == most {
            break;
        }
    }
    Ok(names)
}

/// Whether a process is in it, or in one below.
pub(crate) fn is_populated(cgroup: BorrowedFd) -> Sys<bool> {
    let events = read(cgroup, c"cgroup.events")?;
    Ok(!events.lines().any(|line| line == "populated 0"))
}

/// Whether systemd has handed a cgroup over to what runs in it: an extended
/// attribute says so, to all since version 251 and before to root alone.
pub(crate) fn is_delegated(cgroup: &Path) -> bool {
    let path = CString::new(cgroup.as_os_str().as_bytes()).unwrap_or_default();
    [c"user.delegate", c"trusted.delegate"].iter().any(|name| {
        let mut value = 0_u8;
        // SAFETY: path and name are NUL-terminated, and the kernel writes at
        // most the one byte that it is told of.
        let read =
            unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), (&raw mut value).cast(), 1) };
        read == 1 && value == b'1'
    })
}
