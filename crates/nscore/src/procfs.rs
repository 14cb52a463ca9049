//! What the kernel says of processes in /proc, proc(5).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlinkat};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;

use crate::error::{Error, Result};
use crate::namespaces;
use crate::sys::Sys;

/// A file of the kernel's, which has no size that could be asked for first, in
/// one read if it is as short as most are.
pub(crate) fn bytes(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    const MOST: u64 = 16 << 20;
    let mut bytes = Vec::with_capacity(4096);
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text. It may hold a name that somebody else chose: what of that
/// is no UTF-8 is replaced, and the rest counts.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(bytes(path)?);
    Ok(text.unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()))
}

/// The number of an error of the standard library.
pub(crate) fn errno(error: io::Error) -> Errno {
    Errno::try_from(error).unwrap_or(Errno::EIO)
}

/// What /proc fails to tell of a process is not there, or not for us to see. Want of
/// descriptors or memory is another matter: it says nothing of the process.
pub(crate) fn if_there<T>(told: Sys<T>) -> Sys<Option<T>> {
    match told {
        Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => Err(errno),
        told => Ok(told.ok()),
    }
}

/// Of /proc/PID/status what tells where a process belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// 0 where the parent is in a PID namespace above ours.
    pub(crate) parent: libc::pid_t,
    /// The real user id.
    pub(crate) user: u32,
    /// Its ids from our PID namespace down to its own.
    pub(crate) pids: Vec<libc::pid_t>,
}

impl Status {
    /// None when there is no such process, or /proc hides it.
    pub(crate) fn of(pid: libc::pid_t) -> Sys<Option<Status>> {
        let text = read(format!("/proc/{pid}/status")).map_err(errno);
        Ok(if_there(text)?.and_then(|text| Status::read(&text)))
    }

    fn read(text: &str) -> Option<Status> {
        let field = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(str::split_whitespace)
        };
        Some(Status {
            parent: field("PPid:")?.next()?.parse().ok()?,
            user: field("Uid:")?.next()?.parse().ok()?,
            pids: field("NSpid:")?.map_while(|pid| pid.parse().ok()).collect(),
        })
    }

    /// Whether it is in our own PID namespace.
    pub(crate) fn is_beside_us(&self) -> bool {
        self.pids.len() == 1
    }

    /// Whether it is the first process of a PID namespace below ours.
    pub(crate) fn is_pid_one(&self) -> bool {
        !self.is_beside_us() && self.pids.last() == Some(&1)
    }
}

/// What a process is called, by itself or by the kernel after an exec.
pub(crate) fn name(pid: libc::pid_t) -> Option<String> {
    let text = read(format!("/proc/{pid}/comm")).ok()?;
    Some(text.trim_end_matches('\n').to_owned())
}

/// All processes that /proc shows.
pub(crate) fn processes() -> Sys<impl Iterator<Item = libc::pid_t>> {
    let entries = fs::read_dir("/proc").map_err(errno)?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Whether two processes are in the same namespace of this kind, as far as we
/// may see: what cannot be seen is not shared.
pub(crate) fn share(one: &str, other: &str, kind: &str) -> bool {
    let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    link(one).is_ok_and(|one| link(other).is_ok_and(|other| one == other))
}

/// The namespaces of the process that are not ours.
pub(crate) fn differing(pid: libc::pid_t, what: &str) -> Result<CloneFlags> {
    // Sixteen links, of which none is worth the way from the root.
    let dir = |process: &str| {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let path = format!("/proc/{process}/ns");
        open(path.as_str(), flags, Mode::empty()).map_err(|errno| Error::errno(what, errno))
    };
    let (theirs, ours) = (dir(&pid.to_string())?, dir("self")?);
    let mut flags = CloneFlags::empty();
    for kind in &namespaces::ALL {
        let link = |dir: &OwnedFd| match readlinkat(dir, kind.file) {
            Ok(link) => Ok(Some(link)),
            // A kernel without this kind has none to differ.
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::errno(what, errno)),
        };
        if link(&theirs)? != link(&ours)? {
            flags |= kind.flag;
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status() {
        let status = |ids: &str| {
            let text =
                format!("Name:\tPPid: 7\\n\nPPid:\t12\nUid:\t1000\t0\t0\t0\nNSpid:\t{ids}\n");
            Status::read(&text).unwrap()
        };
        let outside = status("300");
        assert_eq!((outside.parent, outside.user), (12, 1000));
        assert!(outside.is_beside_us() && !outside.is_pid_one());
        assert!(!status("1").is_pid_one(), "the machine's own");
        assert!(status("300\t1").is_pid_one());
        assert!(!status("300\t4").is_pid_one() && !status("300\t4").is_beside_us());
        assert_eq!(Status::read("Name:\tx\n"), None);
    }

    #[test]
    fn reads_around_what_is_no_text() {
        let path = std::env::temp_dir().join(format!("procfs-{}", std::process::id()));
        fs::write(&path, b"Name:\t\xff\nPPid:\t12\nUid:\t0\nNSpid:\t300\t1\n").unwrap();
        let text = read(&path);
        fs::remove_file(&path).unwrap();
        assert!(Status::read(&text.unwrap()).unwrap().is_pid_one());
    }

    #[test]
    fn shares_its_own_namespaces() {
        assert!(share("self", "self", "pid"));
        assert!(!share("self", "none", "pid"));
        let own = std::process::id().try_into().unwrap();
        assert_eq!(differing(own, "look").unwrap(), CloneFlags::empty());
    }
}
