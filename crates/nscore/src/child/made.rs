//! Taking back what was made in the root file system.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;

use super::Child;
use crate::action::Place;
use crate::sys::{Sys, mount, path};

impl Child<'_> {
    /// Sees to it that what was made can be found again. Without open_tree(2) nothing
    /// is bound that could be in the way, and the root itself will do.
    pub(super) fn remember(&mut self) -> Sys<()> {
        if self.before.is_some() || self.made.is_empty() {
            return Ok(());
        }
        match mount::open_tree(self.place(Place::Root)?, c"", mount::Depth::All) {
            Err(Errno::ENOSYS) => {}
            before => self.before = Some(before?),
        }
        Ok(())
    }

    /// Where to look for what was made.
    pub(super) fn before(&self) -> Sys<BorrowedFd<'_>> {
        match &self.before {
            Some(before) => Ok(before.as_fd()),
            None => self.place(Place::Root),
        }
    }

    /// A failed start leaves the root file system as it was.
    pub(super) fn unmake(&mut self) {
        // What fails here comes after a failure that is worth telling.
        let _ = self.remember();
        let (Ok(root), Ok(before)) = (self.place(Place::Root), self.before()) else {
            return;
        };
        let mut buffer = [0; libc::PATH_MAX as usize];
        let mut each = |remove: &dyn Fn(&CStr) -> Sys<()>| {
            for (path, end) in self.made.iter().rev() {
                let _ = path::prefix(path.to_bytes(), *end, &mut buffer).and_then(remove);
            }
        };
        // Nothing is removed on which something is mounted here. Then what hides other
        // mounts, all at once: where it is locked it hides none of ours.
        each(&|path| path::uncover(root, path));
        if self.before.is_some() {
            let _ = mount::unmount(root);
        }
        each(&|path| path::unmake(before, path));
    }
}
