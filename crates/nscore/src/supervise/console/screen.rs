//! Where a console's output goes. The caller's descriptor is never made
//! non-blocking, because others share it; it is opened anew where that gives
//! the same thing, and written to with care where it does not.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};

use crate::sys::{Sys, path, tty};

pub(crate) enum Screen {
    /// A pipe or terminal, opened anew and non-blocking.
    Reopened(OwnedFd),
    /// A socket, which takes a flag a message.
    Socket(BorrowedFd<'static>),
    /// A pipe or terminal that is not ours to open: it gets no more at a time
    /// than poll says it has room for.
    Measured(BorrowedFd<'static>, usize),
    /// A file or device: never waits for a reader.
    Plain(BorrowedFd<'static>),
}

/// Room in a pipe that poll calls writable: PIPE_BUF, pipe(7).
const PIPE_ROOM: usize = 4096;

/// The same in a terminal: what the line discipline wakes writers for.
const TERMINAL_ROOM: usize = 256;

impl Screen {
    pub(crate) fn new(fd: BorrowedFd<'static>) -> Screen {
        let kind = fstat(fd).map_or(SFlag::empty(), |status| path::kind(status.st_mode));
        if kind == SFlag::S_IFSOCK {
            return Screen::Socket(fd);
        }
        // A file opened anew would start at its beginning.
        if kind != SFlag::S_IFIFO && !tty::is_terminal(fd) {
            return Screen::Plain(fd);
        }
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let again = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let room = if kind == SFlag::S_IFIFO {
            PIPE_ROOM
        } else {
            TERMINAL_ROOM
        };
        path::open(again.as_str(), flags).map_or(Screen::Measured(fd, room), Screen::Reopened)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Sys<usize> {
        match self {
            Screen::Reopened(fd) => nix::unistd::write(fd, bytes),
            Screen::Socket(fd) => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(fd.as_raw_fd(), bytes, flags)
            }
            Screen::Measured(fd, room) => {
                let mut ready = [PollFd::new(*fd, PollFlags::POLLOUT)];
                match poll(&mut ready, PollTimeout::ZERO)? {
                    0 => Err(Errno::EAGAIN),
                    _ => nix::unistd::write(fd, &bytes[..bytes.len().min(*room)]),
                }
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
            Screen::Socket(fd) | Screen::Measured(fd, _) | Screen::Plain(fd) => *fd,
        }
    }
}
