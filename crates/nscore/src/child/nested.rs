//! Making init from the process that has made its mounts, which are locked to
//! init because its user namespace is below theirs, mount_namespaces(7).

use std::ffi::CStr;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::unistd;

use crate::child::NAME;
use crate::child::failed::Failed;
use crate::child::message::Report;
use crate::child::state::Child;
use crate::plan::place::{Nested, OverHost, Place};
use crate::sys::clone::{self, Fork};
use crate::sys::path::{FIND_DIR, open, open_at};
use crate::sys::{Sys, process};

impl Child<'_> {
    /// Clones init, a child of the supervisor's as we are, and goes on as it.
    /// This process ends.
    #[allow(unsafe_code)]
    pub(super) fn clone_init(&mut self, nested: &Nested) -> Result<(), Failed<'static>> {
        let proc = open(c"/proc", FIND_DIR)?;
        // Init finds the root by its working directory: a descriptor of ours is
        // of another mount namespace.
        unistd::fchdir(self.place(Place::Root)?)?;
        if let Some(over) = &nested.over_host {
            self.uncover(over)?;
        }
        // The change of ids made /proc/PID root's, and init's with it.
        process::allow_tracing()?;
        // SAFETY: this process has one thread, see clone::fork.
        let fork = unsafe { clone::fork(nested.namespaces | CloneFlags::CLONE_PARENT, 0) }?;
        let Fork::Parent { pid, pidfd } = fork else {
            process::rename(NAME);
            process::die_with_parent()?;
            if let Some(over) = &nested.over_host {
                enter_root(over)?;
            }
            self.places = [const { None }; Place::COUNT];
            return Ok(());
        };
        let told = nested
            .write_maps(proc.as_fd(), pid)
            .and_then(|()| Report::Started(pid).send(self.socket, &[pidfd.as_fd()]));
        if let Err(errno) = told {
            process::kill(pidfd.as_fd())?;
            return Err(errno.into());
        }
        process::exit(0)
    }

    /// The kernel allows no user namespace to who is not at the root of all
    /// mounts, and takes what covers the host's root for that. So it becomes
    /// our root, and the host's the working directory.
    fn uncover(&self, over: &OverHost) -> Sys<()> {
        let host = open(c"/", FIND_DIR)?;
        unistd::fchdir(self.place(over.place)?)?;
        unistd::chroot(c".")?;
        unistd::fchdir(&host)
    }
}

/// The other way round again: files of the host are still to be found by path.
fn enter_root(over: &OverHost) -> Sys<()> {
    let root = open(over.root, FIND_DIR)?;
    unistd::chroot(c".")?;
    unistd::fchdir(&root)
}

impl Nested {
    fn write_maps(&self, proc: BorrowedFd, pid: libc::pid_t) -> Sys<()> {
        let mut text = [0; 16];
        // The last byte stays NUL.
        write!(&mut text[..15], "{pid}").map_err(|_| Errno::ENAMETOOLONG)?;
        let process = CStr::from_bytes_until_nul(&text).map_err(|_| Errno::ENAMETOOLONG)?;
        let process = open_at(proc, process, FIND_DIR)?;
        put(process.as_fd(), c"gid_map", &self.gid_map)?;
        put(process.as_fd(), c"uid_map", &self.uid_map)
    }
}

fn put(dir: BorrowedFd, name: &CStr, text: &CStr) -> Sys<()> {
    let file = open_at(dir, name, OFlag::O_WRONLY)?;
    unistd::write(&file, text.to_bytes()).map(drop)
}
