//! Covering what a profile hides, or showing it read-only.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;

use crate::plan::mask::{How, Mask, NOTHING};
use crate::sys::mount::{self, Depth};
use crate::sys::{Sys, path};

impl Mask {
    /// Does it in `place`, which is the one of `at`. What this kernel does not
    /// have needs no mask.
    pub(crate) fn perform(&self, place: BorrowedFd) -> Sys<()> {
        let name = self.at.1;
        let done = match self.how {
            How::Empty => mount::bind(c"/dev/null", place, name, Depth::One),
            How::EmptyDirectory => path::open_dir(place, name)
                .and_then(|target| mount::mount(&NOTHING, target.as_fd())),
            How::ReadOnly => mount::bind(name, place, name, Depth::All)
                .and_then(|()| mount::set_read_only(place, name)),
        };
        match done {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        }
    }
}
