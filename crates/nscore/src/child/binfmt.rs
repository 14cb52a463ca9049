//! Making a binfmt_misc and its handlers. No allocation: this runs between clone and
//! exec.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::MsFlags;
use nix::sys::sendfile::sendfile;
use nix::sys::stat::Mode;
use nix::unistd;

use crate::plan::handlers::Registration;
use crate::sys::mount::{self, NewFileSystem};
use crate::sys::{Sys, path};

const NO_ALL: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

static BINFMT: NewFileSystem = NewFileSystem::new(c"binfmt_misc", c"", NO_ALL);

/// The same for all to see. An init that clears away all handlers when it starts or ends,
/// as systemd does that has some of its own, would take its own emulator away.
static SHOWN: NewFileSystem =
    NewFileSystem::new(c"binfmt_misc", c"", NO_ALL.union(MsFlags::MS_RDONLY));

/// Where a copy of an emulator is: owned by the container, and no use to anybody else.
static COPIES: NewFileSystem = NewFileSystem::new(
    c"tmpfs",
    c"mode=0755",
    MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
);

/// The binfmt_misc of our user namespace, which has none of its parent's handlers. Not
/// attached anywhere, so no umount(8) reaches it.
pub(crate) fn instance() -> Sys<OwnedFd> {
    mount::new_mount(&BINFMT)
}

/// What takes new handlers of this instance. The kernel opens their programs with the
/// rights of whoever has opened this.
pub(crate) fn register(instance: BorrowedFd) -> Sys<OwnedFd> {
    path::open_at(instance, c"register", OFlag::O_WRONLY)
}

/// Shows the same one on this directory. It is another mount, which can be unmounted
/// although somebody holds the first.
pub(crate) fn show(at: BorrowedFd) -> Sys<()> {
    let shown = mount::new_mount(&SHOWN)?;
    mount::move_mount(shown.as_fd(), at, c"")
}

impl Registration {
    /// Registers it. The kernel looks for the interpreter as we would now.
    pub(crate) fn perform(&self, register: BorrowedFd) -> Sys<()> {
        match self.write(register) {
            Err(_) if self.optional => Ok(()),
            other => other,
        }
    }

    fn write(&self, register: BorrowedFd) -> Sys<()> {
        // Held until the kernel has opened what is in it.
        let _copies = match &self.copy {
            Some((emulator, name)) => {
                let copies = mount::new_mount(&COPIES)?;
                let source = path::open(emulator.as_c_str(), OFlag::O_RDONLY)?;
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
                let mode = Mode::from_bits_retain(0o755);
                let copy = openat(&copies, name.as_c_str(), flags, mode)?;
                while sendfile(&copy, &source, None, 1 << 20)? > 0 {}
                unistd::fchdir(&copies)?;
                Some(copies)
            }
            None => None,
        };
        match unistd::write(register, &self.line)? {
            all if all == self.line.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }
}
