//! The command of `--outside`: the caller's own, with the caller's descriptors.

use std::ffi::OsStr;
use std::os::fd::RawFd;

use crate::error::{Error, Result};
use crate::plan::helper::Helper;
use crate::sys::descriptors;

/// The descriptors of the caller's that a helper gets.
///
/// # Errors
/// When they cannot be listed.
pub(crate) fn inherited() -> Result<Vec<RawFd>> {
    descriptors::inherited().map_err(|errno| Error::errno("list inherited descriptors", errno))
}

impl Helper {
    pub(crate) fn new(text: &OsStr) -> Result<Helper> {
        Ok(Helper {
            text: text.into(),
            inherited: inherited()?,
        })
    }
}
