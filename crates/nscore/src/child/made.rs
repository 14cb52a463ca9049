//! What the child adds to the root file system: told at once, so that whatever
//! becomes of the start it can be taken back.

use std::borrow::Cow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::child::failed::Failed;
use crate::child::message::Report;
use crate::child::state::Child;
use crate::plan::place::Place;
use crate::sys::mount::{self, Depth};
use crate::sys::path;

impl Child<'_> {
    /// Tells the supervisor what the last step has made, the first time with where
    /// that is, and in the rights of which user namespace.
    pub(super) fn tell_made(&mut self) -> Result<(), Failed<'static>> {
        if self.made.is_empty() {
            return Ok(());
        }
        if self.told {
            self.tell(&[])?;
        } else {
            let root = self.place(Place::Root)?;
            // As it is now: nothing that is mounted later is in the way. Without
            // open_tree(2) nothing is bound that could be, and the root itself will do.
            let copy = match mount::open_tree(root, c"", Depth::All) {
                Err(Errno::ENOSYS) => None,
                copy => Some(copy?),
            };
            let users = path::open(c"/proc/self/ns/user", OFlag::O_RDONLY)?;
            self.tell(&[copy.as_ref().map_or(root, OwnedFd::as_fd), users.as_fd()])?;
        }
        self.told = true;
        self.made.clear();
        Ok(())
    }

    fn tell(&self, from: &[BorrowedFd]) -> Result<(), Failed<'static>> {
        let mut from = Some(from);
        self.made.iter().try_for_each(|(path, end)| {
            Report::Made(Cow::Borrowed(&path.to_bytes()[..*end]))
                .send(self.socket, from.take().unwrap_or_default())
                .map_err(Failed::talk)
        })
    }
}
