//! The copy of the host's resolv.conf: `supervise::resolv` says what becomes of it.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{self, UnlinkatFlags};

use crate::child::state::Child;
use crate::plan::place::Place;
use crate::sys::mount::{self, NewFileSystem};
use crate::sys::{Sys, make, path};

const NAME: &CStr = c"resolv.conf";

const PATH: &CStr = c"etc/resolv.conf";

const RESTRICTED: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

static MEMORY: NewFileSystem = NewFileSystem::new(c"tmpfs", c"mode=0755,size=1m", RESTRICTED);

impl Child<'_> {
    /// Makes the copy in memory and mounts it over what the root has under its
    /// name. A link there is covered itself, wherever it leads: that may be a
    /// place that does not exist yet, or that init will mount something on. A
    /// root that can have no such file goes without, as does one that lacks it
    /// and cannot be written to; nor is there one where the kernel lacks the
    /// calls to mount on a link.
    pub(super) fn show_resolver(&mut self) -> Sys<()> {
        let Some(text) = self.resolver else {
            return Ok(());
        };
        let find = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let Ok(etc) = path::open_in_root(self.place(Place::Root)?, c"etc", find) else {
            return Ok(());
        };
        let is_directory = |status: FileStat| path::kind(status.st_mode) == SFlag::S_IFDIR;
        match fstatat(&etc, NAME, AtFlags::AT_SYMLINK_NOFOLLOW).map(is_directory) {
            Ok(false) => {}
            // Not in what was bound there.
            Err(Errno::ENOENT)
                if path::open_on_mount(self.place(Place::Root)?, c"etc", find).is_ok()
                    && make::make_file(etc.as_fd(), NAME).is_ok() =>
            {
                self.made.push((PATH, PATH.to_bytes().len()));
            }
            _ => return Ok(()),
        }
        let shown = match self.place(Place::Dev) {
            Ok(dev) => show(dev, etc.as_fd(), text),
            Err(_) => show_apart(etc.as_fd(), text),
        };
        match shown {
            Err(Errno::ENOSYS) => {}
            other => self.copy = Some(other?),
        }
        Ok(())
    }
}

/// Makes the copy in the memory of /dev and mounts it. Its name there is only
/// for that.
fn show(dev: BorrowedFd, etc: BorrowedFd, text: &[u8]) -> Sys<OwnedFd> {
    let shown = make(dev, text)
        .and_then(|(copy, file)| mount::move_mount(file.as_fd(), etc, NAME).map(|()| copy));
    let removed = unistd::unlinkat(dev, NAME, UnlinkatFlags::NoRemoveDir);
    shown.and_then(|copy| removed.map(|()| copy))
}

/// The same where /dev is not ours. Only what is mounted somewhere can be cloned,
/// and to unmount it again takes the kernel longer than all the rest.
fn show_apart(etc: BorrowedFd, text: &[u8]) -> Sys<OwnedFd> {
    let memory = mount::new_mount(&MEMORY)?;
    mount::move_mount(memory.as_fd(), etc, c"")?;
    let made = make(memory.as_fd(), text);
    unistd::fchdir(&memory)?;
    umount2(c".", MntFlags::MNT_DETACH)?;
    let (copy, file) = made?;
    mount::move_mount(file.as_fd(), etc, NAME).map(|()| copy)
}

/// The copy in `memory`, and a detached mount of it.
fn make(memory: BorrowedFd, text: &[u8]) -> Sys<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let copy = openat(memory, NAME, flags, Mode::from_bits_retain(0o644))?;
    // Memory takes all at once.
    if unistd::write(&copy, text)? != text.len() {
        return Err(Errno::ENOSPC);
    }
    let file = mount::open_tree(memory, NAME, mount::Depth::One)?;
    match mount::restrict(file.as_fd(), RESTRICTED) {
        Err(Errno::ENOSYS) => {}
        other => other?,
    }
    Ok((copy, file))
}
