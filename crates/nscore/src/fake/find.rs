//! From the words of a call to the file that they name: as the kernel would find it
//! for who asks, from its root and its working directory, and nowhere else.
//!
//! The kernel walks: this thread takes the asker's root for its own. Only links of
//! /proc that name no path would lead it to what is ours, /proc/self/fd/1 for one.
//! It stops at those, and such a path is walked step by step.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd;

use crate::fake::asker::Asker;
use crate::sys::{Sys, inode, notify, process};

/// The paths of one thread of ours.
pub(super) struct Paths<'a> {
    /// Where [`inode`] finds the names of descriptors.
    proc: BorrowedFd<'a>,
    /// The root that programs begin with.
    home: BorrowedFd<'a>,
    /// Where our root is at the moment.
    at: (u64, u64),
    home_at: (u64, u64),
    /// The last thread that asked about a descriptor.
    last: Option<(libc::pid_t, OwnedFd)>,
}

/// A path of the asker's.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// What it begins at, unless it is absolute.
    pub(super) dir: i32,
    pub(super) path: &'a CStr,
    /// The last link.
    pub(super) follow: bool,
}

const FIND: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

impl<'a> Paths<'a> {
    /// For this thread alone; its working directory becomes `proc`.
    pub(super) fn new(proc: BorrowedFd<'a>, home: BorrowedFd<'a>) -> Sys<Paths<'a>> {
        inode::own_paths()?;
        inode::change_root(home, proc)?;
        let at = inode::whereabouts(home)?;
        Ok(Paths {
            proc,
            home,
            at,
            home_at: at,
            last: None,
        })
    }

    /// The file that is wanted. `moved`: some program has another root than the
    /// first, or may have.
    pub(super) fn find(&mut self, asker: &Asker, wanted: &Wanted, moved: bool) -> Sys<OwnedFd> {
        let Wanted { dir, path, follow } = *wanted;
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        self.enter_root_of(asker, moved)?;
        let base = match path.to_bytes().starts_with(b"/") {
            true => None,
            false => Some(self.begin(asker, dir)?),
        };
        let last = match follow {
            true => OFlag::empty(),
            false => OFlag::O_NOFOLLOW,
        };
        let how = OpenHow::new()
            .flags(FIND | last)
            .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let from = base.as_ref().map_or(fcntl::AT_FDCWD, |base| base.as_fd());
        match openat2(from, path, how) {
            // A link that names no path; or the asker's self, where that is no process
            // of ours; or a kernel without the call, or a filter.
            Err(Errno::ELOOP | Errno::ENOENT | Errno::ENOSYS | Errno::EPERM) => {
                let base = base.map_or_else(root, Ok)?;
                let root = self.at;
                Walk { asker, root }.walk(base, path.to_bytes(), follow)
            }
            other => other,
        }
    }

    fn enter_root_of(&mut self, asker: &Asker, moved: bool) -> Sys<()> {
        if !moved && self.at == self.home_at {
            return Ok(());
        }
        if !moved {
            inode::change_root(self.home, self.proc)?;
            self.at = self.home_at;
            return Ok(());
        }
        let path = format!("{}/root", asker.notice.tid);
        let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
        if inode::whereabouts_at(&path)? != self.at {
            let root = process_file(asker, "root")?;
            inode::change_root(root.as_fd(), self.proc)?;
            self.at = inode::whereabouts(root.as_fd())?;
        }
        Ok(())
    }

    /// What a descriptor of the asker's is of: a copy of it, which is quicker to get and
    /// to use than its name in /proc. Only the first thread of a process has a pidfd to
    /// get it by.
    fn descriptor(&mut self, asker: &Asker, fd: i32) -> Sys<OwnedFd> {
        if fd < 0 {
            return Err(Errno::EBADF);
        }
        let tid = asker.notice.tid;
        if let Some((_, last)) = self.last.as_ref().filter(|(last, _)| *last == tid) {
            match notify::copy_descriptor(last.as_fd(), fd) {
                // That one has ended, and this is another with its id.
                Err(Errno::ESRCH) => {}
                other => return other,
            }
        }
        self.last = None;
        let Ok(pidfd) = process::pidfd_open(tid) else {
            return process_file(asker, &format!("fd/{fd}"));
        };
        let copy = notify::copy_descriptor(pidfd.as_fd(), fd);
        self.last = Some((tid, pidfd));
        copy
    }

    /// Where its relative paths begin.
    pub(super) fn begin(&mut self, asker: &Asker, dir: i32) -> Sys<OwnedFd> {
        match dir {
            libc::AT_FDCWD => process_file(asker, "cwd"),
            dir => self.descriptor(asker, dir),
        }
    }

    /// Does something with a path of the asker's, where it means to this thread what
    /// it means to the asker. None where a link might lead it to what is ours, as
    /// those of /proc would and those of /dev to them. A link elsewhere to one of those
    /// is not seen through.
    pub(super) fn with<T>(
        &mut self,
        asker: &Asker,
        wanted: &Wanted,
        moved: bool,
        act: impl FnOnce(&CStr) -> T,
    ) -> Sys<Option<T>> {
        let Wanted { dir, path, .. } = *wanted;
        let words = path.to_bytes();
        const NAMES: [&[u8]; 6] = [b"proc", b"dev", b"self", b"thread-self", b"fd", b"cwd"];
        if words
            .split(|byte| *byte == b'/')
            .any(|name| NAMES.contains(&name))
        {
            return Ok(None);
        }
        self.enter_root_of(asker, moved)?;
        if words.is_empty() || words.starts_with(b"/") {
            return Ok(Some(act(path)));
        }
        match dir {
            libc::AT_FDCWD => unistd::chdir(format!("{}/cwd", asker.notice.tid).as_str())?,
            dir => unistd::fchdir(self.descriptor(asker, dir)?)?,
        }
        let done = act(path);
        unistd::fchdir(self.proc)?;
        Ok(Some(done))
    }
}

fn process_file(asker: &Asker, name: &str) -> Sys<OwnedFd> {
    let path = format!("{}/{name}", asker.notice.tid);
    openat(asker.proc, path.as_str(), FIND, Mode::empty())
}

fn root() -> Sys<OwnedFd> {
    fcntl::open(c"/", FIND | OFlag::O_DIRECTORY, Mode::empty())
}

/// A path, step by step. Below this root "..", too, is the kernel's.
struct Walk<'a> {
    asker: &'a Asker<'a>,
    root: (u64, u64),
}

impl Walk<'_> {
    fn walk(&self, mut here: OwnedFd, path: &[u8], follow: bool) -> Sys<OwnedFd> {
        /// MAXSYMLINKS of linux/namei.h.
        const LINKS: usize = 40;
        let mut left = path.to_vec();
        let mut links = 0;
        loop {
            let start = left.iter().position(|byte| *byte != b'/');
            let Some(start) = start else { return Ok(here) };
            left.drain(..start);
            let end = left.iter().position(|byte| *byte == b'/');
            let name: Vec<u8> = left.drain(..end.unwrap_or(left.len())).collect();
            let next = match name.as_slice() {
                b"." => continue,
                b".." if inode::whereabouts(here.as_fd())? == self.root => continue,
                name => self.open(here.as_fd(), name)?,
            };
            let status = inode::status(next.as_fd())?;
            let is_link = status.st_mode & libc::S_IFMT == libc::S_IFLNK;
            // A slash behind it follows it, whatever the call says.
            if !is_link || left.is_empty() && !follow {
                here = next;
                continue;
            }
            links += 1;
            if links > LINKS {
                return Err(Errno::ELOOP);
            }
            if names_no_path(here.as_fd(), next.as_fd())? {
                here = openat(&here, OsStr::from_bytes(&name), FIND, Mode::empty())?;
                continue;
            }
            let mut target = readlinkat(&next, c"")?.into_vec();
            if target.starts_with(b"/") {
                here = root()?;
            }
            target.push(b'/');
            target.append(&mut left);
            // The slash between them would follow a link at the end.
            if end.is_none() {
                target.pop();
            }
            left = target;
        }
    }

    /// One step; at the root of a /proc it is the asker's self.
    fn open(&self, dir: BorrowedFd, name: &[u8]) -> Sys<OwnedFd> {
        let flags = FIND | OFlag::O_NOFOLLOW;
        if matches!(name, b"self" | b"thread-self") && is_proc_root(dir)? {
            let last = |key| {
                let line = self.asker.status_line(key)?;
                line.split_whitespace().last().map(str::to_owned)
            };
            let (process, thread) = (last("NStgid:"), last("NSpid:"));
            let (process, thread) = process.zip(thread).ok_or(Errno::ENOENT)?;
            let path = match name {
                b"self" => process,
                _ => format!("{process}/task/{thread}"),
            };
            return openat(dir, path.as_str(), flags, Mode::empty());
        }
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        openat(dir, name.as_c_str(), flags, Mode::empty())
    }
}

/// PROC_ROOT_INO of linux/proc_fs.h.
fn is_proc_root(dir: BorrowedFd) -> Sys<bool> {
    let on_proc = fstatfs(dir)?.filesystem_type() == PROC_SUPER_MAGIC;
    Ok(on_proc && inode::status(dir)?.st_ino == 1)
}

/// Whether a link of this directory leads where no path of its own does: those of a
/// process in /proc, where the root has none but links to a name.
fn names_no_path(dir: BorrowedFd, link: BorrowedFd) -> Sys<bool> {
    Ok(fstatfs(link)?.filesystem_type() == PROC_SUPER_MAGIC && !is_proc_root(dir)?)
}
