//! The namespaces of processes, as /proc/PID/ns shows them: namespaces(7).

use std::fs;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sched::CloneFlags;
use nix::sys::stat;

use crate::proc::{self, Untold};
use crate::sys::Sys;
use crate::sys::namespaces::ALL;
use crate::sys::path::{self, FIND_DIR};

/// A namespace of a process, by the name of its file: it lasts as long as the
/// descriptor.
pub(crate) fn open(pid: libc::pid_t, file: &str) -> Result<OwnedFd, Untold> {
    let path = format!("/proc/{pid}/ns/{file}");
    path::open(path.as_str(), OFlag::O_RDONLY).map_err(|errno| Untold {
        what: format!("open {path}"),
        errno,
    })
}

/// Whether this process is in the initial user namespace, of whose file
/// <linux/nsfs.h> fixes the inode number: USER_NS_INIT_INO.
pub(crate) fn is_user_initial() -> bool {
    stat::stat("/proc/self/ns/user").is_ok_and(|file| file.st_ino == 0xEFFF_FFFD)
}

/// Whether two processes are in the same namespace of this kind, as far as we
/// may see: what cannot be seen is not shared.
pub(crate) fn share(one: &str, other: &str, kind: &str) -> bool {
    let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    link(one).is_ok_and(|one| link(other).is_ok_and(|other| one == other))
}

/// The namespaces of the process that are not ours.
pub(crate) fn differing(pid: libc::pid_t) -> Sys<CloneFlags> {
    // Sixteen links, of which none is worth the way from the root.
    let dir = |process: &str| {
        let path = format!("/proc/{process}/ns");
        path::open(path.as_str(), FIND_DIR)
    };
    let (theirs, ours) = (dir(&pid.to_string())?, dir("self")?);
    let mut flags = CloneFlags::empty();
    for kind in &ALL {
        let link = |dir: &OwnedFd| match fcntl::readlinkat(dir, kind.file) {
            Ok(link) => Ok(Some(link)),
            // A kernel without this kind has none to differ.
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        };
        if link(&theirs)? != link(&ours)? {
            flags |= kind.flag;
        }
    }
    Ok(flags)
}

/// How far our own clocks, monotonic and boottime, are from the machine's, in seconds.
pub(crate) fn clock_offsets() -> Sys<[i64; 2]> {
    let text = match proc::read("/proc/self/timens_offsets").map_err(proc::errno) {
        // A kernel without time namespaces.
        Err(Errno::ENOENT) => return Ok([0, 0]),
        text => text?,
    };
    let offset = |clock: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(clock));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
    };
    Ok(["monotonic", "boottime"].map(|clock| offset(clock).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_its_own_namespaces() {
        assert!(share("self", "self", "pid"));
        assert!(!share("self", "none", "pid"));
        let own = std::process::id().try_into().unwrap();
        assert_eq!(differing(own).unwrap(), CloneFlags::empty());
    }
}
