//! Whoever asked to be told that init runs: told without waiting for them to read.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::sys::{Sys, descriptors};

/// What is left to tell, and to whom.
pub(crate) struct Ready {
    to: OwnedFd,
    line: Vec<u8>,
}

impl Ready {
    /// The host's process id of init and a newline.
    pub(crate) fn new(to: OwnedFd, init: libc::pid_t) -> Ready {
        Ready {
            to,
            line: format!("{init}\n").into_bytes(),
        }
    }

    /// Tells as much as is taken now; true once there is nothing left to tell.
    pub(crate) fn tell(&mut self) -> Sys<bool> {
        match descriptors::write_now(self.to.as_fd(), &self.line) {
            Ok(count) => {
                self.line.drain(..count);
                Ok(self.line.is_empty())
            }
            Err(Errno::EAGAIN) => Ok(false),
            // Nobody waits any longer; the container is none the worse for it.
            Err(Errno::EPIPE) => Ok(true),
            Err(errno) => Err(errno),
        }
    }
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }
}
