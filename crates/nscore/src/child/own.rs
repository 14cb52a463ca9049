//! What is the container's own beside its files: parts of /dev and /sys, and time.

use std::ffi::CStr;
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat;
use nix::unistd::{self, AccessFlags};

use crate::child::state::{Child, directory_mode};
use crate::plan::place::{At, BindKind};
use crate::sys::mount::{self, Depth, NewFileSystem};
use crate::sys::namespaces::NEWTIME;
use crate::sys::{Sys, make, path};

impl Child<'_> {
    pub(super) fn show_cgroup(&self, fs: &NewFileSystem, at: At) -> Sys<()> {
        let open = || path::open_dir(self.place(at.0)?, at.1);
        let mounted = open().and_then(|dir| mount::mount_new(fs, dir.as_fd(), open));
        let Ok(cgroup) = mounted else {
            return Ok(());
        };
        // One name in the cgroup above, one in itself, and one in each below.
        let lone = stat::fstat(&cgroup)?.st_nlink == 2;
        let asked = unistd::faccessat(&cgroup, c".", AccessFlags::W_OK, AtFlags::empty());
        // Any other answer is no refusal.
        if lone && asked == Err(Errno::EACCES) {
            return Ok(());
        }
        mount::unmount(cgroup.as_fd())
    }

    pub(super) fn bind(&self, source: &CStr, at: At, kind: BindKind) -> Sys<()> {
        let (dir, name) = (self.place(at.0)?, at.1);
        match kind {
            BindKind::Node => {
                make::make_file(dir, name)?;
                mount::bind(source, dir, name, Depth::One)
            }
            BindKind::Tree => {
                make::make_dir(dir, name, directory_mode(at))?;
                match mount::bind(source, dir, name, Depth::All) {
                    Err(Errno::ENOENT) => make::remove_dir(dir, name),
                    other => other,
                }
            }
        }
    }
}

/// A time namespace with these offsets. Entering it by its own file takes effect
/// at once, where unshare(2) alone waits for an exec, time_namespaces(7).
pub(super) fn enter_time(clocks: &str) -> Sys<()> {
    nix::sched::unshare(NEWTIME)?;
    let offsets = path::open(c"/proc/self/timens_offsets", OFlag::O_WRONLY)?;
    unistd::write(&offsets, clocks.as_bytes())?;
    let namespace = path::open(c"/proc/self/ns/time_for_children", OFlag::O_RDONLY)?;
    nix::sched::setns(&namespace, NEWTIME)
}
