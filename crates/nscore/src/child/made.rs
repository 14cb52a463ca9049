//! Taking back what was made in the root file system.

use std::ffi::CStr;
use std::os::fd::AsFd as _;

use super::Child;
use crate::action::Place;
use crate::sys::{Sys, mount, path};

impl Child<'_> {
    /// Sees to it that what was made can be found again.
    pub(super) fn keep_bare(&mut self) -> Sys<()> {
        if self.bare.is_none() && !self.made.is_empty() {
            self.bare = Some(mount::open_tree(self.place(Place::Root)?, c"", true)?);
        }
        Ok(())
    }

    /// A failed start leaves the root file system as it was.
    pub(super) fn unmake(&mut self) {
        // What fails here comes after a failure that is worth telling.
        let _ = self.keep_bare();
        let (Ok(root), Some(bare)) = (self.place(Place::Root), &self.bare) else {
            return;
        };
        let mut buffer = [0; libc::PATH_MAX as usize];
        let mut each = |remove: &dyn Fn(&CStr) -> Sys<()>| {
            for (path, end) in self.made.iter().rev() {
                let _ = path::prefix(path.to_bytes(), *end, &mut buffer).and_then(remove);
            }
        };
        // Nothing is removed on which something is mounted. Then what hides other
        // mounts, all at once: where it is locked it hides none of ours.
        each(&|path| path::uncover(root, path));
        let _ = mount::unmount(root);
        each(&|path| path::unmake(bare.as_fd(), path));
    }
}
