//! The directory of `--upper`: one container at a time by a lock on it, and in
//! it changes/ and work/, made at first use.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::error::text::quoted_c;
use crate::plan::overlay::BEGUN;

/// A directory for changes, decided.
#[derive(Debug)]
pub(crate) struct Store {
    /// Absolute and without links.
    pub(crate) path: CString,
    /// Who owns what is made in it: the container's root, in our ids.
    pub(crate) owner: (u32, u32),
}

impl Store {
    /// No container has come as far as to change anything.
    pub(crate) fn is_new(&self) -> bool {
        !self.work().join(begun()).exists()
    }

    pub(crate) fn work(&self) -> PathBuf {
        Path::new(OsStr::from_bytes(self.path.to_bytes())).join("work")
    }
}

pub(crate) fn begun() -> &'static OsStr {
    OsStr::from_bytes(BEGUN.to_bytes())
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = quoted_c(&self.path);
        write!(f, "lock {path}, and make changes and work in it")
    }
}
