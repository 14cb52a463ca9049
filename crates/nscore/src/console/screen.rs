//! Where a console's output goes. The caller's descriptor is never made
//! non-blocking, because others share it; it is opened anew where that gives
//! the same thing, and written to with care where it does not.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::sys::{Sys, tty};

pub(super) enum Screen {
    /// A pipe or terminal, opened anew and non-blocking.
    Reopened(OwnedFd),
    /// A socket, which takes a flag a message.
    Socket(BorrowedFd<'static>),
    /// A file or device: never waits for a reader. (Or a terminal that is not
    /// ours to open: then it is written to only when poll says it has room.)
    Plain(BorrowedFd<'static>),
}

impl Screen {
    pub(super) fn new(fd: BorrowedFd<'static>) -> Screen {
        let kind = fstat(fd).map_or(SFlag::empty(), |s| {
            SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT
        });
        if kind == SFlag::S_IFSOCK {
            return Screen::Socket(fd);
        }
        // A file opened anew would start at its beginning.
        if kind != SFlag::S_IFIFO && !tty::is_terminal(fd) {
            return Screen::Plain(fd);
        }
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        open(path.as_str(), flags, Mode::empty()).map_or(Screen::Plain(fd), Screen::Reopened)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Sys<usize> {
        match self {
            Screen::Reopened(fd) => nix::unistd::write(fd, bytes),
            Screen::Socket(fd) => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(fd.as_raw_fd(), bytes, flags)
            }
            Screen::Plain(fd) => match nix::unistd::write(fd, bytes) {
                Ok(0) => Err(Errno::EIO),
                other => other,
            },
        }
    }
}

impl AsFd for Screen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Screen::Reopened(fd) => fd.as_fd(),
            Screen::Socket(fd) | Screen::Plain(fd) => *fd,
        }
    }
}
