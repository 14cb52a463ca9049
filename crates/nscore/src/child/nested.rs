//! Making init from the process that has made its mounts, which are locked to
//! init because its user namespace is below theirs, mount_namespaces(7).

use std::ffi::CStr;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd;

use super::{Child, Failed, NAME};
use crate::action::{Nested, Place};
use crate::message::Report;
use crate::sys::clone::{self, Fork};
use crate::sys::{Sys, process};

impl Child<'_> {
    /// Clones init, a child of the supervisor's as we are, and goes on as it.
    /// This process stays behind until init has ended or the supervisor ends
    /// it: what a failed start has made in the root file system only we can
    /// remove.
    #[allow(unsafe_code)]
    pub(super) fn clone_init(&mut self, nested: &Nested) -> Result<(), Failed> {
        // Where it will look for the root: a descriptor of ours is of another
        // mount namespace.
        unistd::fchdir(self.place(Place::Root)?)?;
        // The change of ids made /proc/PID root's, and init's with it.
        process::allow_tracing()?;
        // SAFETY: this process has one thread, and its child allocates nothing.
        let fork = unsafe { clone::fork(nested.namespaces | CloneFlags::CLONE_PARENT, 0) }?;
        let Fork::Parent { pid, pidfd } = fork else {
            process::rename(NAME);
            process::die_with_parent()?;
            self.places = [const { None }; Place::COUNT];
            self.made.clear();
            return Ok(());
        };
        let told = nested
            .write_maps(pid)
            .and_then(|()| Report::Started { pid }.send(self.socket, &[pidfd.as_fd()]));
        if let Err(errno) = told {
            process::kill(pidfd.as_fd())?;
            return Err(errno.into());
        }
        self.stay_behind(pidfd)
    }

    fn stay_behind(&mut self, init: OwnedFd) -> ! {
        // All signals are blocked, so nothing interrupts this.
        let _ = poll(
            &mut [PollFd::new(init.as_fd(), PollFlags::POLLIN)],
            PollTimeout::NONE,
        );
        self.unmake();
        process::exit(0)
    }
}

impl Nested {
    fn write_maps(&self, pid: libc::pid_t) -> Sys<()> {
        let mut text = [0; 32];
        // The last byte stays NUL.
        write!(&mut text[..31], "/proc/{pid}").map_err(|_| Errno::ENAMETOOLONG)?;
        let process = CStr::from_bytes_until_nul(&text).map_err(|_| Errno::ENAMETOOLONG)?;
        let find = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let process = open(process, find, Mode::empty())?;
        put(process.as_fd(), c"gid_map", &self.gid_map)?;
        put(process.as_fd(), c"uid_map", &self.uid_map)
    }
}

fn put(dir: BorrowedFd, name: &CStr, text: &CStr) -> Sys<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = nix::fcntl::openat(dir, name, flags, Mode::empty())?;
    unistd::write(&file, text.to_bytes()).map(drop)
}
