//! The directory of `--upper`: one container at a time by a lock on it, and in
//! it changes/ and work/, made at first use.

use std::fmt;
use std::os::fd::AsFd as _;

use nix::errno::Errno;

use crate::error::text::quoted_c;
use crate::plan::overlay::BEGUN;
use crate::sys::Sys;
use crate::sys::path::{self, FIND_DIR, Known};

/// A directory for changes, decided.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) known: Known,
    /// Who owns what is made in it: the container's root, in our ids.
    pub(crate) owner: (u32, u32),
}

impl Store {
    /// No container has come as far as to change anything.
    pub(crate) fn is_new(&self) -> Sys<bool> {
        let dir = self.known.open(FIND_DIR)?;
        let work = path::open_dir(dir.as_fd(), c"work");
        match work.and_then(|work| path::open_dir(work.as_fd(), BEGUN)) {
            // A link or a file there is refused when the directory is prepared.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(true),
            Err(errno) => Err(errno),
            Ok(_) => Ok(false),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = quoted_c(self.known.path());
        write!(f, "lock {path}, and make changes and work in it")
    }
}
